//! The parameters of a logistic regression.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::detector::class_weight::ClassWeight;
use crate::error::{Error, Result, reason};

/// The parameters of [`LogisticRegression`](super::LogisticRegression): scikit-learn's, with its meanings and defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegressionParams {
    /// The inverse of the strength of the penalty: the sum of the losses counts so many times half the sum of the squared
    /// coefficients. Finite, greater than 0.
    pub c: f64,
    /// How much the rows of each class count.
    pub class_weight: ClassWeight,
    /// The fit ends when the gradient of the mean loss and penalty is at most this in each coordinate, and coefficients
    /// change by far less. Greater than 0, at most 1.
    pub tol: f64,
    /// The most iterations: 1 to 1,000,000.
    pub max_iter: u32,
}

impl Default for LogisticRegressionParams {
    fn default() -> Self {
        Self {
            c: 1.0,
            class_weight: ClassWeight::default(),
            tol: 1e-4,
            max_iter: 100,
        }
    }
}

/// Checked [`LogisticRegressionParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct LogisticRegressionValidParams(LogisticRegressionParams);

impl LogisticRegressionValidParams {
    #[ref_cast_custom]
    fn trust(params: &LogisticRegressionParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &LogisticRegressionParams {
        &self.0
    }
}

impl ParamGuard for LogisticRegressionParams {
    type Checked = LogisticRegressionValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        if !(self.c.is_finite() && self.c > 0.0) {
            let message = format!("c is {:?}; it must be finite and greater than 0", self.c);
            return Err(invalid("c", message));
        }
        self.class_weight.check()?;
        if !(self.tol > 0.0 && self.tol <= 1.0) {
            let message = format!("tol is {:?}; it must be above 0 and at most 1", self.tol);
            return Err(invalid("tol", message));
        }
        if !(1..=1_000_000).contains(&self.max_iter) {
            let message = format!(
                "max_iter is {}; it must be from 1 to 1000000",
                self.max_iter
            );
            return Err(invalid("max_iter", message));
        }
        Ok(LogisticRegressionValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(LogisticRegressionValidParams(self))
    }
}

fn invalid(name: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
