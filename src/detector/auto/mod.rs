//! The detector for whoever names none: [`Lesinn`](super::Lesinn) on two scalings, joined by their tail ranks.

mod params;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{AutoParams, AutoValidParams};

use super::method::linfa_fit;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

linfa_fit!(AutoValidParams => Auto);

/// A fitted auto detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Auto {
    params: AutoParams,
}

impl Detector for Auto {
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

impl Method for Auto {
    type Params = AutoParams;

    const NAME: &'static str = "auto";

    const SCALING: DefaultScaling = DefaultScaling::Own;

    fn random_state(params: &AutoParams) -> u64 {
        params.random_state
    }

    fn fit(
        _params: &AutoValidParams,
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

    fn params(&self) -> &AutoParams {
        &self.params
    }
}
