//! `train` and `update`: models from CSV files.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::connect::{Client, Connection};
use super::error::{Error, Result};
use super::params::{self, Param};
use super::render::{json, model};
use super::{Format, input};
use crate::proto::v1::train_request::Detector;
use crate::proto::v1::{Model, Scaler, TrainRequest, UpdateRequest};

/// The arguments of `train`.
#[derive(Debug, clap::Args)]
pub(super) struct TrainArgs {
    /// The run to add a version to; it is created when it does not exist
    run: String,
    /// The CSV file to learn from, with a header line; - for the standard input. Left out when z_score is given baselines
    file: Option<PathBuf>,
    /// The detector; without it, auto
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(params::detector_names()))]
    detector: Option<String>,
    /// A parameter of the detector, as in n_estimators=200, class_weight=balanced or baseline=FEATURE:MEAN:STD; may be repeated
    #[arg(long = "param", short = 'p', value_name = "KEY=VALUE", long_help = params_help())]
    params: Vec<Param>,
    /// The share of training rows to flag, in (0, 0.5]; without it, 0.1
    #[arg(long, value_name = "SHARE", conflicts_with = "threshold")]
    contamination: Option<f64>,
    /// The score above which a row is an anomaly
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// How to scale features; without it, the detector's own way
    #[arg(long, value_enum)]
    scaler: Option<ScalerName>,
    /// A column with known labels, 1 for an anomaly: learned from by random_forest and logistic_regression, compared with by
    /// every other detector
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// The share of rows to measure a detector on that learns from labels; without it, 0.2
    #[arg(long, value_name = "SHARE")]
    validation_fraction: Option<f64>,
    #[command(flatten)]
    common: WriteArgs,
}

fn params_help() -> String {
    format!(
        "A parameter of the detector, as in n_estimators=200, class_weight=balanced or baseline=FEATURE:MEAN:STD; may be \
         repeated. What each one means stands in the API.\n\n{}",
        params::detector_params()
    )
}

/// The arguments of `update`.
#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// The run to update
    run: String,
    /// The CSV file with the new rows; - for the standard input
    file: PathBuf,
    #[command(flatten)]
    common: WriteArgs,
}

/// What both commands take.
#[derive(Debug, clap::Args)]
struct WriteArgs {
    /// A column to leave out of what is sent, such as a text column; may be repeated
    #[arg(long, value_name = "COLUMN")]
    drop: Vec<String>,
    /// A key that makes it safe to run the same command again after a failure
    #[arg(long, value_name = "KEY")]
    request_id: Option<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The ways to scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ScalerName {
    /// The values as they are
    None,
    /// Less the mean, divided by the standard deviation
    Standard,
    /// Less the median, divided by the interquartile range
    Robust,
}

impl TrainArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let request = self.request()?;
        let client = &mut self.common.connection.client().await?;
        train(client, request, &self.common.format, out).await
    }

    fn request(&self) -> Result<TrainRequest> {
        let detector = params::detector(self.detector.as_deref(), &self.params)?;
        let given = matches!(&detector, Some(Detector::ZScore(z)) if !z.baselines.is_empty());
        let records = match (&self.file, given) {
            (Some(file), false) => Some(input::records(
                &input::read(file)?,
                file,
                &self.common.drop,
            )?),
            (None, true) => None,
            (None, false) => {
                return Err(Error::usage(
                    "name the CSV file to learn from: anomalyd train RUN FILE",
                ));
            }
            (Some(_), true) => {
                return Err(Error::usage(
                    "given baselines take the place of a file; leave out FILE or the baselines",
                ));
            }
        };
        Ok(TrainRequest {
            run_id: self.run.clone(),
            records,
            detector,
            contamination: self.contamination,
            threshold: self.threshold,
            scaler: self.scaler.map_or(Scaler::Unspecified, Into::into).into(),
            label_column: self.label_column.clone().unwrap_or_default(),
            validation_fraction: self.validation_fraction,
            request_id: self.common.request_id.clone().unwrap_or_default(),
            ..TrainRequest::default()
        })
    }
}

impl UpdateArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let request = UpdateRequest {
            run_id: self.run.clone(),
            records: Some(input::records(
                &input::read(&self.file)?,
                &self.file,
                &self.common.drop,
            )?),
            request_id: self.common.request_id.clone().unwrap_or_default(),
        };
        let client = &mut self.common.connection.client().await?;
        update(client, request, &self.common.format, out).await
    }
}

async fn train(
    client: &mut Client,
    request: TrainRequest,
    format: &Format,
    out: &mut dyn Write,
) -> Result<()> {
    let response = client.train(request).await?.into_inner();
    if format.json {
        return json::write(out, "TrainResponse", &response);
    }
    model::write_trained(out, answered(response.model.as_ref())?)
}

async fn update(
    client: &mut Client,
    request: UpdateRequest,
    format: &Format,
    out: &mut dyn Write,
) -> Result<()> {
    let response = client.update(request).await?.into_inner();
    if format.json {
        return json::write(out, "UpdateResponse", &response);
    }
    model::write_trained(out, answered(response.model.as_ref())?)
}

/// The model of an answer, which every server sends.
pub(super) fn answered(model: Option<&Model>) -> Result<&Model> {
    model.ok_or_else(|| Error::failed("the server answered without a model"))
}

impl From<ScalerName> for Scaler {
    fn from(name: ScalerName) -> Self {
        match name {
            ScalerName::None => Self::None,
            ScalerName::Standard => Self::Standard,
            ScalerName::Robust => Self::Robust,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Train {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn request(line: &[&str]) -> Result<TrainRequest> {
        let words = ["train"].iter().chain(line);
        Train::try_parse_from(words)
            .expect("it parses")
            .args
            .request()
    }

    #[test]
    fn every_option_reaches_the_request() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "t,x\nmon,1\n").expect("writes");
        let path = file.path().to_str().expect("a path of text");
        let made = request(&[
            "cards",
            path,
            "--detector",
            "gaussian",
            "-p",
            "ridge=0.1",
            "--threshold",
            "-1.5",
            "--scaler",
            "robust",
            "--label-column",
            "y",
            "--drop",
            "t",
            "--request-id",
            "k",
        ])
        .expect("it is right");
        assert_eq!(made.run_id, "cards");
        assert_eq!(made.records, Some(input::csv_records(b"x\n1\n".to_vec())));
        assert_eq!(made.threshold, Some(-1.5));
        assert_eq!(made.contamination, None);
        assert_eq!(made.scaler(), Scaler::Robust);
        assert_eq!(
            (made.label_column.as_str(), made.request_id.as_str()),
            ("y", "k")
        );
        assert!(matches!(made.detector, Some(Detector::Gaussian(_))));
    }

    #[test]
    fn a_file_or_baselines_but_not_both() {
        let baselines = ["--detector", "z_score", "-p", "baseline=x:1:2"];
        let with = |start: &[&'static str]| request(&[start, &baselines].concat());
        assert_eq!(with(&["r"]).expect("baselines").records, None);
        assert_eq!(
            with(&["r", "f.csv"]).expect_err("both").exit_code(),
            Some(2)
        );
        assert_eq!(request(&["r"]).expect_err("neither").exit_code(), Some(2));
    }
}
