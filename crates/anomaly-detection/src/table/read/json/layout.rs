//! How objects are laid out in a file.

use crate::error::Error;
use crate::table::invalid;

/// How the objects stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::table::read) enum Layout {
    /// Between the brackets of one array.
    Array,
    /// One a line.
    Lines,
}

/// Something that is no row.
pub(super) fn not_an_object() -> Error {
    invalid("the row is not an object; give an array of objects, or one object a line")
}
