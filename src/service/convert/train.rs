//! The request of Train.

use super::records::{self, Input};
use super::{detector, features};
use crate::error::Result;
use crate::pipeline::TrainSpec;
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
    /// Checks a request. `reservoir_size` is how many raw rows the server keeps for updates.
    pub(in crate::service) fn receive(
        mut request: TrainRequest,
        reservoir_size: usize,
    ) -> Result<Self> {
        let default = TrainSpec::default();
        let roles = features::roles(&mut request);
        Ok(Self {
            run_id: RunId::parse(request.run_id)?,
            request_id: RequestId::parse(request.request_id)?,
            spec: TrainSpec {
                detector: detector::params(request.detector)?,
                contamination: request.contamination,
                threshold: request.threshold,
                scaling: detector::scaling(request.scaler)?,
                roles,
                engineering: request.feature_engineering.map(features::engineering),
                policy: features::policy(request.feature_policy)?,
                imputation: features::imputation(request.imputation)?,
                max_one_hot: request
                    .max_one_hot_categories
                    .map_or(default.max_one_hot, |n| n as usize),
                validation_fraction: request.validation_fraction,
                reservoir_size,
            },
            input: records::optional(request.records, &[])?,
        })
    }
}
