//! Hbos.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::{Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

mod params;

pub use params::*;

linfa_fit!(HbosValidParams => Hbos);

/// A fitted Hbos detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hbos {
    params: HbosParams,
}

impl Detector for Hbos {
    fn n_features(&self) -> usize {
        0
    }

    fn score_block(&self, _: ArrayView2<'_, f64>, scores: &mut [f64]) {
        scores.fill(0.0);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn validate(&self) -> Result<()> {
        self.params.check_ref().map(|_| ())
    }
}

impl Method for Hbos {
    type Params = HbosParams;

    const NAME: &'static str = "hbos";

    fn fit(_: &HbosValidParams, _: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "hbos does not learn yet"))
    }

    fn update(&self, _: History<'_>, _: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "hbos does not learn yet"))
    }

    fn params(&self) -> &HbosParams {
        &self.params
    }
}
