//! Detects the format of a file from its first bytes.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::compression::error_of;
use crate::error::Result;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Cells between delimiters, one record per line, as in RFC 4180.
    Csv,
    /// One array of objects.
    Json,
    /// One object per line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, as a file or as a stream.
    ArrowIpc,
}

/// The magic bytes at the start and the end of Arrow IPC files.
pub(super) const ARROW_MAGIC: &[u8] = b"ARROW1";
/// The bytes at the start of each message of an Arrow IPC stream.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];

/// How many bytes of a file are used to detect its format, encoding and line ends.
pub(super) const START_BYTES: usize = 1 << 16;

impl Format {
    /// The format of a file with this start; CSV if it looks like no other. No more of a file in memory is used than of one on
    /// disk.
    pub(super) fn detect(start: &[u8]) -> Self {
        let start = &start[..start.len().min(START_BYTES)];
        if start.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        if start.starts_with(ARROW_MAGIC) || start.starts_with(&CONTINUATION) {
            return Self::ArrowIpc;
        }
        let mut visible = super::without_bom(start)
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace());
        match (visible.next(), visible.next()) {
            // an array in an array is refused, but as JSON
            (Some(b'['), Some(b'{' | b'[' | b']') | None) => Self::Json,
            (Some(b'{'), Some(b'"' | b'}') | None) => Self::JsonLines,
            _ => Self::Csv,
        }
    }
}

/// Reads the bytes that are used to detect these.
pub(super) fn read_start(reader: &mut dyn Read) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let taken = reader.take(START_BYTES as u64).read_to_end(&mut start);
    taken.map_err(error_of)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_format() {
        for (start, format) in [
            (&b"PAR1\x15"[..], Format::Parquet),
            (b"ARROW1\0\0", Format::ArrowIpc),
            (b"\xff\xff\xff\xff\x80", Format::ArrowIpc),
            (b" [\n {\"a\": 1}", Format::Json),
            (b"\xef\xbb\xbf[]", Format::Json),
            (b"[[1, 2],\n[3, 4]]", Format::Json),
            (b"\n{\"a\": 1}\n", Format::JsonLines),
            (b"a,b\n1,2", Format::Csv),
            (b"[a],b\n", Format::Csv),
            (b"{a},b\n", Format::Csv),
            (b"\xff\xfea\0", Format::Csv),
            (b"", Format::Csv),
        ] {
            assert_eq!(Format::detect(start), format, "{start:?}");
        }
        let late = [&vec![b' '; START_BYTES][..], b"[{}]"].concat();
        assert_eq!(Format::detect(&late), Format::Csv);
        assert_eq!(Format::detect(&late[1..]), Format::Json);
    }
}
