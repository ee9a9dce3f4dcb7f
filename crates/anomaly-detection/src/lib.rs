//! Anomaly detection in tables and time series: learns what is normal and says what is not.
//!
//! The crate is part of the repository of anomalyd, and is not on crates.io. Depend on a checkout by its path, or on the
//! repository with `git = "…"`:
//!
//! ```toml
//! [dependencies]
//! anomaly-detection = { path = "../anomalyd/crates/anomaly-detection" }
//! ```
//!
//! ```
//! use anomaly_detection::context::Context;
//! use anomaly_detection::detector::{DetectorParams, IsolationForestParams};
//! use anomaly_detection::pipeline::{Describe, TrainingSpec};
//! use anomaly_detection::table::read::{FileOptions, Limits, read};
//!
//! # fn main() -> anomaly_detection::error::Result<()> {
//! let payments = "amount,hour\n12,14\n15,15\n11,13\n14,14\n13,15\n12,13\n";
//! let table = read(payments.as_bytes(), &FileOptions::default(), Limits::default())?;
//! let forest = IsolationForestParams::new().with_n_estimators(50);
//! let spec = TrainingSpec {
//!     detector: DetectorParams::IsolationForest(forest),
//!     ..TrainingSpec::default()
//! };
//! let context = Context::new();
//! let model = spec.fit(Some(table), &context)?.model;
//!
//! let new = "amount,hour\n13,14\n9000,3\n";
//! let rows = read(new.as_bytes(), &FileOptions::default(), Limits::default())?;
//! let scored = model.score(rows, None, Describe::Nothing, &context)?;
//! assert!(scored.scores[1] > scored.scores[0]);
//! assert_eq!(scored.is_anomaly, [false, true]);
//! # Ok(())
//! # }
//! ```
//!
//! `fit` takes `Some(table)`, or `None` for a z-score detector with given baselines, which needs no rows. The second argument of
//! `score` is the history that engineered features continue from: `None` begins with the model's own, and one history for all tables of
//! a stream continues from table to table.
//!
//! Rows come as a [`table::Table`], which [`table::read`] reads from CSV, JSON, Parquet and Arrow files. [`features`] turns
//! tables into matrices: it encodes categories, reads times, engineers lags and rolling statistics, imputes and scales. A
//! [`detector`] scores the rows of a matrix, [`calibration`] decides which scores are anomalies, and [`statistics`] provides
//! moments, quantiles and ranks for all of them. [`pipeline`] joins them into a [`pipeline::Model`], which scores rows, learns
//! from more, and can be stored in an [`envelope`] by [`pipeline::artifact`]. A [`context::Context`] stops long work from
//! outside and takes reports of its progress, and an [`error::Error`] says what was wrong, where, and what would be right.
//!
//! Each detector can also be used by itself: it is a type in [`detector`] with parameters in the style of linfa that implement
//! [`linfa::traits::Fit`].
//!
//! *Same row, same answer.* A score depends on the model and the row (and, where features are engineered, on the earlier rows of
//! its series), never on other rows or the number of threads. The same data and seed give bit for bit the same model.
//!
//! `examples/` has a longer example: a series in a file, its flagged hours, an update, and a model that is stored and read again.

pub mod calibration;
pub mod context;
pub mod detector;
pub mod envelope;
pub mod error;
pub mod features;
pub mod le_bytes;
mod messagepack;
pub mod pipeline;
pub mod statistics;
pub mod table;
