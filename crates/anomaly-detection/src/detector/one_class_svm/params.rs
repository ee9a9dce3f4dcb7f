//! What may be asked of a one-class SVM, and the check that makes it usable.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The largest degree of a polynomial kernel.
pub const MAX_DEGREE: u32 = 100;

/// How alike two rows x and y are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
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
pub enum Gamma {
    /// `1 / (d var)`, with the variance over all values of all d columns together; 1 where that is 0.
    Scale,
    /// `1 / d`, with d columns.
    Auto,
    /// This factor, above 0.
    Value(f64),
}

/// The parameters of a one-class SVM, unchecked. [`ParamGuard::check`] makes them usable. Names, meanings and defaults are
/// those of scikit-learn's `OneClassSVM`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneClassSvmParams {
    /// An upper bound on the fraction of training rows outside the boundary and a lower bound on that of support vectors, in
    /// (0, 1]. Default 0.5.
    pub nu: f64,
    /// The kernel. Default [`Kernel::Rbf`].
    pub kernel: Kernel,
    /// The factor of the kernels other than the linear one. Default [`Gamma::Scale`].
    pub gamma: Gamma,
    /// The degree of the polynomial kernel, 1 to [`MAX_DEGREE`]; the others ignore it. Default 3.
    pub degree: u32,
    /// The constant term of the polynomial and the sigmoid kernel, finite; the others ignore it. Default 0.
    pub coef0: f64,
    /// By how much the optimality conditions may be violated when the solver stops, in units of the score, above 0; but no
    /// less than 1e-8 times nu times the number of rows times the largest kernel value. Default 1e-3.
    pub tol: f64,
}

impl Default for OneClassSvmParams {
    fn default() -> Self {
        Self {
            nu: 0.5,
            kernel: Kernel::Rbf,
            gamma: Gamma::Scale,
            degree: 3,
            coef0: 0.0,
            tol: 1e-3,
        }
    }
}

/// Checked parameters, which fit a one-class SVM.
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct OneClassSvmValidParams(OneClassSvmParams);

impl OneClassSvmValidParams {
    #[ref_cast_custom]
    fn trust(params: &OneClassSvmParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &OneClassSvmParams {
        &self.0
    }
}

impl ParamGuard for OneClassSvmParams {
    type Checked = OneClassSvmValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        if !(self.nu > 0.0 && self.nu <= 1.0) {
            let message = format!("nu is {:?}, it must be above 0 and at most 1", self.nu);
            return Err(invalid("nu", message));
        }
        if let Gamma::Value(gamma) = self.gamma
            && !(gamma > 0.0 && gamma.is_finite())
        {
            let message = format!("gamma is {gamma:?}, as a value it must be above 0 and finite");
            return Err(invalid("gamma", message));
        }
        if !(1..=MAX_DEGREE).contains(&self.degree) {
            let message = format!(
                "degree is {}, it must be from 1 to {MAX_DEGREE}",
                self.degree
            );
            return Err(invalid("degree", message));
        }
        if !self.coef0.is_finite() {
            let message = format!("coef0 is {:?}, it must be finite", self.coef0);
            return Err(invalid("coef0", message));
        }
        if !(self.tol > 0.0 && self.tol.is_finite()) {
            let message = format!("tol is {:?}, it must be above 0 and finite", self.tol);
            return Err(invalid("tol", message));
        }
        Ok(OneClassSvmValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(OneClassSvmValidParams(self))
    }
}

fn invalid(name: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(name)
}
