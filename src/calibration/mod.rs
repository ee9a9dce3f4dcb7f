//! From scores to decisions: quantiles, thresholds, and how decisions compare with known labels.

pub mod label_metrics;
pub mod threshold;

pub use label_metrics::LabelMetrics;
pub use threshold::{DEFAULT_CONTAMINATION, Threshold, ThresholdSource};
