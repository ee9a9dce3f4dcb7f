//! The request of Train.

use super::records::{self, Input};
use super::{detector, features};
use crate::error::Result;
use crate::pipeline::{Model, TrainSpec};
use crate::proto::v1::TrainRequest;
use crate::runs::{RequestId, RunId};

/// A checked request of Train.
pub(in crate::service) struct Training {
    pub(in crate::service) run_id: RunId,
    pub(in crate::service) request_id: Option<RequestId>,
    pub(in crate::service) spec: TrainSpec,
    pub(in crate::service) input: Option<Input>,
}

impl Training {
    /// Checks a request. What it leaves out is as in `like`, where it names a version to train alike, and else the default.
    /// `reservoir_size` is how many raw rows the server keeps for updates.
    pub(in crate::service) fn receive(
        mut request: TrainRequest,
        like: Option<&Model>,
        reservoir_size: usize,
    ) -> Result<Self> {
        let known_texts = like.map(Model::text_columns).unwrap_or_default();
        let input = records::optional(request.records.take(), &known_texts)?;
        Ok(Self {
            run_id: RunId::parse(std::mem::take(&mut request.run_id))?,
            request_id: RequestId::parse(std::mem::take(&mut request.request_id))?,
            spec: spec(request, like.map(Model::spec), reservoir_size)?,
            input,
        })
    }
}

fn spec(
    mut request: TrainRequest,
    like: Option<&TrainSpec>,
    reservoir_size: usize,
) -> Result<TrainSpec> {
    let mut spec = like.cloned().unwrap_or_default();
    spec.reservoir_size = reservoir_size;
    if request.detector.is_some() {
        let detector = detector::params(request.detector.take())?;
        if detector.name() != spec.detector.name() {
            // in units or by rules of the other detector
            spec.threshold = None;
            spec.scaling = None;
            spec.validation_fraction = None;
        }
        spec.detector = detector;
    }
    if request.contamination.is_some() || request.threshold.is_some() {
        spec.contamination = request.contamination;
        spec.threshold = request.threshold;
    }
    if let Some(scaling) = detector::scaling(request.scaler)? {
        spec.scaling = Some(scaling);
    }
    features::set_roles(&mut spec.roles, &mut request);
    if let Some(engineering) = request.feature_engineering.take() {
        spec.engineering = Some(features::engineering(engineering));
    }
    if let Some(policy) = features::policy(request.feature_policy)? {
        spec.policy = policy;
    }
    if let Some(imputation) = features::imputation(request.imputation)? {
        spec.imputation = imputation;
    }
    if let Some(n) = request.max_one_hot_categories {
        spec.max_one_hot = n as usize;
    }
    if request.validation_fraction.is_some() {
        spec.validation_fraction = request.validation_fraction;
    }
    Ok(spec)
}
