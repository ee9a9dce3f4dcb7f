//! Reads blobs of the embedded store at any offset.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::checksums::Expected;
use super::{BlobReader, BlobRef, StoreError, blob_trailer};

/// A blob of an [`EmbeddedStore`](super::EmbeddedStore) that is open for reading. It stays readable when the blob is
/// deleted. Holds 4 bytes for each 16 KiB of the blob.
#[derive(Debug)]
pub struct EmbeddedBlobReader {
    file: File,
    expected: Expected,
}

impl EmbeddedBlobReader {
    /// Reads the trailer in the open file of a blob, whose length was checked.
    pub(super) fn open(file: File, blob: &BlobRef) -> Result<Self, StoreError> {
        let n_bytes = usize::try_from(blob_trailer::length(blob.size))
            .map_err(|error| StoreError::io("read a blob")(io::Error::other(error)))?;
        let mut trailer = vec![0; n_bytes];
        read_exact(&file, &mut trailer, blob.size)?;
        let checksums = blob_trailer::decode(&trailer, blob)?;
        Ok(Self {
            file,
            expected: Expected::new(blob.name, blob.size, checksums),
        })
    }
}

impl BlobReader for EmbeddedBlobReader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        self.expected.read(buffer, offset, |buffer, offset| {
            read_exact(&self.file, buffer, offset)
        })
    }
}

fn read_exact(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
    file.read_exact_at(buffer, offset).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return StoreError::Damaged {
                what: "a blob",
                how: "its file has become shorter".to_owned(),
            };
        }
        StoreError::io("read a blob")(error)
    })
}
