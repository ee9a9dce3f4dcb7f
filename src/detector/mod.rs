//! The algorithms: pure mathematics on matrices of finite doubles, without I/O.
//!
//! Each follows linfa's conventions: `XParams` is checked into `XValidParams`, which fits an `X`. The fitted types are
//! serialisable and validate every index they hold before they are used, so that a hostile artifact cannot make them panic.
//!
//! Columns have names only above this room. An error about a column carries a [`ColumnError`] as its cause, and
//! [`name_column`] puts the name into the message.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::context::Context;
use crate::error::{Error, Reason, Result};

pub mod gaussian;
pub mod isolation_forest;
pub mod moments;
pub mod z_score;

pub use gaussian::{Gaussian, GaussianParams, GaussianRow};
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

impl Default for DetectorParams {
    fn default() -> Self {
        Self::IsolationForest(IsolationForestParams::default())
    }
}

impl DetectorParams {
    /// The name of the detector, as in the field of a request that holds its parameters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::IsolationForest(_) => "isolation_forest",
            Self::Gaussian(_) => "gaussian",
            Self::ZScore(_) => "z_score",
        }
    }

    /// The seed of the detector's random choices; 0 for one that makes none.
    pub fn random_state(&self) -> u64 {
        match self {
            Self::IsolationForest(params) => params.random_state,
            Self::Gaussian(_) | Self::ZScore(_) => 0,
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Reason::InvalidParameter`] with a path that starts with the detector's name, such as `gaussian.ridge`.
    pub fn check(&self) -> Result<()> {
        let checked = match self {
            Self::IsolationForest(params) => params.check_ref().map(|_| ()),
            Self::Gaussian(params) => params.check_ref().map(|_| ()),
            Self::ZScore(params) => params.check_ref().map(|_| ()),
        };
        checked.map_err(|error| error.within(self.name()))
    }

    /// Fits the detector on the sample. A z-score detector whose baselines are given learns from no rows:
    /// [`ZScore::from_baselines`] makes it.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Reason::UnusableRows`] where nothing can be learned from the rows; what `context` has to
    /// say.
    pub fn fit(&self, sample: Sample<'_>, context: &Context) -> Result<FittedDetector> {
        let fitted = match self {
            Self::IsolationForest(params) => params
                .check_ref()
                .and_then(|params| params.fit_rows(None, sample, context))
                .map(FittedDetector::IsolationForest),
            Self::Gaussian(params) => params
                .check_ref()
                .and_then(|params| params.fit_rows(sample, context))
                .map(FittedDetector::Gaussian),
            Self::ZScore(params) => params
                .check_ref()
                .and_then(|params| params.fit_rows(sample, context))
                .map(FittedDetector::ZScore),
        };
        fitted.map_err(|error| error.within(self.name()))
    }
}

