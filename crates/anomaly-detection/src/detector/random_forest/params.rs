//! The parameters of a random forest and their check.

use serde::{Deserialize, Serialize};

use crate::detector::class_weight::ClassWeight;
use crate::detector::params::params;
use crate::error::{Error, Result, reason};

/// The maximum depth of any tree, whatever [`RandomForestParams::max_depth`] allows.
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

params! {
    /// The parameters of a [`RandomForest`](super::RandomForest), unchecked, with scikit-learn's names, meanings and defaults.
    RandomForestParams => RandomForestValidParams {
        /// How many trees, 1 to 10,000. Default 100.
        n_estimators, with_n_estimators: usize = 100,
        /// The maximum depth of a tree, at least 1. Default `None`, which is [`MAX_DEPTH`].
        max_depth, with_max_depth: Option<usize> = None,
        /// The minimum number of distinct rows in a leaf, at least 1. Default 1.
        min_samples_leaf, with_min_samples_leaf: usize = 1,
        /// How many features each split chooses from. Default [`MaxFeatures::Sqrt`].
        max_features, with_max_features: MaxFeatures = MaxFeatures::Sqrt,
        /// How much each class counts. Default [`ClassWeight::Uniform`].
        class_weight, with_class_weight: ClassWeight = ClassWeight::Uniform,
        /// The seed of all random choices. Default 0.
        random_state, with_random_state: u64 = 0,
    }
}

impl RandomForestValidParams {
    /// How many of `n_features` features a split chooses from; fails if the count exceeds `n_features`.
    pub(super) fn n_split_features(&self, n_features: usize) -> Result<usize> {
        let count = match self.max_features {
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

impl RandomForestValidParams {
    fn check_values(&self) -> Result<()> {
        if !(1..=10_000).contains(&self.n_estimators) {
            let message = format!(
                "n_estimators is {}; it must be from 1 to 10000",
                self.n_estimators
            );
            return Err(invalid("n_estimators", message));
        }
        if self.max_depth == Some(0) {
            let message = "max_depth is 0; it must be at least 1 or left out";
            return Err(invalid("max_depth", message));
        }
        if self.min_samples_leaf == 0 {
            let message = "min_samples_leaf is 0; it must be at least 1";
            return Err(invalid("min_samples_leaf", message));
        }
        match self.max_features {
            MaxFeatures::Count(0) => {
                let message = "max_features is 0; as a count it must be at least 1";
                return Err(invalid("max_features", message));
            }
            MaxFeatures::Fraction(fraction) if !(fraction > 0.0 && fraction <= 1.0) => {
                let message = format!(
                    "max_features is {fraction}; as a fraction it must be above 0 and at most 1"
                );
                return Err(invalid("max_features", message));
            }
            MaxFeatures::Sqrt | MaxFeatures::Count(_) | MaxFeatures::Fraction(_) => {}
        }
        self.class_weight.check()?;
        Ok(())
    }
}

fn invalid(name: &str, message: impl Into<String>) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
