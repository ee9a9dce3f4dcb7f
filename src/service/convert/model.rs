//! Converts models for responses.

use prost::Message as _;
use prost_types::Timestamp;

use super::{features, training};
use crate::proto::v1;
use crate::runs::{Described, Listed, RunId, VersionRecord};
use anomaly_detection::calibration::LabelMetrics;
use anomaly_detection::pipeline::Model;

/// The most features whose covariance is sent: that of 256 takes 512 KiB.
const MAX_COVARIANCE_FEATURES: usize = 256;

/// The most bytes of the description of a model or a dataset: clients accept 4 MiB by default, and a response has a little
/// more in it.
pub(super) const MAX_DESCRIPTION_BYTES: usize = (4 << 20) - (64 << 10);

impl From<Listed> for v1::Model {
    fn from(listed: Listed) -> Self {
        basic(&listed.run_id, &listed.version)
    }
}

impl From<Described> for v1::Model {
    fn from(described: Described) -> Self {
        let model = &described.model;
        let schema = &model.features().schema;
        let names = model.column_names();
        let mut message = Self {
            spec: Some(training::answer(model)),
            feature_names: schema.features().to_vec(),
            columns: features::columns(model.features()),
            detector_features: match names == schema.features() {
                true => Vec::new(),
                false => names,
            },
            statistics: Some(statistics(model)),
            ..basic(&described.run_id, &described.version)
        };
        omit_what_does_not_fit(&mut message);
        message
    }
}

/// Leaves out fields until the message fits, the least important ones first.
fn omit_what_does_not_fit(model: &mut v1::Model) {
    type Omit = fn(&mut v1::Model);
    const FIELDS: [(&str, Omit); 6] = [
        ("statistics.gaussian_moments", |model| {
            if let Some(statistics) = &mut model.statistics {
                statistics.gaussian_moments = None;
            }
        }),
        ("statistics.features", |model| {
            if let Some(statistics) = &mut model.statistics {
                statistics.features.clear();
            }
        }),
        ("detector_features", |model| model.detector_features.clear()),
        ("columns", |model| model.columns.clear()),
        ("feature_names", |model| model.feature_names.clear()),
        ("spec", |model| model.spec = None),
    ];
    for (field, omit) in FIELDS {
        let n_bytes = model.encoded_len();
        if n_bytes <= MAX_DESCRIPTION_BYTES {
            break;
        }
        omit(model);
        if model.encoded_len() < n_bytes {
            model.omitted_fields.push(field.to_owned());
        }
    }
}

impl From<Described> for v1::GetModelResponse {
    fn from(described: Described) -> Self {
        Self {
            active_version: described.active_version,
            kept_versions: described.kept_versions.clone(),
            model: Some(described.into()),
            unknown_features: Vec::new(),
        }
    }
}

/// A time since 1970, counted in units of 1 / `units` seconds.
pub(super) fn timestamp(since_1970: i64, units: i64) -> Timestamp {
    let nanos = since_1970.rem_euclid(units) * (1_000_000_000 / units);
    Timestamp {
        seconds: since_1970.div_euclid(units),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// What the record says, without the model.
fn basic(run_id: &RunId, version: &VersionRecord) -> v1::Model {
    v1::Model {
        run_id: run_id.as_str().to_owned(),
        version: version.version,
        detector_name: version.detector.clone(),
        threshold: Some(version.threshold),
        n_features: version.n_features,
        n_rows: version.n_rows,
        create_time: Some(timestamp(version.created_ms, 1000)),
        size_bytes: version.model.size,
        ..v1::Model::default()
    }
}

fn statistics(model: &Model) -> v1::TrainingStatistics {
    let statistics = model.statistics();
    v1::TrainingStatistics {
        n_anomalies: Some(statistics.n_anomalies),
        n_calibration_rows: Some(statistics.n_calibration_rows),
        n_missing_values: Some(statistics.n_missing_values),
        n_infinite_values: Some(statistics.n_infinite_values),
        features: feature_statistics(model),
        label_metrics: statistics.label_metrics.map(Into::into),
        gaussian_moments: gaussian_moments(model),
    }
}

fn feature_statistics(model: &Model) -> Vec<v1::FeatureStatistics> {
    let columns = model.column_statistics().unwrap_or_default().into_iter();
    columns
        .map(|column| v1::FeatureStatistics {
            name: column.name,
            n_values: Some(column.n_values),
            mean: Some(column.mean),
            std: Some(column.std),
            min: Some(column.min),
            max: Some(column.max),
            median: Some(column.fill),
            importance: column.importance,
        })
        .collect()
}

fn gaussian_moments(model: &Model) -> Option<v1::GaussianMoments> {
    let moments = model.gaussian_moments(MAX_COVARIANCE_FEATURES)?;
    Some(v1::GaussianMoments {
        n_complete_rows: Some(moments.n_rows),
        mean: moments.mean,
        covariance: moments
            .covariance
            .map(|covariance| covariance.into_iter().collect())
            .unwrap_or_default(),
    })
}

impl From<LabelMetrics> for v1::LabelMetrics {
    fn from(metrics: LabelMetrics) -> Self {
        Self {
            auroc: Some(metrics.auroc),
            average_precision: Some(metrics.average_precision),
            precision: Some(metrics.precision),
            recall: Some(metrics.recall),
            f1: Some(metrics.f1),
            true_positives: Some(metrics.true_positives),
            false_positives: Some(metrics.false_positives),
            true_negatives: Some(metrics.true_negatives),
            false_negatives: Some(metrics.false_negatives),
        }
    }
}
