//! Logistic regression: the score of a row is the probability that it is an anomaly.

mod params;

use linfa::ParamGuard as _;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{LogisticRegressionParams, LogisticRegressionValidParams};

use super::method::linfa_fit;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

linfa_fit!(LogisticRegressionValidParams => LogisticRegression, supervised);

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    params: LogisticRegressionParams,
    #[serde(with = "crate::le_bytes")]
    coefficients: Vec<f64>,
}

impl Detector for LogisticRegression {
    fn n_features(&self) -> usize {
        self.coefficients.len()
    }

    fn score_block(&self, _rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        scores.fill(0.5);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + 8 * self.coefficients.len()
    }

    fn validate(&self) -> Result<()> {
        self.params.check_ref().map(|_| ())
    }
}

impl Method for LogisticRegression {
    type Params = LogisticRegressionParams;

    const NAME: &'static str = "logistic_regression";

    const SUPERVISED: bool = true;

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &LogisticRegressionValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        context.check()?;
        Ok(Learned::plain(Self {
            params: params.params().clone(),
            coefficients: vec![0.0; sample.rows.ncols()],
        }))
    }

    fn update(&self, _: History<'_>, _: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        Err(Error::new(Reason::UpdateRefused, "not yet"))
    }

    fn params(&self) -> &LogisticRegressionParams {
        &self.params
    }
}
