//! The request of Train.

use super::{detector, records};
use crate::error::Result;
use crate::pipeline::TrainSpec;
use crate::proto::v1::TrainRequest;
use crate::runs::{RequestId, RunId};
use crate::table::Table;

/// A checked request of Train.
pub(in crate::service) struct Training {
    pub(in crate::service) run_id: RunId,
    pub(in crate::service) request_id: Option<RequestId>,
    pub(in crate::service) spec: TrainSpec,
    pub(in crate::service) table: Option<Table>,
}

impl Training {
    /// Checks a request. `reservoir_size` is how many raw rows the server keeps for updates.
    pub(in crate::service) fn receive(
        request: TrainRequest,
        reservoir_size: usize,
    ) -> Result<Self> {
        Ok(Self {
            run_id: RunId::parse(request.run_id)?,
            request_id: RequestId::parse(request.request_id)?,
            spec: TrainSpec {
                detector: detector::params(request.detector)?,
                contamination: request.contamination,
                threshold: request.threshold,
                scaling: detector::scaling(request.scaler)?,
                label_column: (!request.label_column.is_empty()).then_some(request.label_column),
                validation_fraction: request.validation_fraction,
                reservoir_size,
            },
            table: records::optional(request.records)?,
        })
    }
}
