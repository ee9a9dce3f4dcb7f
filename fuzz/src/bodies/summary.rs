//! A stored summary of a file that says what it likes, beside any file.

use anomaly_detection::context::Context;
use anomaly_detection::table::read::{self, FileOptions, FileSummary, Source};

use super::files::LIMITS;

/// Two bytes of length, little-endian, a summary in MessagePack, and a file of any format.
pub fn run(data: &[u8]) -> bool {
    let Some((length, rest)) = data.split_first_chunk::<2>() else {
        return false;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (summary, content) = rest.split_at(length);
    let Ok(summary) = rmp_serde::from_slice::<FileSummary>(summary) else {
        return false;
    };
    if summary.validate().is_err() {
        return false;
    }
    let options = FileOptions::default();
    let source = Source::from(bytes::Bytes::copy_from_slice(content));
    let Ok(chunks) = read::chunks(&source, &options, LIMITS, &summary, 3) else {
        return false;
    };
    let mut n_rows = 0;
    for chunk in chunks {
        let Ok(chunk) = chunk else { return false };
        n_rows += chunk.n_rows() as u64;
        for (index, column) in summary.columns().iter().enumerate() {
            assert_eq!(chunk.column_type(index), column.column_type, "type");
        }
    }
    assert_eq!(n_rows, summary.n_rows(), "rows");
    read::whole(&source, &options, LIMITS, &summary, None, &Context::new()).is_ok()
}
