//! Distance to the nearest rows (Ramaswamy, Rastogi and Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets",
//! SIGMOD 2000; Angiulli and Pizzuti, "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002).

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
pub const DEFAULT_NEIGHBORS: usize = 5;

/// What of the distances to the nearest rows is the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnnMethod {
    /// The distance to the farthest of them (Ramaswamy, Rastogi and Shim 2000). The default.
    #[default]
    Largest,
    /// The mean of the distances (Angiulli and Pizzuti 2002).
    Mean,
    /// The median of the distances.
    Median,
}

/// The parameters of [`Knn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnnParams {
    /// How many nearest rows count, 1 to 10,000; all other rows where there are fewer. Default 5.
    pub n_neighbors: usize,
    /// What of the distances to them is the score. Default [`KnnMethod::Largest`].
    pub method: KnnMethod,
}

impl Default for KnnParams {
    fn default() -> Self {
        Self {
            n_neighbors: DEFAULT_NEIGHBORS,
            method: KnnMethod::default(),
        }
    }
}

/// Checked [`KnnParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct KnnValidParams(KnnParams);

impl ParamGuard for KnnParams {
    type Checked = KnnValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        check_n_neighbors(self.n_neighbors)?;
        Ok(KnnValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(KnnValidParams(self))
    }
}

impl KnnValidParams {
    #[ref_cast_custom]
    fn trust(params: &KnnParams) -> &Self;
}

linfa_fit!(KnnValidParams => Knn);

/// A fitted detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knn {
    params: KnnParams,
    n_features: usize,
}

impl Detector for Knn {
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

impl Method for Knn {
    type Params = KnnParams;

    const NAME: &'static str = "knn";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &KnnValidParams,
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

    fn params(&self) -> &KnnParams {
        &self.params
    }
}
