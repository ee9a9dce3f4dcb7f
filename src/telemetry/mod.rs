//! What operators see of the server: its logs, the ids of its requests, and what it counts.

pub mod logs;
mod metrics;
mod request_id;

pub use metrics::{Metrics, Predicted};
pub use request_id::RequestId;
