//! Blobs: immutable bytes of any size, each under a unique name.

use std::fmt;
use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{BlobName, StoreError};

/// Where and what an immutable blob is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The unique name that the store gave it.
    pub name: BlobName,
    /// The SHA-256 of its bytes.
    #[serde(with = "serde_bytes")]
    pub sha256: [u8; 32],
    /// Its length in bytes.
    pub size: u64,
}

/// A blob whose bytes come one after the other. Dropping it before it is finished leaves nothing behind; a crash leaves
/// at most what the store sweeps.
pub trait BlobWriter: Send + 'static {
    /// Appends bytes. Holds a bounded number of them in memory beside those of this call. After an error, or when the
    /// future was dropped, the blob cannot be finished any more.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes the blob durable under its unique name. Nothing refers to it until a record does. Dropping the future leaves
    /// at most a blob that nothing refers to.
    fn finish(self) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;
}

/// A blob that is open for reading by offset. Deleting the blob does not disturb that.
pub trait BlobReader: fmt::Debug + Send + Sync + 'static {
    /// Reads bytes from an offset on into the buffer, and says how many: fewer than there is room for where the store has
    /// fewer at hand, 0 only at the end of the blob or behind it. Blocks.
    ///
    /// # Errors
    /// What kept the bytes from being read; also when the blob has become shorter than it was.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}
