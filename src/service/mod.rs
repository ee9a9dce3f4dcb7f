//! The gRPC services: each RPC checks its request, runs a use case and converts the outcome.

mod anomaly;
mod convert;
mod dataset;
mod operation;
mod page;
mod predict_dataset;
mod predict_stream;
pub mod status;

pub use anomaly::AnomalyGrpc;
pub use dataset::DatasetGrpc;
pub use operation::OperationGrpc;
