//! Converts the parameters of logistic regression.

use super::class_weight;
use crate::error::{Error, Result};
use crate::proto::v1;
use anomaly_detection::detector::LogisticRegressionParams;

impl TryFrom<v1::LogisticRegression> for LogisticRegressionParams {
    type Error = Error;

    fn try_from(logistic: v1::LogisticRegression) -> Result<Self> {
        let default = Self::default();
        let class_weight = match logistic.class_weight {
            Some(weight) => class_weight::receive(weight)?,
            None => default.class_weight(),
        };
        Ok(Self::new()
            .with_c(logistic.c.unwrap_or(default.c()))
            .with_class_weight(class_weight)
            .with_tol(logistic.tol.unwrap_or(default.tol()))
            .with_max_iter(logistic.max_iter.unwrap_or(default.max_iter())))
    }
}

impl From<LogisticRegressionParams> for v1::LogisticRegression {
    fn from(params: LogisticRegressionParams) -> Self {
        Self {
            c: Some(params.c()),
            class_weight: class_weight::answer(params.class_weight()),
            tol: Some(params.tol()),
            max_iter: Some(params.max_iter()),
        }
    }
}
