//! Parquet.

use anomaly_detection::table::read::Format;

use super::files::{as_format, check, chunk_rows};

/// Reads a file.
pub fn run(data: &[u8]) -> bool {
    check(data, &as_format(Format::Parquet), chunk_rows(data)).is_ok()
}
