//! Progress bars for files, datasets and the operations of the server.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::descriptors;
use crate::proto::v1::OperationProgress;

/// A bar of bytes.
const BYTES: &str = "{bar:32} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";

/// The length of a bar that shows a share.
const WHOLE: u64 = 1000;

/// A bar for bytes; `None` if their number is not known.
pub(super) fn progress(length: Option<u64>) -> ProgressBar {
    match length {
        Some(length) => shown(ProgressBar::new(length), BYTES),
        None => shown(
            ProgressBar::new_spinner(),
            "{spinner} {bytes}, {bytes_per_sec}",
        ),
    }
}

/// Shows so many bytes on a bar, from the beginning.
pub(super) fn restart(bar: &ProgressBar, length: u64) {
    set_template(bar, BYTES);
    bar.set_length(length);
    bar.reset();
}

/// A bar for rows, whose number is not known yet.
pub(super) fn rows() -> ProgressBar {
    shown(
        ProgressBar::new(0),
        "{bar:32} {human_pos} of {human_len} rows, {eta} left",
    )
}

/// A bar for an operation, of which nothing is known yet.
pub(super) fn operation() -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message("waiting for the server");
    shown(bar, "{spinner} {msg}")
}

/// Shows on a bar how far an operation is.
pub(super) fn show(bar: &ProgressBar, reached: &OperationProgress) {
    let step = Step::of(reached);
    set_template(bar, step.template);
    bar.set_message(descriptors::word("OperationStage", reached.stage));
    bar.set_length(step.length);
    bar.set_position(step.position);
}

/// A step of an operation on a bar.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    template: &'static str,
    length: u64,
    position: u64,
}

impl Step {
    fn of(reached: &OperationProgress) -> Self {
        let rows = reached.n_rows_done.zip(reached.n_rows);
        let bytes = reached.n_bytes_done.zip(reached.n_bytes);
        let share = reached
            .fraction
            .map(|fraction| ((fraction * WHOLE as f64) as u64, WHOLE));
        let (template, (position, length)) = match (rows, bytes, share) {
            (Some(rows), _, _) => ("{msg:12} {bar:32} {human_pos} of {human_len} rows", rows),
            (None, Some(bytes), _) => ("{msg:12} {bar:32} {bytes} of {total_bytes}", bytes),
            (None, None, Some(share)) => ("{msg:12} {bar:32} {percent} %", share),
            (None, None, None) => ("{msg:12} {spinner}", (0, WHOLE)),
        };
        Self {
            template,
            length,
            position: position.min(length),
        }
    }
}

/// Shows a bar on the standard error, if that is a terminal.
fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    set_template(&bar, template);
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_unit() {
        let reached = OperationProgress {
            fraction: Some(0.25),
            ..OperationProgress::default()
        };
        let rows = OperationProgress {
            n_rows_done: Some(5),
            n_rows: Some(20),
            ..reached
        };
        let bytes = OperationProgress {
            n_bytes_done: Some(30),
            n_bytes: Some(20),
            ..reached
        };
        for (reached, unit, position, length) in [
            (rows, "rows", 5, 20),
            (bytes, "total_bytes", 20, 20),
            (reached, "%", 250, WHOLE),
            (OperationProgress::default(), "spinner", 0, WHOLE),
        ] {
            let step = Step::of(&reached);
            assert!(step.template.contains(unit), "{step:?}");
            assert_eq!((step.position, step.length), (position, length));
            assert!(ProgressStyle::with_template(step.template).is_ok());
        }
    }
}