impl FittedDetector {
    /// The name of the detector.
    pub fn name(&self) -> &'static str {
        self.params().name()
    }

    /// The parameters that the detector was fitted with. What was left out at training holds its default, except
    /// [`ZScoreParams::multiplier`], whose absence says that the threshold came from elsewhere.
    pub fn params(&self) -> DetectorParams {
        match self {
            Self::IsolationForest(forest) => {
                DetectorParams::IsolationForest(forest.params().clone())
            }
            Self::Gaussian(gaussian) => DetectorParams::Gaussian(gaussian.params().clone()),
            Self::ZScore(z_score) => DetectorParams::ZScore(z_score.params().clone()),
        }
    }

    /// A detector that has learned from the sample, too. `gaussian` and `z_score` learn exactly and need no history.
    ///
    /// # Errors
    /// [`Reason::UpdateRefused`] when the detector does not learn; otherwise as [`DetectorParams::fit`].
    pub fn update(
        &self,
        history: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Self> {
        match self {
            Self::IsolationForest(forest) => forest
                .update(history, sample, context)
                .map(Self::IsolationForest),
            Self::Gaussian(gaussian) => gaussian.update(sample, context).map(Self::Gaussian),
            Self::ZScore(z_score) => z_score.update(sample, context).map(Self::ZScore),
        }
    }

    /// The detector behind its common face.
    pub fn as_detector(&self) -> &dyn Detector {
        match self {
            Self::IsolationForest(forest) => forest,
            Self::Gaussian(gaussian) => gaussian,
            Self::ZScore(z_score) => z_score,
        }
    }

    /// Checks a detector that was read from outside; only then may it score.
    ///
    /// # Errors
    /// [`Reason::DamagedArtifact`] when its parts do not fit together.
    pub fn validate(&self) -> Result<()> {
        self.params().check().map_err(|error| {
            Error::new(Reason::DamagedArtifact, "the parameters are out of range").because(error)
        })?;
        match self {
            Self::IsolationForest(forest) => forest.validate(),
            Self::Gaussian(gaussian) => gaussian.validate(),
            Self::ZScore(z_score) => z_score.validate(),
        }
    }

    /// The z-score of each feature of a row, for the detectors that have them.
    ///
    /// # Panics
    /// If the row has another number of features.
    pub fn z_scores(&self, row: &[f64]) -> Option<Vec<f64>> {
        match self {
            Self::IsolationForest(_) => None,
            Self::Gaussian(gaussian) => Some(gaussian.z_scores(row)),
            Self::ZScore(z_score) => Some(z_score.z_scores(row)),
        }
    }

    /// The Gaussian detector, if it is one.
    pub fn as_gaussian(&self) -> Option<&Gaussian> {
        match self {
            Self::Gaussian(gaussian) => Some(gaussian),
            _ => None,
        }
    }

    /// The bytes that the detector takes in memory.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::IsolationForest(forest) => forest.size_bytes(),
            Self::Gaussian(gaussian) => gaussian.size_bytes(),
            Self::ZScore(z_score) => z_score.size_bytes(),
        }
    }
}

/// What is wrong with one column of the rows.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("column {column}: {problem}")]
pub struct ColumnError {
    /// The index of the column, counted from 0.
    pub column: usize,
    /// What is wrong with it and what would be right.
    pub problem: &'static str,
}

impl ColumnError {
    /// The mean or the variance of the column leaves the range of a double.
    pub fn not_finite(column: usize) -> Self {
        Self {
            column,
            problem: "the variance of its values is not finite; scale them down or leave the column out",
        }
    }

    /// The same as an error that names the column, where `names` holds its name.
    pub fn named(self, names: &[String]) -> Error {
        match names.get(self.column) {
            Some(name) => {
                let message = format!("column {name:?}: {}", self.problem);
                Error::new(Reason::UnusableRows, message).because(self)
            }
            None => self.into(),
        }
    }
}

impl From<ColumnError> for Error {
    fn from(error: ColumnError) -> Self {
        Error::new(Reason::UnusableRows, error.to_string()).because(error)
    }
}

/// The error with the name of the column that it is about, if it is about one.
pub fn name_column(error: Error, names: &[String]) -> Error {
    let about = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<ColumnError>())
        .cloned();
    about.map_or(error, |about| about.named(names))
}

/// The largest z-score in absolute value; all beyond it count as it, so that no distance overflows.
const MAX_Z: f64 = 1e100;

/// How many standard deviations `x` lies above the mean, at most [`MAX_Z`] either way. All arguments are finite. The mean
/// comes as a sum of two doubles, so that rounding it does not show where its offset is far larger than the deviation.
fn z_score(x: f64, (mean, mean_low): (f64, f64), std: f64) -> f64 {
    (((x - mean) - mean_low) / std).clamp(-MAX_Z, MAX_Z)
}

/// The scale of a column: its standard deviation, or where that is 0 or too small to be inverted, 1e-12 times the larger
/// of 1 and the mean in absolute value. Against this floor any deviation from a constant is very anomalous, yet finite.
fn scale(std: f64, mean: f64) -> f64 {
    if is_constant(std) {
        1e-12 * mean.abs().max(1.0)
    } else {
        std
    }
}

/// Whether a column with this standard deviation counts as constant: its variance is not a normal double.
fn is_constant(std: f64) -> bool {
    std * std < f64::MIN_POSITIVE
}

/// Checks that the rows have as many columns as the model.
fn check_n_features(rows: ArrayView2<'_, f64>, expected: usize) -> Result<()> {
    if rows.ncols() != expected {
        let message = format!(
            "the rows have {} columns, the model has {expected}",
            rows.ncols()
        );
        return Err(Error::new(Reason::SchemaMismatch, message));
    }
    Ok(())
}
