//! Principal components: the score of a row is the sum of its squared projections on the components, each over the
//! component's eigenvalue (Shyu, Chen, Sarinnapakorn, Chang: "A novel anomaly detection scheme based on principal component
//! classifier", 2003, section 3).

use linfa::ParamGuard;
use ndarray::ArrayView2;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample, check_n_features};
use crate::context::Context;
use crate::error::{Error, Reason, Result};
use crate::statistics::moments::Moments;

/// The parameters of [`Pca`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PcaParams {
    /// How many components to keep, those of the largest eigenvalues: 1 to the number of features. `None` keeps all.
    pub n_components: Option<usize>,
}

/// Checked [`PcaParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct PcaValidParams(PcaParams);

impl ParamGuard for PcaParams {
    type Checked = PcaValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        if self.n_components == Some(0) {
            let message = "n_components is 0; it must be from 1 to the number of features";
            return Err(invalid(message));
        }
        Ok(PcaValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(PcaValidParams(self))
    }
}

impl PcaValidParams {
    #[ref_cast_custom]
    fn trust(params: &PcaParams) -> &Self;
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Reason::InvalidParameter, message).at("n_components")
}

linfa_fit!(PcaValidParams => Pca);

/// Fitted principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    params: PcaParams,
    moments: Moments,
}

impl Detector for Pca {
    fn n_features(&self) -> usize {
        self.moments.n_features()
    }

    fn score_block(&self, _rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        scores.fill(0.0);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.moments.size_bytes()
    }

    fn validate(&self) -> Result<()> {
        self.moments.validate()
    }
}

impl Method for Pca {
    type Params = PcaParams;

    const NAME: &'static str = "pca";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &PcaValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let PcaValidParams(params) = params;
        Ok(Learned::plain(Self {
            params: params.clone(),
            moments: Moments::of(sample.rows, context)?,
        }))
    }

    fn update(&self, _: History<'_>, sample: Sample<'_>, _: &Context) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        Err(Error::new(Reason::UpdateRefused, "not yet"))
    }

    fn params(&self) -> &PcaParams {
        &self.params
    }
}
