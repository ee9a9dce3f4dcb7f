//! What may be asked of an isolation forest, and the check that makes it usable.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// How many rows each tree is grown on, drawn without replacement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxSamples {
    /// The smaller of 256 and the number of rows.
    Auto,
    /// A number of rows, at least 2. All rows where there are fewer.
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

/// The parameters of an isolation forest, unchecked. [`ParamGuard::check`] makes them usable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IsolationForestParams {
    /// How many trees, 1 to 10,000. Default 100.
    pub n_estimators: usize,
    /// How many rows each tree is grown on. Default [`MaxSamples::Auto`].
    pub max_samples: MaxSamples,
    /// How many features each tree may split on. Default all.
    pub max_features: MaxFeatures,
    /// The seed of all random choices. Default 0.
    pub random_state: u64,
    /// How many features each split combines: 1 is the classic forest, more the extended one. Default 1.
    pub ndim: usize,
}

impl Default for IsolationForestParams {
    fn default() -> Self {
        Self {
            n_estimators: 100,
            max_samples: MaxSamples::Auto,
            max_features: MaxFeatures::Fraction(1.0),
            random_state: 0,
            ndim: 1,
        }
    }
}

/// Checked parameters, which fit a forest.
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct IsolationForestValidParams(IsolationForestParams);

impl IsolationForestValidParams {
    #[ref_cast_custom]
    fn trust(params: &IsolationForestParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &IsolationForestParams {
        &self.0
    }

    /// How many features a tree may use of `n_features`; fails where more are asked for than there are.
    pub(super) fn n_tree_features(&self, n_features: usize) -> Result<usize> {
        let n_tree_features = match self.0.max_features {
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
        if self.0.ndim > n_features {
            return Err(invalid(
                "ndim",
                format!(
                    "ndim is {}, but there are only {n_features} features",
                    self.0.ndim
                ),
            ));
        }
        Ok(n_tree_features)
    }
}

impl ParamGuard for IsolationForestParams {
    type Checked = IsolationForestValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        if !(1..=10_000).contains(&self.n_estimators) {
            return Err(invalid(
                "n_estimators",
                format!(
                    "n_estimators is {}, it must be from 1 to 10000",
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
                "ndim is 0, it must be from 1 to the number of features".to_owned(),
            ));
        }
        Ok(IsolationForestValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(IsolationForestValidParams(self))
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
