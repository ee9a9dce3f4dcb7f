//! The one-class support vector machine.

use super::unknown;
use crate::error::{Error, Result};
use crate::proto::v1::one_class_svm::GammaChoice;
use crate::proto::v1::{self, GammaRule, OneClassSvm};
use anomaly_detection::detector::OneClassSvmParams;
use anomaly_detection::detector::one_class_svm::{Gamma, Kernel};

impl TryFrom<OneClassSvm> for OneClassSvmParams {
    type Error = Error;

    fn try_from(svm: OneClassSvm) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            nu: svm.nu.unwrap_or(default.nu),
            kernel: match v1::Kernel::try_from(svm.kernel) {
                Ok(v1::Kernel::Unspecified) => default.kernel,
                Ok(v1::Kernel::Rbf) => Kernel::Rbf,
                Ok(v1::Kernel::Linear) => Kernel::Linear,
                Ok(v1::Kernel::Poly) => Kernel::Poly,
                Ok(v1::Kernel::Sigmoid) => Kernel::Sigmoid,
                Err(_) => {
                    let known = "KERNEL_RBF, KERNEL_LINEAR, KERNEL_POLY or KERNEL_SIGMOID";
                    return Err(unknown("kernel", svm.kernel, known));
                }
            },
            gamma: match svm.gamma_choice {
                None => default.gamma,
                Some(GammaChoice::Gamma(value)) => Gamma::Value(value),
                Some(GammaChoice::GammaRule(rule)) => match GammaRule::try_from(rule) {
                    Ok(GammaRule::Unspecified) => default.gamma,
                    Ok(GammaRule::Scale) => Gamma::Scale,
                    Ok(GammaRule::Auto) => Gamma::Auto,
                    Err(_) => {
                        let known = "GAMMA_RULE_SCALE or GAMMA_RULE_AUTO";
                        return Err(unknown("gamma_rule", rule, known));
                    }
                },
            },
            degree: svm.degree.unwrap_or(default.degree),
            coef0: svm.coef0.unwrap_or(default.coef0),
            tol: svm.tol.unwrap_or(default.tol),
        })
    }
}

impl From<OneClassSvmParams> for OneClassSvm {
    fn from(params: OneClassSvmParams) -> Self {
        let kernel = match params.kernel {
            Kernel::Rbf => v1::Kernel::Rbf,
            Kernel::Linear => v1::Kernel::Linear,
            Kernel::Poly => v1::Kernel::Poly,
            Kernel::Sigmoid => v1::Kernel::Sigmoid,
        };
        let gamma = match params.gamma {
            Gamma::Scale => GammaChoice::GammaRule(GammaRule::Scale.into()),
            Gamma::Auto => GammaChoice::GammaRule(GammaRule::Auto.into()),
            Gamma::Value(value) => GammaChoice::Gamma(value),
        };
        Self {
            nu: Some(params.nu),
            kernel: kernel.into(),
            gamma_choice: Some(gamma),
            degree: Some(params.degree),
            coef0: Some(params.coef0),
            tol: Some(params.tol),
        }
    }
}
