//! Random forest (Breiman, "Random Forests", Machine Learning 45, 2001): learns from labels.

mod params;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{MAX_DEPTH, MaxFeatures, RandomForestParams, RandomForestValidParams};

use super::method::linfa_fit;
use super::{Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

/// A fitted random forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomForest {
    params: RandomForestParams,
    n_features: usize,
}

linfa_fit!(RandomForestValidParams => RandomForest, supervised);

impl Detector for RandomForest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn score_block(&self, _rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        scores.fill(0.0);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn validate(&self) -> Result<()> {
        self.params.check_ref().map(|_| ())
    }
}

impl Method for RandomForest {
    type Params = RandomForestParams;

    const NAME: &'static str = "random_forest";

    const SUPERVISED: bool = true;

    fn random_state(params: &RandomForestParams) -> u64 {
        params.random_state
    }

    fn fit(
        _params: &RandomForestValidParams,
        _sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        context.check()?;
        Err(Error::new(Reason::UnusableRows, "not learned yet"))
    }

    fn update(&self, _: History<'_>, _: Sample<'_>, context: &Context) -> Result<Learned<Self>> {
        context.check()?;
        Err(Error::new(Reason::UpdateRefused, "not learned yet"))
    }

    fn params(&self) -> &RandomForestParams {
        &self.params
    }
}
