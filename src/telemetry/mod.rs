//! What operators see of the server: its logs, the ids of its calls, and its counters.

mod call_id;
mod log_writer;
pub mod logs;
mod metrics;

pub use call_id::CallId;
pub use metrics::{Metrics, Predicted};
