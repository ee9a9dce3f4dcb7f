//! Anomaly detection: learn what is normal in a table or a series, and say what is not.
//!
//! Rows come in as [`table::Table`]s; [`features`] makes matrices of them; a [`detector`] scores those; [`calibration`] decides
//! which scores are anomalies; [`statistics`] is what they count with; [`pipeline`] joins these into a [`pipeline::Model`] that
//! can be stored in an [`envelope`].
//!
//! *Same row, same answer.* A score depends on the model and the row, never on the other rows or the number of threads. The
//! same data and seed make the same model, to the bit.

pub mod calibration;
pub mod context;
pub mod detector;
pub mod envelope;
pub mod error;
pub mod features;
pub mod le_bytes;
pub mod pipeline;
pub mod statistics;
pub mod table;
