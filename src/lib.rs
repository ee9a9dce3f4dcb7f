//! anomalyd: an anomaly-detection service over gRPC.
//!
//! [`anomaly_detection`] is the library that detects. [`runs`] and [`datasets`] are the use cases that join it with the
//! [`compute`] pool and the [`store`]; what takes long in them is one of the [`operations`]. [`service`] converts protobuf,
//! [`server`] serves HTTP/2, and [`cli`] is the command line. [`huge_pages`] is the allocator of the program, and [`memory`] has
//! the budgets that bound what it allocates.
//!
//! Dependencies point one way, from [`cli`] down; `tests/architecture.rs` checks that. Two promises hold throughout:
//!
//! 1. *Same row, same answer.* A score depends on the model and the row, never on the other rows of the request, the
//!    transport or the number of threads. The same data and seed make the same model, to the bit.
//! 2. *What was acknowledged is kept.* A response is sent once what it confirms is on disk.

pub mod caller;
pub mod cli;
pub mod compute;
pub mod config;
pub mod datasets;
pub mod error;
pub mod huge_pages;
pub mod memory;
pub mod operations;
pub mod proto;
pub mod runs;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
