//! Reads blobs of the embedded store at any offset.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::BlobReader;

/// A blob of an [`EmbeddedStore`](super::EmbeddedStore) that is open for reading. It stays readable when the blob is
/// deleted.
#[derive(Debug)]
pub struct EmbeddedBlobReader {
    file: File,
    size: u64,
}

impl EmbeddedBlobReader {
    /// The open file of a blob of this size.
    pub(super) fn new(file: File, size: u64) -> Self {
        Self { file, size }
    }
}

impl BlobReader for EmbeddedBlobReader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // never past the end of the blob, whatever the size of its file now
        let n = usize::try_from(self.size.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if n == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..n], offset)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file of the blob has become shorter",
            )),
            n_read => Ok(n_read),
        }
    }
}
