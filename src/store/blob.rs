//! Blobs: immutable bytes of any size, each under a unique name.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::name::NAME_BYTES;
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

impl BlobRef {
    /// What a record says about the blob.
    pub fn id(&self) -> BlobId {
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&self.sha256[..DIGEST_BYTES]);
        BlobId {
            name: self.name,
            digest,
        }
    }
}

/// What a record says about a blob that belongs to it: its name, and enough of its hash for the store to check it without knowing
/// what the record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobId {
    /// The unique name that the store gave it.
    pub name: BlobName,
    /// The first half of the SHA-256 of its bytes, which is enough against damage.
    pub digest: [u8; DIGEST_BYTES],
}

/// The length of a digest in bytes.
const DIGEST_BYTES: usize = 16;

/// The length of an encoded [`BlobId`] in bytes.
pub(super) const ID_BYTES: usize = NAME_BYTES + DIGEST_BYTES;

impl BlobId {
    /// The name, then the digest.
    pub(super) fn to_bytes(self) -> [u8; ID_BYTES] {
        let mut bytes = [0; ID_BYTES];
        bytes[..NAME_BYTES].copy_from_slice(self.name.as_bytes());
        bytes[NAME_BYTES..].copy_from_slice(&self.digest);
        bytes
    }

    /// The id with these bytes.
    pub(super) fn from_bytes(bytes: &[u8; ID_BYTES]) -> Self {
        let (mut name, mut digest) = ([0; NAME_BYTES], [0; DIGEST_BYTES]);
        name.copy_from_slice(&bytes[..NAME_BYTES]);
        digest.copy_from_slice(&bytes[NAME_BYTES..]);
        Self {
            name: BlobName::from_bytes(name),
            digest,
        }
    }
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
    /// holds; it is 0 only for an empty buffer and at or past the end of the blob. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the stored bytes are not those that were written or are fewer, and otherwise the error
    /// of the read. What the buffer holds then must not be used.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError>;
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
