//! The parameters of a logistic regression.

use crate::detector::class_weight::ClassWeight;
use crate::detector::params::params;
use crate::error::{Error, Result, reason};

params! {
    /// The parameters of [`LogisticRegression`](super::LogisticRegression): scikit-learn's, with its meanings and defaults.
    LogisticRegressionParams => LogisticRegressionValidParams {
        /// The inverse of the regularisation strength: the weight of the sum of losses against half the sum of squared
        /// coefficients. Finite, greater than 0.
        c, with_c: f64 = 1.0,
        /// How much the rows of each class count.
        class_weight, with_class_weight: ClassWeight = ClassWeight::default(),
        /// The fit converges when no component of the gradient exceeds this, and coefficients change by far less. Greater than
        /// 0, at most 1.
        tol, with_tol: f64 = 1e-4,
        /// The most iterations: 1 to 1,000,000.
        max_iter, with_max_iter: u32 = 100,
    }
}

impl LogisticRegressionValidParams {
    fn check_values(&self) -> Result<()> {
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
        Ok(())
    }
}

fn invalid(name: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
