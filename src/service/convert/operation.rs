//! Converts operations for responses.

use super::model::timestamp;
use crate::error::Error;
use crate::operations::{Kind, Operation, State, stage};
use crate::proto::v1;
use crate::service::status::message;
use anomaly_detection::context::{Reached, Stage, Unit};

impl From<&Operation> for v1::Operation {
    fn from(operation: &Operation) -> Self {
        let plan = operation.plan();
        let (run_id, dataset_id) = match plan.kind.is_of_run() {
            true => (plan.target.clone(), String::new()),
            false => (String::new(), plan.target.clone()),
        };
        let shown = operation.show();
        let request_id = plan.request_id.as_ref();
        Self {
            operation_id: operation.id().to_string(),
            kind: v1::OperationKind::from(plan.kind).into(),
            run_id,
            dataset_id,
            request_id: request_id.map_or_else(String::new, |id| id.as_str().to_owned()),
            start_time: Some(timestamp(operation.started_ms(), 1000)),
            end_time: shown.ended_ms.map(|ended| timestamp(ended, 1000)),
            state: v1::OperationState::from(&shown.state).into(),
            progress: shown.reached.map(Into::into),
            n_callers: Some(shown.n_callers),
            error: match &shown.state {
                State::Failed(error) | State::Cancelled(error) => Some(error.into()),
                _ => None,
            },
        }
    }
}

impl From<&Error> for v1::OperationError {
    fn from(error: &Error) -> Self {
        Self {
            reason: error.reason().name().to_owned(),
            message: message(error),
        }
    }
}

impl From<Kind> for v1::OperationKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Train => Self::Train,
            Kind::Update => Self::Update,
            Kind::UploadDataset => Self::UploadDataset,
            Kind::CombineDatasets => Self::CombineDatasets,
        }
    }
}

impl From<&State> for v1::OperationState {
    fn from(state: &State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Committing => Self::Committing,
            State::Succeeded => Self::Succeeded,
            State::Failed(_) => Self::Failed,
            State::Cancelled(_) => Self::Cancelled,
        }
    }
}

impl From<Reached> for v1::OperationProgress {
    fn from(reached: Reached) -> Self {
        let counted = |unit| (reached.unit == Some(unit)).then_some(reached.done);
        let total = |unit| reached.total.filter(|_| reached.unit == Some(unit));
        Self {
            stage: stage_of(reached.stage).into(),
            step: reached.step,
            fraction: reached.fraction(),
            n_rows_done: counted(Unit::Rows),
            n_rows: total(Unit::Rows),
            n_bytes_done: counted(Unit::Bytes),
            n_bytes: total(Unit::Bytes),
        }
    }
}

fn stage_of(stage: Stage) -> v1::OperationStage {
    use v1::OperationStage as Wire;
    match stage {
        stage::WAITING => Wire::Waiting,
        stage::RECEIVING => Wire::Receiving,
        stage::COMBINING => Wire::Combining,
        stage::SCANNING => Wire::Scanning,
        stage::READING => Wire::Reading,
        stage::PREPARING => Wire::Preparing,
        stage::FITTING => Wire::Fitting,
        stage::CALIBRATING => Wire::Calibrating,
        stage::VALIDATING => Wire::Validating,
        stage::STORING => Wire::Storing,
        _ => Wire::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_the_name_of_its_message() {
        for stage in [
            stage::WAITING,
            stage::RECEIVING,
            stage::COMBINING,
            stage::SCANNING,
            stage::READING,
            stage::PREPARING,
            stage::FITTING,
            stage::CALIBRATING,
            stage::VALIDATING,
            stage::STORING,
        ] {
            let name = format!("OPERATION_STAGE_{}", stage.name().to_uppercase());
            assert_eq!(stage_of(stage).as_str_name(), name);
        }
    }

    #[test]
    fn only_the_unit_of_a_step_is_counted() {
        let reached = Reached {
            stage: stage::READING,
            step: 4,
            unit: Some(Unit::Rows),
            done: 5,
            total: Some(20),
        };
        let rows = v1::OperationProgress::from(reached);
        assert_eq!((rows.n_rows_done, rows.n_rows), (Some(5), Some(20)));
        assert_eq!((rows.n_bytes_done, rows.n_bytes), (None, None));
        assert_eq!(rows.fraction, Some(0.25));
        let bytes = v1::OperationProgress::from(Reached {
            unit: Some(Unit::Bytes),
            total: None,
            ..reached
        });
        assert_eq!((bytes.n_bytes_done, bytes.n_bytes), (Some(5), None));
        assert_eq!((bytes.n_rows_done, bytes.fraction), (None, None));
    }
}
