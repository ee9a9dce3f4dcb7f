//! Logistic regression.

use crate::detector::LogisticRegressionParams;
use crate::error::{Error, Result};
use crate::proto::v1;

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
