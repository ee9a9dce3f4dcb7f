//! anomalyd: an anomaly-detection service over gRPC.
//!
//! Rows come in as [`table::Table`]s; [`features`] makes matrices of them; a [`detector`] scores those; [`calibration`] sets
//! the threshold; [`statistics`] is what they count with; [`pipeline`] joins these into a [`pipeline::Model`] that can be
//! stored in an [`envelope`]. [`runs`] and [`datasets`] are the use cases over the [`compute`] pool and the [`store`].
//! [`huge_pages`] is the allocator of the program. [`service`] speaks protobuf, [`server`] speaks HTTP/2, and [`cli`] speaks to people.
//!
//! Dependencies point one way, from [`cli`] down; `tests/architecture.rs` keeps it so. Two promises hold throughout:
//!
//! 1. *Same row, same answer.* A score depends on the model and the row, never on the other rows of the request, the
//!    transport or the number of threads. The same data and seed make the same model, to the bit.
//! 2. *What was acknowledged is kept.* A response is sent when what it says is on disk.

pub mod calibration;
pub mod caller;
pub mod cli;
pub mod compute;
pub mod config;
pub mod context;
pub mod datasets;
pub mod detector;
pub mod envelope;
pub mod error;
pub mod features;
pub mod huge_pages;
pub mod le_bytes;
pub mod pipeline;
pub mod proto;
pub mod runs;
pub mod server;
pub mod service;
pub mod statistics;
pub mod store;
pub mod table;
pub mod telemetry;
