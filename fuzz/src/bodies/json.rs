//! JSON, as one array of objects and as one object a line.

use anomaly_detection::table::read::Format;

use super::files::{as_format, check, chunk_rows};

/// Reads a file as both.
pub fn run(data: &[u8]) -> bool {
    let mut is_either = false;
    for format in [Format::Json, Format::JsonLines] {
        is_either |= check(data, &as_format(format), chunk_rows(data)).is_ok();
    }
    is_either
}
