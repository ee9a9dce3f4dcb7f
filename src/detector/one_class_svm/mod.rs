//! One-class SVM (Schölkopf et al., "Estimating the Support of a High-Dimensional Distribution", 2001).

mod params;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{Gamma, Kernel, MAX_DEGREE, OneClassSvmParams, OneClassSvmValidParams};

use super::method::linfa_fit;
use super::{DefaultScaling, Detector, History, Learned, Method, Sample, check_n_features};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

linfa_fit!(OneClassSvmValidParams => OneClassSvm);

/// A fitted one-class SVM. Scores are the negative of scikit-learn's `decision_function`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneClassSvm {
    params: OneClassSvmParams,
    n_features: usize,
}

impl Detector for OneClassSvm {
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
        self.params
            .check_ref()
            .map(|_| ())
            .map_err(|error| Error::new(Reason::DamagedArtifact, error.message()))
    }
}

impl Method for OneClassSvm {
    type Params = OneClassSvmParams;

    const NAME: &'static str = "one_class_svm";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &OneClassSvmValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        context.check()?;
        Ok(Learned::plain(Self {
            params: params.params().clone(),
            n_features: sample.rows.ncols(),
        }))
    }

    /// Fits anew on the rows of `history`, each with its weight, and those of the sample. Gamma stays.
    fn update(
        &self,
        _history: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features)?;
        Self::fit(self.params.check_ref()?, sample, context)
    }

    fn params(&self) -> &OneClassSvmParams {
        &self.params
    }
}
