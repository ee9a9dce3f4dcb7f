//! From scores to decisions: policies, thresholds, verdicts, tails, and how decisions compare with known labels.

mod calibrate;
pub mod label_metrics;
mod policy;
pub mod tail;
mod threshold;

pub use calibrate::Calibration;
pub use label_metrics::LabelMetrics;
pub use policy::{DEFAULT_CONTAMINATION, Policy};
pub use tail::TailRank;
pub use threshold::Threshold;
