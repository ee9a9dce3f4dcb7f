//! Converts the parameters of the one-class support vector machine.

use super::unknown;
use crate::error::{Error, Result};
use crate::proto::v1::one_class_svm::GammaChoice;
use crate::proto::v1::{self, OneClassSvm};
use anomaly_detection::detector::OneClassSvmParams;
use anomaly_detection::detector::one_class_svm::{SvmGamma, SvmKernel};

impl TryFrom<OneClassSvm> for OneClassSvmParams {
    type Error = Error;

    fn try_from(svm: OneClassSvm) -> Result<Self> {
        let default = Self::default();
        let kernel = match v1::SvmKernel::try_from(svm.kernel) {
            Ok(v1::SvmKernel::Unspecified) => default.kernel(),
            Ok(v1::SvmKernel::Rbf) => SvmKernel::Rbf,
            Ok(v1::SvmKernel::Linear) => SvmKernel::Linear,
            Ok(v1::SvmKernel::Poly) => SvmKernel::Poly,
            Ok(v1::SvmKernel::Sigmoid) => SvmKernel::Sigmoid,
            Err(_) => {
                let known =
                    "SVM_KERNEL_RBF, SVM_KERNEL_LINEAR, SVM_KERNEL_POLY or SVM_KERNEL_SIGMOID";
                return Err(unknown("kernel", svm.kernel, known));
            }
        };
        let gamma = match svm.gamma_choice {
            None => default.gamma(),
            Some(GammaChoice::Gamma(value)) => SvmGamma::Value(value),
            Some(GammaChoice::GammaRule(rule)) => match v1::SvmGammaRule::try_from(rule) {
                Ok(v1::SvmGammaRule::Unspecified) => default.gamma(),
                Ok(v1::SvmGammaRule::Scale) => SvmGamma::Scale,
                Ok(v1::SvmGammaRule::Auto) => SvmGamma::Auto,
                Err(_) => {
                    let known = "SVM_GAMMA_RULE_SCALE or SVM_GAMMA_RULE_AUTO";
                    return Err(unknown("gamma_rule", rule, known));
                }
            },
        };
        Ok(Self::new()
            .with_nu(svm.nu.unwrap_or(default.nu()))
            .with_kernel(kernel)
            .with_gamma(gamma)
            .with_degree(svm.degree.unwrap_or(default.degree()))
            .with_coef0(svm.coef0.unwrap_or(default.coef0()))
            .with_tol(svm.tol.unwrap_or(default.tol())))
    }
}

impl From<OneClassSvmParams> for OneClassSvm {
    fn from(params: OneClassSvmParams) -> Self {
        let kernel = match params.kernel() {
            SvmKernel::Rbf => v1::SvmKernel::Rbf,
            SvmKernel::Linear => v1::SvmKernel::Linear,
            SvmKernel::Poly => v1::SvmKernel::Poly,
            SvmKernel::Sigmoid => v1::SvmKernel::Sigmoid,
        };
        let gamma = match params.gamma() {
            SvmGamma::Scale => GammaChoice::GammaRule(v1::SvmGammaRule::Scale.into()),
            SvmGamma::Auto => GammaChoice::GammaRule(v1::SvmGammaRule::Auto.into()),
            SvmGamma::Value(value) => GammaChoice::Gamma(value),
        };
        Self {
            nu: Some(params.nu()),
            kernel: kernel.into(),
            gamma_choice: Some(gamma),
            degree: Some(params.degree()),
            coef0: Some(params.coef0()),
            tol: Some(params.tol()),
        }
    }
}
