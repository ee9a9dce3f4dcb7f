//! What is done with hostile bytes, one module a target. Shared by the fuzzer and by the test that replays the corpus, so
//! that both do the same.
//!
//! Each `run` panics when a promise is broken, and tells whether the input was read to its end: most inputs are refused,
//! which is no failure, but a seed that is refused tests little.

pub mod arrow_ipc;
pub mod artifact;
pub mod compressed;
pub mod csv;
mod files;
pub mod json;
pub mod parquet;
mod rows;
pub mod summary;
pub mod times;

/// What a target does with an input.
pub type Run = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: &[(&str, Run)] = &[
    ("arrow_ipc", arrow_ipc::run),
    ("artifact", artifact::run),
    ("compressed", compressed::run),
    ("csv", csv::run),
    ("json", json::run),
    ("parquet", parquet::run),
    ("summary", summary::run),
    ("times", times::run),
];
