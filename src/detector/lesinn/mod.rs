//! LeSiNN (Pang, Ting and Albrecht, "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest Neighbours", ICDM
//! workshops 2015): the score of a row is its mean distance to the nearest rows of many small random samples.

mod params;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{LesinnMetric, LesinnParams, LesinnValidParams};

use super::method::linfa_fit;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

linfa_fit!(LesinnValidParams => Lesinn);

/// A fitted lesinn detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesinn {
    params: LesinnParams,
}

impl Detector for Lesinn {
    fn n_features(&self) -> usize {
        0
    }

    fn score_block(&self, _rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        scores.fill(0.0);
    }

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl Method for Lesinn {
    type Params = LesinnParams;

    const NAME: &'static str = "lesinn";

    const SCALING: DefaultScaling = DefaultScaling::Own;

    fn random_state(params: &LesinnParams) -> u64 {
        params.random_state
    }

    fn fit(
        _params: &LesinnValidParams,
        _sample: Sample<'_>,
        _context: &Context,
    ) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "not built"))
    }

    fn update(
        &self,
        _history: History<'_>,
        _sample: Sample<'_>,
        _context: &Context,
    ) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "not built"))
    }

    fn params(&self) -> &LesinnParams {
        &self.params
    }
}
