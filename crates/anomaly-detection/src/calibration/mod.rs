//! From scores to decisions: quantiles, thresholds, tails, and how decisions compare with known labels.

pub mod label_metrics;
pub mod tail;
pub mod threshold;

pub use label_metrics::LabelMetrics;
pub use tail::TailRank;
pub use threshold::{DEFAULT_CONTAMINATION, Threshold, ThresholdSource};
