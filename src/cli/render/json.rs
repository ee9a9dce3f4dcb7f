//! Writes responses as JSON: the protobuf mapping, with the field names of the protos and 64-bit integers as
//! numbers.
//!
//! Fields without presence are always written, even if zero; `optional` fields and messages only if they are set.

use std::io::Write;

use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value;

use crate::cli::descriptors;
use crate::cli::error::{Error, Result};

const OPTIONS: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .stringify_64_bit_integers(false)
    .skip_default_fields(false);

/// Writes a message of package `anomaly.v1` as one line.
pub(in crate::cli) fn write(out: &mut dyn Write, name: &str, message: &impl Message) -> Result<()> {
    let message = dynamic(name, message)?;
    let mut serializer = serde_json::Serializer::new(&mut *out);
    message
        .serialize_with_options(&mut serializer, &OPTIONS)
        .map_err(|error| {
            // besides the writer, only the mapping itself can fail
            match error.io_error_kind() {
                Some(kind) => Error::Output(kind.into()),
                None => not_json(name, &error),
            }
        })?;
    writeln!(out)?;
    Ok(())
}

/// A message of package `anomaly.v1` as a JSON value.
pub(in crate::cli) fn value(name: &str, message: &impl Message) -> Result<Value> {
    dynamic(name, message)?
        .serialize_with_options(serde_json::value::Serializer, &OPTIONS)
        .map_err(|error| not_json(name, &error))
}

fn dynamic(name: &str, message: &impl Message) -> Result<DynamicMessage> {
    descriptors::describe(name, message).ok_or_else(|| not_json(name, &"it is not described"))
}

fn not_json(name: &str, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("cannot show a {name} as JSON: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{
        DeleteRunResponse, Model, PredictResponse, PredictionSummary, Predictions, RowPrediction,
        TrainingSpec,
    };

    fn line(name: &str, message: &impl Message) -> String {
        let mut out = Vec::new();
        write(&mut out, name, message).expect("serialises");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_zero_that_is_set_is_shown_and_an_absent_one_is_not() {
        let zero = DeleteRunResponse {
            n_versions: Some(0),
        };
        assert_eq!(line("DeleteRunResponse", &zero), "{\"n_versions\":0}\n");
        let absent = DeleteRunResponse { n_versions: None };
        assert_eq!(line("DeleteRunResponse", &absent), "{}\n");
    }

    #[test]
    fn scores_and_zeros_are_written() {
        let predictions = Predictions {
            summary: Some(PredictionSummary {
                version: u64::MAX,
                n_rows: Some(2),
                n_anomalies: Some(0),
                ..Default::default()
            }),
            scores: vec![0.0, 0.25],
            is_anomaly: vec![false, false],
            rows: vec![RowPrediction {
                row: Some(0),
                score: Some(f64::NAN),
                is_anomaly: Some(false),
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = PredictResponse {
            predictions: Some(predictions),
        };
        let value = &value("PredictResponse", &response).expect("serialises")["predictions"];
        assert_eq!(value["scores"], serde_json::json!([0.0, 0.25]));
        assert_eq!(value["is_anomaly"], serde_json::json!([false, false]));
        assert_eq!(value["summary"]["version"], serde_json::json!(u64::MAX));
        assert_eq!(value["summary"]["n_anomalies"], 0);
        assert!(value["summary"].get("threshold").is_none());
        assert_eq!(value["rows"][0]["row"], 0);
        assert_eq!(value["rows"][0]["score"], "NaN");
        assert_eq!(value["rows"][0]["is_anomaly"], false);
    }

    #[test]
    fn fields_have_the_names_of_the_protos() {
        let model = Model {
            run_id: "a\"b".into(),
            size_bytes: 0,
            spec: Some(TrainingSpec {
                scaler: 2,
                ..Default::default()
            }),
            ..Default::default()
        };
        let value = value("Model", &model).expect("serialises");
        assert_eq!(value["run_id"], "a\"b");
        assert_eq!(value["size_bytes"], 0);
        let spec = &value["spec"];
        assert_eq!(spec["scaler"], "SCALER_STANDARD");
        assert!(value.get("threshold").is_none() && spec.get("isolation_forest").is_none());
    }
}
