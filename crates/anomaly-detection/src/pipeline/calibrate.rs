//! Where the threshold lies, and what it finds among the rows that it was set on.

use crate::calibration::{LabelMetrics, Threshold};
use crate::error::Result;
use crate::features::Label;

/// How the threshold of a model comes about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ThresholdRule {
    /// The quantile of the calibration scores that leaves this share above it.
    Contamination(f64),
    /// Given.
    Value(f64),
}

/// What calibration found.
#[derive(Debug)]
pub(super) struct Calibration {
    pub(super) threshold: Threshold,
    pub(super) n_rows: u64,
    pub(super) n_anomalies: u64,
    pub(super) label_metrics: Option<LabelMetrics>,
}

/// Sets and checks a threshold on scored rows. `weights` are how many rows each one stands for, all 1 when `None`.
pub(super) fn calibrate(
    rule: ThresholdRule,
    scores: &[f64],
    weights: Option<&[f64]>,
    labels: Option<&[Label]>,
) -> Result<Calibration> {
    let threshold = match rule {
        ThresholdRule::Value(value) => Threshold::given(value)?,
        ThresholdRule::Contamination(contamination) => {
            Threshold::from_scores(scores, weights, contamination)?
        }
    };
    Ok(Calibration {
        n_rows: scores.len() as u64,
        n_anomalies: scores
            .iter()
            .filter(|&&score| threshold.is_anomaly(score))
            .count() as u64,
        label_metrics: labels
            .and_then(|labels| LabelMetrics::new(scores, labels, weights, threshold.value)),
        threshold,
    })
}
