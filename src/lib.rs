//! anomalyd: an anomaly-detection service over gRPC.

pub mod context;
pub mod detector;
pub mod error;
pub mod le_bytes;
pub mod proto;
