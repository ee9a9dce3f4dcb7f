//! Converts between protobuf messages and the stricter types of the domain. Receiving checks and can fail; sending
//! cannot.

pub(super) mod answer_options;
mod cells;
mod columns;
pub(super) mod dataset;
pub(super) mod detector;
mod features;
pub(super) mod file;
pub(super) mod model;
pub(super) mod prediction;
pub(super) mod records;
mod rows;
mod table;
pub(super) mod training;
pub(super) mod version;

use crate::error::Error;

/// The error for a number that is no value of an enum.
fn unknown(field: &str, number: i32, known: &str) -> Error {
    let message = format!("{number} is not a known value of {field}; give {known}");
    Error::field(field, message)
}
