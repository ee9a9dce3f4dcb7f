//! Errors that the guards of pages share.

use crate::error::Error;
use crate::table::invalid;

pub(super) fn too_large(decompressed_bytes: u64) -> Error {
    invalid(format!(
        "the pages of the file decompress to more than {decompressed_bytes} bytes"
    ))
}

pub(super) fn damaged() -> Error {
    invalid(
        "the file is no valid Parquet: a page lies outside of its column, or its header is damaged",
    )
}
