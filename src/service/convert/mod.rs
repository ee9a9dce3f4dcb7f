//! Converts between protobuf messages and the stricter types of the domain. Receiving checks and can fail; sending
//! cannot.

pub(super) mod answer_options;
pub(super) mod answer_size;
mod cells;
mod columns;
pub(super) mod dataset;
pub(super) mod detector;
mod features;
pub(super) mod file;
pub(super) mod fingerprint;
pub(super) mod model;
mod operation;
pub(super) mod prediction;
pub(super) mod records;
mod rows;
mod table;
pub(super) mod training;
pub(super) mod version;

use crate::error::Error;

/// An upper bound of the bytes of memory that names take as strings, with what points at them.
fn names_bytes<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    const STRING: usize = 2 * (size_of::<String>() + 2 * size_of::<usize>());
    names.into_iter().map(|name| STRING + name.len()).sum()
}

/// The error for a number that is no value of an enum.
fn unknown(field: &str, number: i32, known: &str) -> Error {
    let message = format!("{number} is not a known value of {field}; give {known}");
    Error::field(field, message)
}
