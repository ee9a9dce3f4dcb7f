//! Local outlier factor (Breunig, Kriegel, Ng and Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000).

use linfa::ParamGuard;
use ndarray::ArrayView2;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::neighbors::check_n_neighbors;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Result};

/// The neighbours when no number is given.
pub const DEFAULT_NEIGHBORS: usize = 20;

/// The parameters of [`LocalOutlierFactor`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactorParams {
    /// How many nearest rows a row's density is compared with, 1 to 10,000; all other rows where there are fewer. Default 20.
    pub n_neighbors: usize,
}

impl Default for LocalOutlierFactorParams {
    fn default() -> Self {
        Self {
            n_neighbors: DEFAULT_NEIGHBORS,
        }
    }
}

/// Checked [`LocalOutlierFactorParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct LocalOutlierFactorValidParams(LocalOutlierFactorParams);

impl ParamGuard for LocalOutlierFactorParams {
    type Checked = LocalOutlierFactorValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        check_n_neighbors(self.n_neighbors)?;
        Ok(LocalOutlierFactorValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(LocalOutlierFactorValidParams(self))
    }
}

impl LocalOutlierFactorValidParams {
    #[ref_cast_custom]
    fn trust(params: &LocalOutlierFactorParams) -> &Self;
}

linfa_fit!(LocalOutlierFactorValidParams => LocalOutlierFactor);

/// A fitted detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactor {
    params: LocalOutlierFactorParams,
    n_features: usize,
}

impl Detector for LocalOutlierFactor {
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
        Ok(())
    }
}

impl Method for LocalOutlierFactor {
    type Params = LocalOutlierFactorParams;

    const NAME: &'static str = "local_outlier_factor";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &LocalOutlierFactorValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        context.check()?;
        Ok(Learned::plain(Self {
            params: params.0.clone(),
            n_features: sample.rows.ncols(),
        }))
    }

    fn update(
        &self,
        _: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        Self::fit(self.params.check_ref()?, sample, context)
    }

    fn params(&self) -> &LocalOutlierFactorParams {
        &self.params
    }
}
