//! Where models live: small records under keys, swapped one at a time, and immutable blobs beside them.
//!
//! [`Store`] names no database and no transaction, so that an embedded database and a replicated one can both stand
//! behind it. What a method acknowledges is durable: it survives `kill -9` and power loss.

use std::future::Future;

/// Where and what an immutable blob is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The unique name that the store gave it.
    pub name: BlobName,
    /// The SHA-256 of its bytes, checked on every read.
    pub sha256: [u8; 32],
    /// Its length in bytes.
    pub size: u64,
}

/// A record and the revision that it was read at.
#[derive(Debug, Clone)]
pub struct Pointer {
    /// The record.
    pub value: Vec<u8>,
    /// What `swap_pointer` expects.
    pub revision: Revision,
}

/// The outcome of a swap that reached the store. Whether one that failed took effect is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// The new value is in place and durable.
    Done,
    /// Another write came first; nothing was changed.
    Lost,
}

/// Keyed records and immutable blobs.
pub trait Store: Send + Sync + 'static {
    /// Stores a blob under a new unique name. Nothing refers to it until a record does.
    fn put_blob(&self, bytes: Vec<u8>) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;

    /// Reads a blob and checks its length and hash.
    fn get_blob(&self, blob: &BlobRef) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Deletes a blob. Deleting one that does not exist is not an error.
    fn delete_blob(&self, name: BlobName) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The names of all blobs, referred to or not.
    fn list_blobs(&self) -> impl Future<Output = Result<Vec<BlobName>, StoreError>> + Send;

    /// Reads the record under a key. Touches no disk when the record is cached.
    fn get_pointer(&self, key: &[u8]) -> impl Future<Output = Result<Option<Pointer>, StoreError>> + Send;

    /// Replaces the record under a key, if it is still at the `expected` revision; `None` means absent, for both.
    /// A [`StoreError::Unknown`] means that the swap may or may not have taken effect.
    fn swap_pointer(
        &self,
        key: &[u8],
        expected: Option<Revision>,
        value: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// The records whose keys start with `prefix` and come after `after`, in the order of the keys, at most `limit`.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>> + Send;
}
