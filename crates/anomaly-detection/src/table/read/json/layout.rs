//! The layout of objects in a file.

use crate::error::Error;
use crate::table::invalid;

/// How objects are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table::read) enum Layout {
    /// As the members of one array.
    Array,
    /// One per line.
    Lines,
}

/// Something that is not a row.
pub(super) fn not_an_object() -> Error {
    invalid("the row is not an object; give an array of objects, or one object a line")
}
