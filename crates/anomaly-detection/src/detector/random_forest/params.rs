//! What may be asked of a random forest, and the check that makes it usable.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::detector::class_weight::ClassWeight;
use crate::error::{Error, Result, reason};

/// The deepest that any tree grows, whatever [`RandomForestParams::max_depth`] allows.
pub const MAX_DEPTH: usize = 128;

/// How many features each split chooses from, drawn without replacement for each split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxFeatures {
    /// The square root of the number of features, rounded down.
    #[default]
    Sqrt,
    /// A number of features, at least 1 and at most all.
    Count(usize),
    /// A fraction of the features, in (0, 1]; 1 is all of them, and never fewer than 1 feature.
    Fraction(f64),
}

/// The parameters of a random forest, unchecked, with scikit-learn's names, meanings and defaults. [`ParamGuard::check`] makes
/// them usable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomForestParams {
    /// How many trees, 1 to 10,000. Default 100.
    pub n_estimators: usize,
    /// How many splits lie between the root and a leaf at most, at least 1. Default none, which is [`MAX_DEPTH`].
    pub max_depth: Option<usize>,
    /// How many distinct rows a leaf has at least, at least 1. Default 1.
    pub min_samples_leaf: usize,
    /// How many features each split chooses from. Default [`MaxFeatures::Sqrt`].
    pub max_features: MaxFeatures,
    /// How much each class counts. Default [`ClassWeight::Uniform`].
    pub class_weight: ClassWeight,
    /// The seed of all random choices. Default 0.
    pub random_state: u64,
}

impl Default for RandomForestParams {
    fn default() -> Self {
        Self {
            n_estimators: 100,
            max_depth: None,
            min_samples_leaf: 1,
            max_features: MaxFeatures::Sqrt,
            class_weight: ClassWeight::Uniform,
            random_state: 0,
        }
    }
}

/// Checked parameters, which fit a forest.
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct RandomForestValidParams(RandomForestParams);

impl RandomForestValidParams {
    #[ref_cast_custom]
    fn trust(params: &RandomForestParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &RandomForestParams {
        &self.0
    }

    /// How many features a split chooses from of `n_features`; fails where more are asked for than there are.
    pub(super) fn n_split_features(&self, n_features: usize) -> Result<usize> {
        let count = match self.0.max_features {
            MaxFeatures::Sqrt => n_features.isqrt(),
            MaxFeatures::Fraction(fraction) => (fraction * n_features as f64) as usize,
            MaxFeatures::Count(count) if count > n_features => {
                let message =
                    format!("max_features is {count}, but there are only {n_features} features");
                return Err(invalid("max_features", message));
            }
            MaxFeatures::Count(count) => count,
        };
        Ok(count.max(1))
    }
}

impl ParamGuard for RandomForestParams {
    type Checked = RandomForestValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        if !(1..=10_000).contains(&self.n_estimators) {
            let message = format!(
                "n_estimators is {}, it must be from 1 to 10000",
                self.n_estimators
            );
            return Err(invalid("n_estimators", message));
        }
        if self.max_depth == Some(0) {
            let message = "max_depth is 0, it must be at least 1 or left out";
            return Err(invalid("max_depth", message));
        }
        if self.min_samples_leaf == 0 {
            let message = "min_samples_leaf is 0, it must be at least 1";
            return Err(invalid("min_samples_leaf", message));
        }
        match self.max_features {
            MaxFeatures::Count(0) => {
                let message = "max_features is 0, as a count it must be at least 1";
                return Err(invalid("max_features", message));
            }
            MaxFeatures::Fraction(fraction) if !(fraction > 0.0 && fraction <= 1.0) => {
                let message = format!(
                    "max_features is {fraction}, as a fraction it must be above 0 and at most 1"
                );
                return Err(invalid("max_features", message));
            }
            MaxFeatures::Sqrt | MaxFeatures::Count(_) | MaxFeatures::Fraction(_) => {}
        }
        self.class_weight.check()?;
        Ok(RandomForestValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(RandomForestValidParams(self))
    }
}

fn invalid(name: &str, message: impl Into<String>) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
