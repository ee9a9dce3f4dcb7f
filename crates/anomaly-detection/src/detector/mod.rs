//! The algorithms: pure mathematics on matrices of finite doubles, without I/O.
//!
//! Each follows linfa's conventions: `XParams`, set as in `KnnParams::new().with_n_neighbors(7)`, is checked into
//! `XValidParams`, which fits an `X`. The fitted types are serialisable and are validated before they are used, so that a hostile
//! artifact cannot make them panic.
//!
//! Detectors know columns by index, not by name: an error about a column carries a
//! [`ColumnError`](crate::statistics::ColumnError) as its cause, for callers that know the name.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::calibration::Policy;
use crate::context::Context;
use crate::error::{Error, Result, reason};

pub mod auto;
#[cfg(test)]
mod cancellation;
pub mod class_weight;
#[cfg(test)]
mod contract;
mod dot;
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
mod params;
pub mod pca;
mod random;
pub mod random_forest;
mod row_order;
mod simd;
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
pub use method::{DefaultScaling, Detector, Given, Learned, Method, PastRows, Sample};
pub use one_class_svm::{OneClassSvm, OneClassSvmParams};
pub use pca::{Pca, PcaParams};
pub use random_forest::{RandomForest, RandomForestParams};
pub use source::{Chunk, EachChunk, RowSource};
pub use z_score::{Baseline, ZScore, ZScoreParams};

macro_rules! detectors {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// A detector with its parameters, unchecked.
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
            /// Every detector, each with its default parameters.
            pub fn defaults() -> Vec<Self> {
                vec![$(Self::$variant(<$variant as Method>::Params::default()),)*]
            }

            /// The name of the detector, which is also the name of the request field with its parameters.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $variant::NAME,)* }
            }

            /// Whether the detector learns from labels.
            pub fn is_supervised(&self) -> bool {
                match self { $(Self::$variant(_) => $variant::SUPERVISED,)* }
            }

            /// How features are scaled for the detector by default.
            pub fn default_scaling(&self) -> DefaultScaling {
                match self { $(Self::$variant(_) => $variant::SCALING,)* }
            }

            /// How scores become decisions by default.
            pub fn default_policy(&self) -> Policy {
                match self { $(Self::$variant(_) => $variant::default_policy(),)* }
            }

            /// How scores become decisions if a parameter defines that, with the name of the parameter.
            pub fn stated_policy(&self) -> Option<(&'static str, Policy)> {
                match self { $(Self::$variant(params) => $variant::stated_policy(params),)* }
            }

            /// The detector if its parameters define it completely; `None` if it learns from rows.
            ///
            /// # Errors
            /// As [`check`](Self::check).
            pub fn given(&self) -> Result<Option<Given<FittedDetector>>> {
                self.check()?;
                Ok(match self {
                    $(Self::$variant(params) => <$variant as Method>::given(params.check_ref()?)
                        .map(|given| given.map(FittedDetector::$variant)),)*
                })
            }

            /// The seed of the detector's random choices; 0 if it makes none.
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

            /// Fits the detector on rows. A detector that is [`given`](Self::given) does not learn from rows.
            ///
            /// # Errors
            /// As [`check`](Self::check) and [`Method::fit`].
            pub fn fit(&self, rows: &dyn RowSource, context: &Context) -> Result<Learned<FittedDetector>> {
                let learned = match self {
                    $(Self::$variant(params) => params
                        .check_ref()
                        .and_then(|params| <$variant as Method>::fit(params, rows, context))
                        .map(|learned| learned.map(FittedDetector::$variant)),)*
                };
                learned.map_err(|error| error.within(self.name()))
            }

            /// Whether it can learn from more rows than fit in memory.
            pub fn can_stream(&self) -> bool {
                match self { $(Self::$variant(_) => $variant::STREAMS,)* }
            }

            /// The error for more rows than fit in memory, from a detector that needs them all at once.
            pub fn cannot_stream(&self) -> Error {
                method::cannot_stream(self.name())
            }
        }

        impl FittedDetector {
            /// The name of the detector.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $variant::NAME,)* }
            }

            /// The parameters that the detector was fitted with. [`ZScoreParams::multiplier`] is `None` if the threshold came
            /// from elsewhere.
            pub fn params(&self) -> DetectorParams {
                match self { $(Self::$variant(fitted) => DetectorParams::$variant(Method::params(fitted).clone()),)* }
            }

            /// The detector after it has also learned from the sample.
            ///
            /// # Errors
            /// As [`Method::update`].
            pub fn update(
                &self,
                past: PastRows<'_>,
                sample: Sample<'_>,
                context: &Context,
            ) -> Result<Learned<Self>> {
                match self {
                    $(Self::$variant(fitted) => Method::update(fitted, past, sample, context)
                        .map(|learned| learned.map(Self::$variant)),)*
                }
            }

            /// The detector as a trait object.
            pub fn as_detector(&self) -> &dyn Detector {
                match self { $(Self::$variant(fitted) => fitted,)* }
            }
        }
    };
}

detectors! {
    /// An ensemble with nothing to tune.
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
    /// Validates a deserialised detector. Must succeed before the detector scores.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] if its parts are inconsistent.
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

/// Z-scores are clamped to this absolute value, so that no distance overflows.
const MAX_Z: f64 = 1e100;

/// How many standard deviations `x` lies above the mean, clamped to [`MAX_Z`] either way. All arguments are finite. The mean is
/// a sum of two doubles, so that its rounding error stays small even against a deviation far smaller than the mean.
fn z_score(x: f64, (mean, mean_low): (f64, f64), std: f64) -> f64 {
    (((x - mean) - mean_low) / std).clamp(-MAX_Z, MAX_Z)
}

/// The scale of a column: its standard deviation, or if that is 0 or too small to invert, 1e-12 max(1, |mean|). On that scale
/// any deviation from a constant is huge, yet finite.
fn scale(std: f64, mean: f64) -> f64 {
    if is_constant(std) {
        1e-12 * mean.abs().max(1.0)
    } else {
        std
    }
}

/// Whether a column with this standard deviation counts as constant: its variance is zero or subnormal.
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
