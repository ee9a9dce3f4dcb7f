//! A fitted model: everything that scoring needs, and the statistics of its training.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, LabelMetrics, Threshold};
use crate::detector::{FittedDetector, GaussianRow};
use crate::error::{Error, Result, reason};
use crate::features::{FeatureKind, Features, Role, Scaling, TimeSource};
use crate::statistics::moments::FeatureMoments;

use super::spec::TrainingSpec;

/// One fitted version of a run. Immutable; holds no clock reading, so the same data and seed give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The spec that it was trained with.
    pub(super) spec: TrainingSpec,
    pub(super) features: Features,
    pub(super) detector: FittedDetector,
    pub(super) threshold: Threshold,
    pub(super) statistics: Statistics,
}

/// Statistics of the training and of the updates since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many rows the model has learned from.
    pub n_rows: u64,
    /// How many values were missing, not counting infinite ones.
    pub n_missing_values: u64,
    /// How many values were infinite.
    pub n_infinite_values: u64,
    /// How many rows the threshold was set on.
    pub n_calibration_rows: u64,
    /// How many of them score above the threshold.
    pub n_anomalies: u64,
    /// The moments of each feature, in original units. Absent when nothing was learned.
    pub features: Option<FeatureMoments>,
    /// How scores compare with labels that were not learned from.
    pub label_metrics: Option<LabelMetrics>,
}

/// The most missing features that are listed for a row.
const MAX_MISSING: usize = 100;

/// Details of one row besides its score.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDetail {
    /// How many features were missing or infinite.
    pub n_missing_features: usize,
    /// The indices of the first 100 of them, ascending.
    pub missing_features: Vec<usize>,
    /// The z-score of each column that the detector sees, in the order shown, for detectors that have z-scores.
    pub z_scores: Option<Vec<f64>>,
    /// The density of the row, for a Gaussian detector.
    pub gaussian: Option<GaussianRow>,
}

impl Statistics {
    /// The same with the results of calibration.
    pub(super) fn calibrated(self, calibration: &Calibration) -> Self {
        Self {
            n_calibration_rows: calibration.n_rows,
            n_anomalies: calibration.n_anomalies,
            label_metrics: calibration.label_metrics,
            ..self
        }
    }

    /// Checks statistics that were decoded from an artifact.
    fn validate(&self) -> Result<()> {
        if self.n_anomalies > self.n_calibration_rows {
            let message = format!(
                "the stored model flags {} of {} rows",
                self.n_anomalies, self.n_calibration_rows
            );
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        if let Some(moments) = &self.features {
            moments.validate()?;
        }
        match &self.label_metrics {
            Some(metrics) => metrics.validate(),
            None => Ok(()),
        }
    }
}

impl Model {
    /// The features and how they are prepared.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The spec that it was trained with.
    pub fn spec(&self) -> &TrainingSpec {
        &self.spec
    }

    /// How features are scaled.
    pub fn scaling(&self) -> Scaling {
        self.spec.scaling()
    }

    /// The columns that held texts at training: categorical features, and times and series that are texts.
    pub fn text_columns(&self) -> Vec<String> {
        let schema = &self.features.schema;
        let mut columns: Vec<String> = (0..schema.n_features())
            .filter(|&feature| schema.kind(feature) == FeatureKind::Category)
            .map(|feature| schema.features()[feature].clone())
            .collect();
        if let (Some(column), Some(TimeSource::Text(_))) =
            (schema.column_of(Role::Time), schema.time())
        {
            columns.push(column.name.clone());
        }
        if let (Some(column), Some(FeatureKind::Category)) =
            (schema.column_of(Role::Series), schema.series())
        {
            columns.push(column.name.clone());
        }
        columns
    }

    /// The fitted detector.
    pub fn detector(&self) -> &FittedDetector {
        &self.detector
    }

    /// The threshold that decides which rows are anomalies.
    pub fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// The share of rows that a supervised detector is validated on; `None` for any other.
    pub fn validation_fraction(&self) -> Option<f64> {
        let is_supervised = self.spec.detector.is_supervised();
        is_supervised.then(|| self.spec.validation_fraction())
    }

    /// Statistics of the training and of the updates since.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Checks a model that was decoded from an artifact, so that no later step can index out of bounds.
    pub fn validate(&self) -> Result<()> {
        self.features.validate()?;
        let n = self.features.n_features();
        self.detector.validate()?;
        self.threshold.validate()?;
        self.statistics.validate()?;
        let moments_fit = self
            .statistics
            .features
            .as_ref()
            .is_none_or(|moments| moments.n_features() == n);
        let sound = self.detector.as_detector().n_features() == n
            && (self.scaling() == Scaling::None) == self.features.scale.is_none()
            && self.spec.detector.name() == self.detector.name()
            && self.spec.check().is_ok()
            && moments_fit;
        if sound {
            Ok(())
        } else {
            Err(Error::new(
                reason::DAMAGED_ARTIFACT,
                "the parts of the stored model contradict each other",
            ))
        }
    }

    /// How many z-scores the details of a row hold.
    pub fn n_z_scores(&self) -> usize {
        match &self.detector {
            FittedDetector::Gaussian(_) | FittedDetector::ZScore(_) => self.features.n_features(),
            _ => 0,
        }
    }

    /// The details of one row of n_raw values that are not imputed yet. `places` are the places of the features and `columns`
    /// those of the detector's columns, both in the order shown.
    pub(super) fn detail(
        &self,
        raw: ArrayView1<'_, f64>,
        places: &[usize],
        columns: &[usize],
    ) -> RowDetail {
        let is_missing = |feature: &usize| !raw[places[*feature]].is_finite();
        let missing = (0..places.len()).filter(is_missing);
        let n_missing_features = missing.clone().count();
        let missing_features = missing.take(MAX_MISSING).collect();
        let chunk = raw.insert_axis(ndarray::Axis(0));
        let row = self.features.transform(chunk);
        let row: Vec<f64> = row.iter().copied().collect();
        let gaussian = self.detector.as_gaussian().map(|gaussian| {
            // the density is in original units; scaling divides volumes by the product of the spreads
            let stretch: f64 = self
                .features
                .scale
                .as_ref()
                .map_or(0.0, |scale| scale.spread().iter().map(|s| s.ln()).sum());
            let scaled = gaussian.explain(&row);
            let log_density = scaled.log_density - stretch;
            GaussianRow {
                log_density,
                density: log_density.exp(),
                ..scaled
            }
        });
        let z_scores = self.detector.as_detector().z_scores(&row);
        RowDetail {
            n_missing_features,
            missing_features,
            z_scores: z_scores.map(|z| columns.iter().map(|&column| z[column]).collect()),
            gaussian,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_statistics_are_refused() {
        let scores = [3.0, 2.0, 1.0, 0.0];
        let labels = [Some(true), Some(false), Some(true), Some(false)];
        let verdicts = [true, true, false, false];
        let sound = Statistics {
            n_rows: 4,
            n_calibration_rows: 4,
            n_anomalies: 2,
            label_metrics: LabelMetrics::new(&scores, &verdicts, &labels, None),
            ..Statistics::default()
        };
        sound.validate().expect("sound");
        let more_than_all = Statistics {
            n_anomalies: 5,
            ..sound.clone()
        };
        let mut not_a_rate = sound.clone();
        if let Some(metrics) = &mut not_a_rate.label_metrics {
            metrics.auroc = f64::NAN;
        }
        for damaged in [more_than_all, not_a_rate] {
            let error = damaged.validate().expect_err("impossible");
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "{damaged:?}");
        }
    }
}
