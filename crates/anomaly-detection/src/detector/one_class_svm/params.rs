//! The parameters of a one-class SVM and their check.

use serde::{Deserialize, Serialize};

use crate::detector::params::params;
use crate::error::{Error, Result, reason};

/// The largest degree of a polynomial kernel.
pub const MAX_DEGREE: u32 = 100;

/// The kernel: the similarity of two rows x and y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SvmKernel {
    /// `exp(-gamma |x - y|^2)`.
    Rbf,
    /// `x . y`.
    Linear,
    /// `(gamma x . y + coef0)^degree`.
    Poly,
    /// `tanh(gamma x . y + coef0)`.
    Sigmoid,
}

/// The factor `gamma` of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SvmGamma {
    /// `1 / (d var)`, with the variance of all values of the d columns together; 1 if that is 0.
    Scale,
    /// `1 / d` for d columns.
    Auto,
    /// This factor, above 0.
    Value(f64),
}

params! {
    /// The parameters of a [`OneClassSvm`](super::OneClassSvm), unchecked. Names, meanings and defaults are those of
    /// scikit-learn's `OneClassSVM`.
    OneClassSvmParams => OneClassSvmValidParams {
        /// An upper bound on the fraction of training rows outside the boundary and a lower bound on that of support vectors, in
        /// (0, 1]. Default 0.5.
        nu, with_nu: f64 = 0.5,
        /// The kernel. Default [`SvmKernel::Rbf`].
        kernel, with_kernel: SvmKernel = SvmKernel::Rbf,
        /// The factor of the kernels other than the linear one. Default [`SvmGamma::Scale`].
        gamma, with_gamma: SvmGamma = SvmGamma::Scale,
        /// The degree of the polynomial kernel, 1 to [`MAX_DEGREE`]; the others ignore it. Default 3.
        degree, with_degree: u32 = 3,
        /// The constant term of the polynomial and the sigmoid kernel, finite; the others ignore it. Default 0.
        coef0, with_coef0: f64 = 0.0,
        /// The violation of the optimality conditions at which the solver stops, in units of the score, above 0. The floor is
        /// 1e-8 times nu times the number of rows times the largest kernel value. Default 1e-3.
        tol, with_tol: f64 = 1e-3,
    }
}

impl OneClassSvmValidParams {
    fn check_values(&self) -> Result<()> {
        if !(self.nu > 0.0 && self.nu <= 1.0) {
            let message = format!("nu is {:?}; it must be above 0 and at most 1", self.nu);
            return Err(invalid("nu", message));
        }
        if let SvmGamma::Value(gamma) = self.gamma
            && !(gamma > 0.0 && gamma.is_finite())
        {
            let message = format!("gamma is {gamma:?}; as a value it must be above 0 and finite");
            return Err(invalid("gamma", message));
        }
        if !(1..=MAX_DEGREE).contains(&self.degree) {
            let message = format!(
                "degree is {}; it must be from 1 to {MAX_DEGREE}",
                self.degree
            );
            return Err(invalid("degree", message));
        }
        if !self.coef0.is_finite() {
            let message = format!("coef0 is {:?}; it must be finite", self.coef0);
            return Err(invalid("coef0", message));
        }
        if !(self.tol > 0.0 && self.tol.is_finite()) {
            let message = format!("tol is {:?}; it must be above 0 and finite", self.tol);
            return Err(invalid("tol", message));
        }
        Ok(())
    }
}

fn invalid(name: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
