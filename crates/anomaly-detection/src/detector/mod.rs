//! The algorithms: pure mathematics on matrices of finite doubles, without I/O.
//!
//! Each follows linfa's conventions: `XParams` is checked into `XValidParams`, which fits an `X`. The fitted types are
//! serialisable and validate every index they hold before they are used, so that a hostile artifact cannot make them panic.
//!
//! Columns have names only above this room: an error about a column carries a [`ColumnError`](crate::statistics::ColumnError)
//! as its cause.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::{Error, Result, reason};

pub mod auto;
pub mod class_weight;
#[cfg(test)]
mod contract;
pub mod ecod;
pub mod gaussian;
pub mod hbos;
pub mod isolation_forest;
pub mod knn;
mod lanes;
pub mod lesinn;
pub mod local_outlier_factor;
pub mod logistic_regression;
mod method;
mod neighbors;
pub mod one_class_svm;
pub mod pca;
mod random;
pub mod random_forest;
mod row_order;
mod source;
pub mod z_score;

pub use auto::{Auto, AutoParams};
pub use class_weight::ClassWeight;
pub use ecod::{Ecod, EcodParams};
pub use gaussian::{Gaussian, GaussianParams, GaussianRow};
pub use hbos::{Hbos, HbosParams, NBins};
pub use isolation_forest::{IsolationForest, IsolationForestParams};
pub use knn::{Knn, KnnMethod, KnnParams};
pub use lesinn::{Lesinn, LesinnMetric, LesinnParams};
pub use local_outlier_factor::{LocalOutlierFactor, LocalOutlierFactorParams};
pub use logistic_regression::{LogisticRegression, LogisticRegressionParams};
pub use method::{DefaultScaling, Detector, History, Learned, Method, Sample};
pub use one_class_svm::{OneClassSvm, OneClassSvmParams};
pub use pca::{Pca, PcaParams};
pub use random_forest::{RandomForest, RandomForestParams};
pub use source::{Block, EachBlock, RowSource};
pub use z_score::{Baseline, ZScore, ZScoreParams};

