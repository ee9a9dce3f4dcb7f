//! The policy that a caller chooses for turning scores into decisions.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The share of rows to flag when none is given, as in PyOD.
pub const DEFAULT_CONTAMINATION: f64 = 0.1;

/// How the scores of a model become decisions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The threshold is the quantile of the calibration scores with this share above it; above 0 and at most 0.5.
    Contamination(f64),
    /// The threshold itself, in units of the score; finite.
    Threshold(f64),
}

impl Policy {
    /// Checks that the number is within its range.
    ///
    /// # Errors
    /// [`reason::INVALID_FIELD`](crate::error::reason::INVALID_FIELD) at `contamination` or `threshold` if it is not.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Contamination(share) if share > 0.0 && share <= 0.5 => Ok(()),
            Self::Contamination(share) => {
                let message =
                    format!("the contamination is {share}; it must be above 0 and at most 0.5");
                Err(Error::field("contamination", message))
            }
            Self::Threshold(value) if value.is_finite() => Ok(()),
            Self::Threshold(value) => {
                let message = format!("the threshold is {value}; it must be finite");
                Err(Error::field("threshold", message))
            }
        }
    }

    /// Whether the threshold depends on the scores of the training rows.
    pub fn needs_scores(self) -> bool {
        match self {
            Self::Contamination(_) => true,
            Self::Threshold(_) => false,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::Contamination(DEFAULT_CONTAMINATION)
    }
}
