//! Where models live: small records under keys, swapped one at a time, and immutable blobs beside them.
//!
//! [`Store`] names no database and no transaction, so that an embedded database and a replicated one can both stand
//! behind it. What a method acknowledges is durable: it survives `kill -9` and power loss. What a read shows is
//! durable too, so that an answer built on a read can be trusted as much as one built on a write.

mod blob_folder;
mod committer;
mod embedded;
mod embedded_writer;
mod error;
mod files;
mod growing_blob;
pub mod key;
mod owner;
mod sled_open;
mod sled_records;
mod sweep;
mod token_key;

use std::fmt;
use std::fs::File;
use std::future::Future;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use embedded::{EmbeddedStore, StoreOptions};
pub use embedded_writer::EmbeddedBlobWriter;
pub use error::StoreError;
pub use owner::{Owner, TokenHasher};
pub use sweep::{scan_all, sweep};
pub use token_key::TokenKey;

/// The longest key, in bytes. A tree's index page holds up to 257 keys and must stay small.
pub const MAX_KEY_BYTES: usize = 400;

/// The longest record, in bytes. A tree's leaf holds up to 17 records and must stay small.
pub const MAX_RECORD_BYTES: usize = 6 * 1024;

/// The random name of a blob: 16 bytes in a record, 32 hexadecimal digits as the name of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName([u8; 16]);

impl BlobName {
    /// A new name, never given before.
    pub(crate) fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }

    /// The name that 32 lower-case hexadecimal digits spell.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let bytes = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
        let name = Self(bytes);
        // one spelling for each name: a sign, capitals or missing digits are no name
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobName({self})")
    }
}

impl Serialize for BlobName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlobName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// The revision of a record. Never given twice within a store, also not after a deletion or a restart; a later write
/// has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub(crate) u64);

/// Where and what an immutable blob is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The unique name that the store gave it.
    pub name: BlobName,
    /// The SHA-256 of its bytes, checked on every read.
    #[serde(with = "serde_bytes")]
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

/// A key and the record under it.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The outcome of a swap that reached the store. Whether one that failed took effect is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// The new value is in place and durable.
    Done,
    /// Another write came first; nothing was changed.
    Lost,
}

/// A blob whose bytes come one after the other. Dropping it before it is finished leaves nothing behind; a crash leaves
/// at most what the next start deletes.
pub trait BlobWriter: Send + 'static {
    /// Appends bytes. Holds a bounded number of them in memory beside those of this call. After an error, or when the
    /// future was dropped, the blob cannot be finished any more.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes the blob durable under its unique name. Nothing refers to it until a record does. Dropping the future leaves
    /// at most a blob that nothing refers to.
    fn finish(self) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;
}

/// Keyed records and immutable blobs.
pub trait Store: Send + Sync + 'static {
    /// What a blob is streamed into.
    type BlobWriter: BlobWriter;

    /// Stores a blob under a new unique name. Nothing refers to it until a record does. Dropping the future leaves at
    /// most a blob that nothing refers to.
    fn put_blob(&self, bytes: Vec<u8>) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;

    /// Reads a blob and checks its length and hash: [`StoreError::BlobNotFound`], or [`StoreError::Damaged`] where they
    /// differ.
    fn get_blob(&self, blob: &BlobRef) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Begins a blob that is too large for memory, or whose bytes are not all there yet.
    fn begin_blob(&self) -> impl Future<Output = Result<Self::BlobWriter, StoreError>> + Send;

    /// Opens a blob for reading in any order: [`StoreError::BlobNotFound`], or [`StoreError::Damaged`]. Its length is
    /// checked every time, and its hash when the process opens it for the first time, unless the process wrote it: reading
    /// gigabytes twice for every use would take longer than most uses. The file stays readable when the blob is deleted
    /// meanwhile. Its cursor stands anywhere; read it by offset.
    fn open_blob(&self, blob: &BlobRef) -> impl Future<Output = Result<File, StoreError>> + Send;

    /// Deletes a blob. Deleting one that does not exist is not an error.
    fn delete_blob(&self, name: BlobName) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The names of all blobs, referred to or not, in no order.
    fn list_blobs(&self) -> impl Future<Output = Result<Vec<BlobName>, StoreError>> + Send;

    /// Reads the record under a key. Touches no disk when the record is cached; waits where the last write to it is not
    /// durable yet.
    fn get_pointer(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Pointer>, StoreError>> + Send;

    /// Replaces the record under a key, if it is still at the `expected` revision; `None` means absent, for both.
    /// A [`StoreError::Unknown`], or dropping the future, means that the swap may or may not have taken effect.
    /// Keys are at most [`MAX_KEY_BYTES`] long and records [`MAX_RECORD_BYTES`].
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
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}
