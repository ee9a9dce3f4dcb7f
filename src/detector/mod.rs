//! The algorithms: pure mathematics on matrices of finite doubles, without I/O.
//!
//! Each follows linfa's conventions: `XParams` is checked into `XValidParams`, which fits an `X`. The fitted types are
//! serialisable and validate every index they hold before they are used, so that a hostile artifact cannot make them panic.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub mod gaussian;
pub mod isolation_forest;
pub mod moments;
pub mod z_score;

pub use gaussian::{Gaussian, GaussianParams};
pub use isolation_forest::{IsolationForest, IsolationForestParams};
pub use z_score::{Baseline, ZScore, ZScoreParams};

/// The rows that a detector learns from, after imputation and scaling.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The rows, n x d, all finite: missing values are imputed.
    pub rows: ArrayView2<'a, f64>,
    /// The same rows with NaN where a value was missing. May be the very same matrix where none was.
    pub observed: ArrayView2<'a, f64>,
}

/// What stands for the rows that a detector has learned from before.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// A uniform sample of all rows seen before, imputed and scaled, all finite.
    pub rows: ArrayView2<'a, f64>,
    /// How many rows were seen before.
    pub seen: u64,
}

/// A fitted detector.
pub trait Detector: Send + Sync {
    /// The number of features of the rows it scores.
    fn n_features(&self) -> usize;

    /// Scores a block of rows on the calling thread. Higher is more anomalous. A row's score depends on that row alone.
    ///
    /// `rows` is n x [`n_features`](Self::n_features) in standard layout with finite values; `scores` has length n.
    fn score_block(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]);
}

/// A detector and its parameters, as asked for; unchecked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorParams {
    /// Isolation forest.
    IsolationForest(IsolationForestParams),
    /// Multivariate Gaussian.
    Gaussian(GaussianParams),
    /// Z-score.
    ZScore(ZScoreParams),
}

/// A fitted detector of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FittedDetector {
    /// Isolation forest.
    IsolationForest(IsolationForest),
    /// Multivariate Gaussian.
    Gaussian(Gaussian),
    /// Z-score.
    ZScore(ZScore),
}
