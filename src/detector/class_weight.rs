//! How much the rows of each class count when a supervised detector learns.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Reason, Result};

/// How much the rows of each class count.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    /// Every row counts 1.
    #[default]
    Uniform,
    /// Both classes count the same in sum: a row counts n / (2 * rows of its class), as in scikit-learn.
    Balanced,
    /// A row counts what is given for its class.
    Given {
        /// The weight of a normal row; finite, greater than 0.
        normal: f64,
        /// The weight of an anomaly; finite, greater than 0.
        anomaly: f64,
    },
}

impl ClassWeight {
    /// Checks the weights.
    ///
    /// # Errors
    /// [`Reason::InvalidParameter`] at `class_weight.normal` or `class_weight.anomaly`.
    pub fn check(&self) -> Result<()> {
        let Self::Given { normal, anomaly } = *self else {
            return Ok(());
        };
        for (class, weight) in [("normal", normal), ("anomaly", anomaly)] {
            if !(weight.is_finite() && weight > 0.0) {
                let message = format!(
                    "the weight of the class {class} is {weight}; it must be finite and greater than 0"
                );
                return Err(Error::new(Reason::InvalidParameter, message)
                    .at(format!("class_weight.{class}")));
            }
        }
        Ok(())
    }

    /// What a normal row and an anomaly count, where there are so many of each, both greater than 0.
    pub fn weights(&self, normal: f64, anomaly: f64) -> (f64, f64) {
        match *self {
            Self::Uniform => (1.0, 1.0),
            Self::Balanced => {
                let half = 0.5 * (normal + anomaly);
                (half / normal, half / anomaly)
            }
            Self::Given { normal, anomaly } => (normal, anomaly),
        }
    }
}
