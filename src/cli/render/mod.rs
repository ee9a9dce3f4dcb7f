//! The output of commands: tables and plots for people, JSON for programs.

pub(super) mod chart;
mod columns;
pub(super) mod dataset;
pub(super) mod json;
pub(super) mod model;
pub(super) mod operation;
mod parameters;
pub(super) mod plot;
pub(super) mod prediction;
pub(super) mod table;

/// What `write` has written.
#[cfg(test)]
fn written(write: impl FnOnce(&mut dyn std::io::Write) -> super::error::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("a vector takes everything");
    String::from_utf8(out).expect("text")
}
