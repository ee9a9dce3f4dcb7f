//! Models, as they are described to clients.

use prost_types::Timestamp;

use super::{detector, features};
use crate::proto::v1;
use crate::runs::{Described, Listed, RunId, VersionRecord};
use anomaly_detection::calibration::LabelMetrics;
use anomaly_detection::pipeline::{Model, Statistics};

/// The most features whose covariance is sent: 256 make 512 KiB.
const MAX_COVARIANCE_FEATURES: usize = 256;

impl From<Listed> for v1::Model {
    fn from(listed: Listed) -> Self {
        basic(&listed.run_id, &listed.version)
    }
}

impl From<Described> for v1::Model {
    fn from(described: Described) -> Self {
        let model = &described.model;
        let schema = &model.features().schema;
        let spec = model.spec();
        let names = model.features().names();
        Self {
            detector: Some(detector::answer(
                model.detector().params(),
                model.threshold().value,
            )),
            validation_fraction: model.validation_fraction(),
            scaler: v1::Scaler::from(model.scaling()).into(),
            feature_names: schema.features().to_vec(),
            columns: features::columns(model.features()),
            detector_features: match names == schema.features() {
                true => Vec::new(),
                false => names,
            },
            feature_engineering: spec.engineering.clone().map(Into::into),
            feature_policy: v1::FeaturePolicy::from(spec.policy).into(),
            imputation: v1::Imputation::from(spec.imputation).into(),
            max_one_hot_categories: u32::try_from(spec.max_one_hot).ok(),
            sample_rows: spec.sample_rows.map(|n| n as u64),
            label_column: schema.label_column().unwrap_or_default().to_owned(),
            statistics: Some(statistics(model)),
            ..basic(&described.run_id, &described.version)
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

/// A point in time, given in milliseconds since 1970.
pub(super) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: i32::try_from(milliseconds.rem_euclid(1000) * 1_000_000).unwrap_or_default(),
    }
}

/// What is known without loading the model.
fn basic(run_id: &RunId, version: &VersionRecord) -> v1::Model {
    v1::Model {
        run_id: run_id.as_str().to_owned(),
        version: version.version,
        detector_name: version.detector.clone(),
        threshold: Some(version.threshold),
        contamination: version.contamination,
        n_features: version.n_features,
        n_rows: version.n_rows,
        create_time: Some(timestamp(version.created_ms)),
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
        features: feature_statistics(model, statistics),
        label_metrics: statistics.label_metrics.map(Into::into),
        gaussian_moments: gaussian_moments(model),
    }
}

fn feature_statistics(model: &Model, statistics: &Statistics) -> Vec<v1::FeatureStatistics> {
    let features = model.features();
    let Some(moments) = &statistics.features else {
        return Vec::new();
    };
    let std = moments.std();
    let fill = features.fill();
    let importances = model.detector().as_detector().feature_importances();
    features
        .names()
        .into_iter()
        .enumerate()
        .map(|(i, name)| v1::FeatureStatistics {
            name,
            n_values: Some(moments.n()[i]),
            mean: Some(moments.mean()[i]),
            std: Some(std[i]),
            min: Some(moments.min()[i]),
            max: Some(moments.max()[i]),
            median: fill.get(i).copied(),
            importance: importances
                .as_ref()
                .and_then(|importances| importances.get(i).copied()),
        })
        .collect()
}

fn gaussian_moments(model: &Model) -> Option<v1::GaussianMoments> {
    let moments = model.detector().as_gaussian()?.moments();
    let n = moments.n_features();
    let (center, spread) = match &model.features().scale {
        Some(scale) => (scale.center().to_vec(), scale.spread().to_vec()),
        None => (vec![0.0; n], vec![1.0; n]),
    };
    let mean = (0..n)
        .map(|i| moments.mean()[i] * spread[i] + center[i])
        .collect();
    let covariance = if n <= MAX_COVARIANCE_FEATURES {
        let scaled = moments.covariance();
        scaled
            .indexed_iter()
            .map(|((i, j), &value)| value * spread[i] * spread[j])
            .collect()
    } else {
        Vec::new()
    };
    Some(v1::GaussianMoments {
        n_complete_rows: Some(moments.n()),
        mean,
        covariance,
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
