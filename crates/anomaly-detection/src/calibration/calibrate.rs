//! Sets the threshold of a model and reports what it flags among the rows that it was set on.

use super::{LabelMetrics, Policy, Threshold};
use crate::error::Result;

/// What calibration found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The threshold.
    pub threshold: Threshold,
    /// How many rows it was set on.
    pub n_rows: u64,
    /// How many of them it flags.
    pub n_anomalies: u64,
    /// How scores and decisions compare with the labels, where there are labels of both classes.
    pub label_metrics: Option<LabelMetrics>,
}

impl Calibration {
    /// Sets a threshold on scored rows and measures it. `weights` says how many rows each of them stands for, 1 each when `None`.
    /// `labels` are known labels that were not learned from, `None` for a row whose label is not known.
    ///
    /// # Errors
    /// As [`Threshold::new`].
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn new(
        policy: Policy,
        scores: &[f64],
        weights: Option<&[f64]>,
        labels: Option<&[Option<bool>]>,
    ) -> Result<Self> {
        let threshold = Threshold::new(policy, scores, weights)?;
        let verdicts = threshold.verdicts(scores);
        Ok(Self {
            n_rows: scores.len() as u64,
            n_anomalies: verdicts.iter().filter(|&&is_anomaly| is_anomaly).count() as u64,
            label_metrics: labels
                .and_then(|labels| LabelMetrics::new(scores, &verdicts, labels, weights)),
            threshold,
        })
    }
}
