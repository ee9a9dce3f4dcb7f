//! Arrow IPC, as a file and as a stream: the first bytes tell which.

use anomaly_detection::table::read::Format;

use super::files::{as_format, check, chunk_rows};

/// Reads a file.
pub fn run(data: &[u8]) -> bool {
    check(data, &as_format(Format::ArrowIpc), chunk_rows(data)).is_ok()
}
