//! The parameters of an isolation forest and their check.

use serde::{Deserialize, Serialize};

use crate::detector::params::params;
use crate::error::{Error, Result, reason};

/// How many rows each tree is grown on, drawn without replacement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxSamples {
    /// The smaller of 256 and the number of rows.
    Auto,
    /// A number of rows, at least 2. All rows if there are fewer.
    Count(usize),
    /// A fraction of the rows, in (0, 1]; never fewer than 2 rows.
    Fraction(f64),
}

/// How many features each tree may split on, drawn without replacement for each tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxFeatures {
    /// A number of features, at least 1 and at most all.
    Count(usize),
    /// A fraction of the features, in (0, 1]; never fewer than 1 feature.
    Fraction(f64),
}

params! {
    /// The parameters of an [`IsolationForest`](super::IsolationForest), unchecked.
    IsolationForestParams => IsolationForestValidParams {
        /// How many trees, 1 to 10,000. Default 100.
        n_estimators, with_n_estimators: usize = 100,
        /// How many rows each tree is grown on. Default [`MaxSamples::Auto`].
        max_samples, with_max_samples: MaxSamples = MaxSamples::Auto,
        /// How many features each tree may split on. Default all.
        max_features, with_max_features: MaxFeatures = MaxFeatures::Fraction(1.0),
        /// The seed of all random choices. Default 0.
        random_state, with_random_state: u64 = 0,
        /// How many features each split combines: 1 is the classic forest, more the extended one. Default 1.
        ndim, with_ndim: usize = 1,
    }
}

impl IsolationForestValidParams {
    /// How many of `n_features` features a tree may use; fails if more are asked for than there are.
    pub(super) fn n_tree_features(&self, n_features: usize) -> Result<usize> {
        let n_tree_features = match self.max_features {
            MaxFeatures::Count(count) => count,
            MaxFeatures::Fraction(fraction) => {
                ((fraction * n_features as f64) as usize).clamp(1, n_features.max(1))
            }
        };
        if n_tree_features > n_features {
            return Err(invalid(
                "max_features",
                format!(
                    "max_features is {n_tree_features}, but there are only {n_features} features"
                ),
            ));
        }
        if self.ndim > n_features {
            return Err(invalid(
                "ndim",
                format!(
                    "ndim is {}, but there are only {n_features} features",
                    self.ndim
                ),
            ));
        }
        Ok(n_tree_features)
    }
}

impl IsolationForestValidParams {
    fn check_values(&self) -> Result<()> {
        if !(1..=10_000).contains(&self.n_estimators) {
            return Err(invalid(
                "n_estimators",
                format!(
                    "n_estimators is {}; it must be from 1 to 10000",
                    self.n_estimators
                ),
            ));
        }
        match self.max_samples {
            MaxSamples::Count(count) if count < 2 => {
                return Err(invalid(
                    "max_samples",
                    format!("max_samples is {count}, as a count it must be at least 2"),
                ));
            }
            MaxSamples::Fraction(fraction) => check_fraction("max_samples", fraction)?,
            MaxSamples::Auto | MaxSamples::Count(_) => {}
        }
        match self.max_features {
            MaxFeatures::Count(0) => {
                return Err(invalid(
                    "max_features",
                    "max_features is 0, as a count it must be at least 1".to_owned(),
                ));
            }
            MaxFeatures::Fraction(fraction) => check_fraction("max_features", fraction)?,
            MaxFeatures::Count(_) => {}
        }
        if self.ndim == 0 {
            return Err(invalid(
                "ndim",
                "ndim is 0; it must be from 1 to the number of features".to_owned(),
            ));
        }
        Ok(())
    }
}

fn check_fraction(name: &str, fraction: f64) -> Result<()> {
    if fraction > 0.0 && fraction <= 1.0 {
        return Ok(());
    }
    Err(invalid(
        name,
        format!("{name} is {fraction}, as a fraction it must be above 0 and at most 1"),
    ))
}

fn invalid(name: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
