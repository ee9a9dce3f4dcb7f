//! Ecod.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::{Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

mod params;

pub use params::*;

linfa_fit!(EcodValidParams => Ecod);

/// A fitted Ecod detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ecod {
    params: EcodParams,
}

impl Detector for Ecod {
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

impl Method for Ecod {
    type Params = EcodParams;

    const NAME: &'static str = "ecod";

    fn fit(_: &EcodValidParams, _: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "ecod does not learn yet"))
    }

    fn update(&self, _: History<'_>, _: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        Err(Error::new(Reason::Internal, "ecod does not learn yet"))
    }

    fn params(&self) -> &EcodParams {
        &self.params
    }
}
