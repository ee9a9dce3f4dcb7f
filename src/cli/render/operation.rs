//! Shows operations.

use std::io::Write;

use super::table;
use crate::cli::descriptors;
use crate::cli::error::Result;
use crate::proto::v1::{Operation, OperationProgress};

/// Writes a table with a line for each operation.
pub(in crate::cli) fn write_list(out: &mut dyn Write, operations: &[Operation]) -> Result<()> {
    let right = ["callers"];
    let header = [
        "operation",
        "kind",
        "run or dataset",
        "state",
        "progress",
        "callers",
        "began",
    ];
    let mut rows = table::table(&header, &right);
    for operation in operations {
        rows.add_row([
            table::clean(&operation.operation_id),
            kind(operation),
            table::clean(target(operation)),
            state(operation),
            reached(operation.progress.as_ref()),
            callers(operation),
            time(operation.start_time.as_ref()),
        ]);
    }
    table::write(out, &rows)
}

/// Writes everything that is known about an operation.
pub(in crate::cli) fn write_operation(out: &mut dyn Write, operation: &Operation) -> Result<()> {
    let target_name = match operation.run_id.is_empty() {
        true => "dataset",
        false => "run",
    };
    let mut facts = vec![
        ("operation", operation.operation_id.clone()),
        ("kind", kind(operation)),
        (target_name, target(operation).to_owned()),
        ("state", state(operation)),
    ];
    if let Some(progress) = &operation.progress {
        facts.push(("progress", reached(Some(progress))));
    }
    if let Some(error) = &operation.error {
        facts.push(("error", format!("{} ({})", error.message, error.reason)));
    }
    facts.push(("callers", callers(operation)));
    facts.push(("began", time(operation.start_time.as_ref())));
    if operation.end_time.is_some() {
        facts.push(("ended", time(operation.end_time.as_ref())));
    }
    if !operation.request_id.is_empty() {
        facts.push(("request id", operation.request_id.clone()));
    }
    table::write_facts(out, &facts)
}

fn kind(operation: &Operation) -> String {
    descriptors::word("OperationKind", operation.kind)
}

fn state(operation: &Operation) -> String {
    descriptors::word("OperationState", operation.state)
}

/// The run or the dataset, of which an operation has one.
fn target(operation: &Operation) -> &str {
    match operation.run_id.is_empty() {
        true => &operation.dataset_id,
        false => &operation.run_id,
    }
}

fn callers(operation: &Operation) -> String {
    let n_callers = operation.n_callers;
    n_callers.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

fn time(time: Option<&prost_types::Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The stage, and how much of its step is done.
fn reached(progress: Option<&OperationProgress>) -> String {
    let Some(progress) = progress else {
        return "-".to_owned();
    };
    let stage = descriptors::word("OperationStage", progress.stage);
    let counted = match (progress.n_rows_done, progress.n_bytes_done) {
        (Some(done), _) => of(done, progress.n_rows, "rows"),
        (None, Some(done)) => of(done, progress.n_bytes, "bytes"),
        (None, None) => String::new(),
    };
    let share = progress
        .fraction
        .map_or_else(String::new, |share| format!(" {:.0}%", 100.0 * share));
    format!("{stage}{share}{counted}")
}

fn of(done: u64, total: Option<u64>, unit: &str) -> String {
    match total {
        Some(total) => format!(", {done} of {total} {unit}"),
        None => format!(", {done} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::written;
    use crate::proto::v1::{OperationError, OperationKind, OperationStage, OperationState};

    fn running() -> Operation {
        Operation {
            operation_id: "0a".to_owned(),
            kind: OperationKind::Train.into(),
            run_id: "cards\u{1b}".to_owned(),
            state: OperationState::Running.into(),
            n_callers: Some(0),
            progress: Some(OperationProgress {
                stage: OperationStage::Reading.into(),
                step: 2,
                fraction: Some(0.25),
                n_rows_done: Some(5),
                n_rows: Some(20),
                ..OperationProgress::default()
            }),
            ..Operation::default()
        }
    }

    #[test]
    fn a_running_operation_shows_how_far_it_is() {
        let list = written(|out| write_list(out, &[running()]));
        for part in ["train", "running", "reading 25%, 5 of 20 rows"] {
            assert!(list.contains(part), "{part} in {list}");
        }
        assert!(!list.contains('\u{1b}'), "{list:?}");
        let bytes = OperationProgress {
            stage: OperationStage::Receiving.into(),
            n_bytes_done: Some(7),
            ..OperationProgress::default()
        };
        assert_eq!(reached(Some(&bytes)), "receiving, 7 bytes");
        assert_eq!(reached(None), "-");
    }

    #[test]
    fn a_failed_one_shows_why() {
        let failed = Operation {
            state: OperationState::Failed.into(),
            progress: None,
            error: Some(OperationError {
                reason: "UNUSABLE_ROWS".to_owned(),
                message: "there are 0 rows".to_owned(),
            }),
            ..running()
        };
        let shown = written(|out| write_operation(out, &failed));
        assert!(
            shown.contains("there are 0 rows (UNUSABLE_ROWS)") && !shown.contains("progress"),
            "{shown}"
        );
    }
}
