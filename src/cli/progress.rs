//! Progress bars for files and datasets.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for bytes; `None` if their number is not known.
pub(super) fn progress(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:32} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes}, {bytes_per_sec}",
        ),
    };
    shown(bar, template)
}

/// A bar for rows, whose number is not known yet.
pub(super) fn rows() -> ProgressBar {
    shown(
        ProgressBar::new(0),
        "{bar:32} {human_pos} of {human_len} rows, {eta} left",
    )
}

/// Shows a bar on the standard error, if that is a terminal.
fn shown(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}