macro_rules! detectors {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// A detector and its parameters, as asked for; unchecked.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DetectorParams {
            $($(#[$doc])* $variant(<$variant as Method>::Params),)*
        }

        /// A fitted detector of any kind.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FittedDetector {
            $($(#[$doc])* $variant($variant),)*
        }

        impl DetectorParams {
            /// Every detector there is, each with its default parameters.
            pub fn defaults() -> Vec<Self> {
                vec![$(Self::$variant(<$variant as Method>::Params::default()),)*]
            }

            /// The name of the detector, as in the field of a request that holds its parameters.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $variant::NAME,)* }
            }

            /// Whether the detector learns from labels.
            pub fn is_supervised(&self) -> bool {
                match self { $(Self::$variant(_) => $variant::SUPERVISED,)* }
            }

            /// How the features reach the detector when a request does not say.
            pub fn default_scaling(&self) -> DefaultScaling {
                match self { $(Self::$variant(_) => $variant::SCALING,)* }
            }

            /// The seed of the detector's random choices; 0 for one that makes none.
            pub fn random_state(&self) -> u64 {
                match self { $(Self::$variant(params) => $variant::random_state(params),)* }
            }

            /// Checks the parameters.
            ///
            /// # Errors
            /// [`reason::INVALID_PARAMETER`] with a path that starts with the detector's name, such as `gaussian.ridge`.
            pub fn check(&self) -> Result<()> {
                let checked = match self { $(Self::$variant(params) => params.check_ref().map(|_| ()),)* };
                checked.map_err(|error| error.within(self.name()))
            }

            /// Fits the detector on the sample. A z-score detector whose baselines are given learns from no rows:
            /// [`ZScore::from_baselines`] makes it.
            ///
            /// # Errors
            /// As [`check`](Self::check) and [`Method::fit`].
            pub fn fit(&self, sample: Sample<'_>, context: &Context) -> Result<Learned<FittedDetector>> {
                let learned = match self {
                    $(Self::$variant(params) => params
                        .check_ref()
                        .and_then(|params| <$variant as Method>::fit(params, sample, context))
                        .map(|learned| learned.map(FittedDetector::$variant)),)*
                };
                learned.map_err(|error| error.within(self.name()))
            }

            /// Whether it can learn from rows that are too many to be held.
            pub fn can_stream(&self) -> bool {
                match self { $(Self::$variant(_) => $variant::STREAMS,)* }
            }

            /// The error of rows that are too many to be held, for a detector that needs all of them at once.
            pub fn cannot_stream(&self) -> Error {
                method::cannot_stream(self.name())
            }

            /// Fits the detector on rows that are too many to be held. See [`fit`](Self::fit).
            ///
            /// # Errors
            /// As [`check`](Self::check) and [`Method::fit_streamed`].
            pub fn fit_streamed(
                &self,
                source: &dyn RowSource,
                context: &Context,
            ) -> Result<Learned<FittedDetector>> {
                let learned = match self {
                    $(Self::$variant(params) => params
                        .check_ref()
                        .and_then(|params| <$variant as Method>::fit_streamed(params, source, context))
                        .map(|learned| learned.map(FittedDetector::$variant)),)*
                };
                learned.map_err(|error| error.within(self.name()))
            }
        }

        impl FittedDetector {
            /// The parameters that the detector was fitted with. What was left out at training holds its default, except
            /// [`ZScoreParams::multiplier`], whose absence says that the threshold came from elsewhere.
            pub fn params(&self) -> DetectorParams {
                match self { $(Self::$variant(fitted) => DetectorParams::$variant(Method::params(fitted).clone()),)* }
            }

            /// A detector that has learned from the sample, too.
            ///
            /// # Errors
            /// As [`Method::update`].
            pub fn update(
                &self,
                history: History<'_>,
                sample: Sample<'_>,
                context: &Context,
            ) -> Result<Learned<Self>> {
                match self {
                    $(Self::$variant(fitted) => Method::update(fitted, history, sample, context)
                        .map(|learned| learned.map(Self::$variant)),)*
                }
            }

            /// The detector behind its common face.
            pub fn as_detector(&self) -> &dyn Detector {
                match self { $(Self::$variant(fitted) => fitted,)* }
            }
        }
    };
}

detectors! {
    /// The ensemble for those who do not want to choose.
    Auto,
    /// Empirical cumulative distribution.
    Ecod,
    /// Multivariate Gaussian.
    Gaussian,
    /// Histogram-based outlier score.
    Hbos,
    /// Isolation forest.
    IsolationForest,
    /// Distance to the nearest neighbours.
    Knn,
    /// Nearest neighbours in small samples.
    Lesinn,
    /// Local outlier factor.
    LocalOutlierFactor,
    /// Logistic regression.
    LogisticRegression,
    /// One-class support vector machine.
    OneClassSvm,
    /// Principal components.
    Pca,
    /// Random forest.
    RandomForest,
    /// Z-score.
    ZScore,
}

impl Default for DetectorParams {
    fn default() -> Self {
        Self::Auto(AutoParams::default())
    }
}

impl FittedDetector {
    /// The name of the detector.
    pub fn name(&self) -> &'static str {
        self.params().name()
    }

    /// Checks a detector that was read from outside; only then may it score.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when its parts do not fit together.
    pub fn validate(&self) -> Result<()> {
        self.params().check().map_err(|error| {
            Error::new(reason::DAMAGED_ARTIFACT, "the parameters are out of range").because(error)
        })?;
        self.as_detector().validate()
    }

    /// The Gaussian detector, if it is one.
    pub fn as_gaussian(&self) -> Option<&Gaussian> {
        match self {
            Self::Gaussian(gaussian) => Some(gaussian),
            _ => None,
        }
    }
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
        return Err(Error::new(reason::SCHEMA_MISMATCH, message));
    }
    Ok(())
}
