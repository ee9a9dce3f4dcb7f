//! Anomaly detection in tables and series: learn what is normal, and say what is not.
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
//! Rows come in as [`table::Table`]s, which [`table::read`] makes of CSV, JSON, Parquet and Arrow files. [`features`] makes matrices
//! of them: categories, times, lags and rolling statistics, imputation, scaling. A [`detector`] scores matrices; [`calibration`]
//! decides which scores are anomalies; [`statistics`] is what they count with. [`pipeline`] joins all of it into a
//! [`pipeline::Model`], which scores, learns from more rows, and can be stored in an [`envelope`] by [`pipeline::artifact`].
//! A [`context::Context`] stops long work from outside, and an [`error::Error`] says what was wrong, where, and what would be right.
//!
//! Each detector by itself is a type of [`detector`] with parameters in linfa's way, and implements [`linfa::traits::Fit`].
//!
//! *Same row, same answer.* A score depends on the model and the row (and, where features are engineered, on the rows of its
//! series before it), never on the other rows or the number of threads. The same data and seed make the same model, to the bit.
//!
//! `examples/` has a longer one: a series in a file, its flagged hours, an update, and a model that is stored and read again.

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
