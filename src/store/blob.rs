//! Blobs: immutable bytes of any size, each under a unique name.

use std::fmt;
use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{BlobName, Store, StoreError};
use crate::error::chain;

/// A reference to an immutable blob.
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

/// A blob that is written piece by piece. Dropping it before it is finished leaves nothing behind; what a crash leaves
/// is swept.
pub trait BlobWriter: Send + 'static {
    /// Appends bytes. Buffers a bounded number of them. After an error, or when the future is dropped, the blob can
    /// no longer be finished.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes the blob durable under its unique name. Nothing refers to it until a record does. Dropping the future leaves
    /// at most a blob that nothing refers to.
    fn finish(self) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;
}

/// A blob opened for reading at any offset. It stays readable after the blob is deleted.
pub trait BlobReader: fmt::Debug + Send + Sync + 'static {
    /// Reads into the buffer from `offset` on and returns the number of bytes read. That may be less than the buffer
    /// holds; it is 0 only at or past the end of the blob. Blocks.
    ///
    /// # Errors
    /// The error of the read; also when the stored bytes are fewer than the blob's size.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Deletes blobs that nothing refers to. Failures are logged; a sweep finds what is left.
pub async fn discard(store: &impl Store, blobs: impl IntoIterator<Item = BlobName>) {
    for blob in blobs {
        if let Err(error) = store.delete_blob(blob).await {
            tracing::warn!(
                error = chain(&error),
                "a blob that is no longer needed cannot be deleted"
            );
        }
    }
}
