//! anomalyd: an anomaly-detection service over gRPC.

pub mod calibration;
pub mod compute;
pub mod context;
pub mod detector;
pub mod error;
pub mod features;
pub mod le_bytes;
pub mod pipeline;
pub mod proto;
pub mod runs;
pub mod service;
pub mod store;
pub mod table;
