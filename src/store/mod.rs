//! The store: small records under keys, swapped one at a time; immutable blobs; and append-only logs.
//!
//! [`Store`] names no database and no transaction, so that an embedded database and a replicated one can both stand behind
//! it. Several processes may share a store, so none of them sees all writers: whatever one must know about another's writes
//! is in a record. What a method acknowledges is durable: it survives `kill -9` and power loss. What a read shows is durable
//! too, so that an answer built on a read can be trusted as much as one built on a write.

mod accept;
mod audit;
mod backup;
mod blob;
mod blob_folder;
mod blob_trailer;
mod checksums;
mod committer;
mod contents;
mod deletions;
mod embedded;
mod embedded_reader;
mod embedded_writer;
mod error;
#[cfg(test)]
pub(crate) mod faulty;
mod files;
mod growing_blob;
mod hex;
pub mod key;
mod layout;
mod log;
mod log_commit;
mod log_head;
mod log_segment;
mod logs;
mod losses;
mod maintenance;
mod mark;
mod memory;
mod name;
mod opening;
mod owner;
mod quarantine;
mod record;
mod references;
mod reserve;
mod sealed;
mod settle;
mod sled_database;
mod sled_heads;
mod sled_ledger;
mod sled_open;
mod sled_records;
mod state;
mod strayed;
mod survey;
mod token_key;
mod totals;
mod verify;

use bytes::Bytes;

pub use accept::Acceptance;
pub use backup::{Backup, BackupSummary, restore};
pub use blob::{BlobId, BlobReader, BlobRef, BlobWriter, discard};
pub use embedded::{EmbeddedStore, StoreOptions};
pub use embedded_reader::EmbeddedBlobReader;
pub use embedded_writer::EmbeddedBlobWriter;
pub use error::StoreError;
pub use log::{LogBounds, LogEntry, MAX_ENTRY_BYTES, Retain};
pub use maintenance::{CheckReport, backup_stopped, check_stopped};
pub use memory::{MemoryBlobReader, MemoryBlobWriter, MemoryStore};
pub use name::{BlobName, LogName};
pub use owner::{Owner, TokenHasher};
pub use record::{Entry, Pointer, PointerSwap, Record, Revision, Swap, now_ms};
pub use settle::settle;
pub use token_key::TokenKey;

/// The longest key, in bytes. A tree's index page holds up to 257 keys and must stay small.
pub const MAX_KEY_BYTES: usize = 400;

/// The longest record, in bytes: its value, 32 bytes for each blob that it refers to and 16 for each log. A tree's leaf holds
/// up to 17 records and must stay small.
pub const MAX_RECORD_BYTES: usize = 6 * 1024;

/// Keyed records, immutable blobs and logs. The tests of `tests/store/contract` are what every implementation must pass.
///
/// Any method may fail with [`StoreError::Unavailable`] while the store cannot be reached, which passes, with
/// [`StoreError::Panicked`] at a defect of the store, and with [`StoreError::Failed`] once it has failed for good.
pub trait Store: Send + Sync + 'static {
    /// What a blob is streamed into.
    type BlobWriter: BlobWriter;

    /// What a large blob is read with.
    type BlobReader: BlobReader;

    /// What turns tokens into owners. Its key belongs to the store: a store only opens with the key that it was made with,
    /// and processes that share one need the same key.
    fn token_hasher(&self) -> &TokenHasher;

    /// Waits, usually for ever, until the store has failed for good: then nothing can be served any more, and the server
    /// stops. A store that is only [`StoreError::Unavailable`] does not end this.
    fn failed(&self) -> impl Future<Output = StoreError> + Send;

    /// Removes the blobs and logs that no record refers to and that nobody is about to refer to any more: what crashes have
    /// left behind. Returns their number. A store may keep them aside for a while before a later sweep deletes them for good. May
    /// be called at any time, by any of those who share the store; a server does it at its start and every hour.
    fn sweep(&self) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Stores a blob under a new unique name. Nothing refers to it until a record does. Dropping the future leaves at
    /// most a blob that nothing refers to.
    fn put_blob(&self, bytes: Vec<u8>) -> impl Future<Output = Result<BlobRef, StoreError>> + Send;

    /// Reads a blob and checks its length and hash: [`StoreError::BlobNotFound`], or [`StoreError::Damaged`] where they
    /// differ. A blob that a record referred to may be gone because the record has changed since: read that again.
    fn get_blob(&self, blob: &BlobRef) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;

    /// Begins a blob that is too large for memory, or whose bytes are not all known yet.
    fn begin_blob(&self) -> impl Future<Output = Result<Self::BlobWriter, StoreError>> + Send;

    /// Opens a blob for reading in any order: [`StoreError::BlobNotFound`], or [`StoreError::Damaged`] where its length
    /// or the hash that it was written with is another. Its bytes are checked each time that they are read.
    fn open_blob(
        &self,
        blob: &BlobRef,
    ) -> impl Future<Output = Result<Self::BlobReader, StoreError>> + Send;

    /// Deletes a blob, which no record may refer to any more. Deleting one that does not exist is not an error.
    fn delete_blob(&self, name: BlobName) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads the record under a key; waits until the last write to it is durable.
    fn get_pointer(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Pointer>, StoreError>> + Send;

    /// Replaces or removes the record under a key, if it is still at the expected revision. The very same swap may be repeated:
    /// one that finds the record that it has put is [`Swap::Done`].
    ///
    /// After [`StoreError::Unknown`], or when the future was dropped, the swap may or may not have taken effect; [`settle`]
    /// repeats it. Keys are at most [`MAX_KEY_BYTES`] long and records [`MAX_RECORD_BYTES`].
    fn swap_pointer(
        &self,
        swap: &PointerSwap,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// The keys and values of the records whose keys start with `prefix` and come after `after`, in the order of the
    /// keys, at most `limit`.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Makes an empty log under a new unique name. Nothing refers to it until a record does.
    fn create_log(&self) -> impl Future<Output = Result<LogName, StoreError>> + Send;

    /// Appends entries of at most [`MAX_ENTRY_BYTES`] each to a log. Returns their numbers, ascending.
    /// [`StoreError::LogNotFound`] once the log is deleted.
    ///
    /// After [`StoreError::Unknown`], or when the future was dropped, the entries may or may not be there; after every other
    /// error they are not.
    fn append(
        &self,
        log: LogName,
        entries: Vec<Bytes>,
    ) -> impl Future<Output = Result<Vec<u64>, StoreError>> + Send;

    /// Reads entries of a log, in order, from the number `from` on or from the oldest that is kept: at most `n_entries`, and
    /// no more than fit into `n_bytes`, but at least one if there is one. Each is checked against its checksum.
    fn read_log(
        &self,
        log: LogName,
        from: u64,
        n_entries: usize,
        n_bytes: usize,
    ) -> impl Future<Output = Result<Vec<LogEntry>, StoreError>> + Send;

    /// Which entries a log holds.
    fn log_bounds(
        &self,
        log: LogName,
    ) -> impl Future<Output = Result<LogBounds, StoreError>> + Send;

    /// Drops the oldest entries of a log. Numbers are never reused.
    fn trim_log(
        &self,
        log: LogName,
        retain: Retain,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes a log. Deleting one that does not exist is not an error.
    fn delete_log(&self, log: LogName) -> impl Future<Output = Result<(), StoreError>> + Send;
}
