//! anomalyd: an anomaly-detection service over gRPC.

pub mod config;
pub mod context;
pub mod error;
pub mod le_bytes;
pub mod proto;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
