//! How much each class counts, and the detector that is little else: logistic regression.

use crate::detector::{ClassWeight, LogisticRegressionParams};
use crate::error::{Error, Reason, Result};
use crate::proto::v1;

impl TryFrom<v1::ClassWeight> for ClassWeight {
    type Error = Error;

    fn try_from(weight: v1::ClassWeight) -> Result<Self> {
        match (weight.balanced, weight.normal, weight.anomaly) {
            (true, None, None) => Ok(Self::Balanced),
            (true, _, _) => {
                let message = "balanced and given weights exclude each other; give one of them";
                Err(Error::new(Reason::InvalidParameter, message).at("class_weight.balanced"))
            }
            (false, None, None) => Ok(Self::Uniform),
            (false, normal, anomaly) => Ok(Self::Given {
                normal: normal.unwrap_or(1.0),
                anomaly: anomaly.unwrap_or(1.0),
            }),
        }
    }
}

impl From<ClassWeight> for Option<v1::ClassWeight> {
    fn from(weight: ClassWeight) -> Self {
        match weight {
            ClassWeight::Uniform => None,
            ClassWeight::Balanced => Some(v1::ClassWeight {
                balanced: true,
                ..v1::ClassWeight::default()
            }),
            ClassWeight::Given { normal, anomaly } => Some(v1::ClassWeight {
                balanced: false,
                normal: Some(normal),
                anomaly: Some(anomaly),
            }),
        }
    }
}

impl TryFrom<v1::LogisticRegression> for LogisticRegressionParams {
    type Error = Error;

    fn try_from(logistic: v1::LogisticRegression) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            c: logistic.c.unwrap_or(default.c),
            class_weight: match logistic.class_weight {
                Some(weight) => weight.try_into()?,
                None => default.class_weight,
            },
            tol: logistic.tol.unwrap_or(default.tol),
            max_iter: logistic.max_iter.unwrap_or(default.max_iter),
        })
    }
}

impl From<LogisticRegressionParams> for v1::LogisticRegression {
    fn from(params: LogisticRegressionParams) -> Self {
        Self {
            c: Some(params.c),
            class_weight: params.class_weight.into(),
            tol: Some(params.tol),
            max_iter: Some(params.max_iter),
        }
    }
}
