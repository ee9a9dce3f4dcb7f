//! Records: small values under keys, changed by one swap each.

use std::time::{SystemTime, UNIX_EPOCH};

use super::blob::{BlobId, ID_BYTES};
use super::name::NAME_BYTES;
use super::{LogName, MAX_KEY_BYTES, MAX_RECORD_BYTES, StoreError};

/// The time now, as records hold times: in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The revision of a record. Never reused within a store, not even after a deletion or a restart; a later write has
/// a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub(crate) u64);

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The value, opaque to the store.
    pub value: Vec<u8>,
    /// The blobs that belong to the record. Blobs that no record refers to are swept.
    pub blobs: Vec<BlobId>,
    /// The logs that belong to the record.
    pub logs: Vec<LogName>,
}

impl Record {
    /// A record that refers to nothing.
    pub fn new(value: Vec<u8>) -> Self {
        Self {
            value,
            blobs: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// A record that refers to blobs.
    pub fn with_blobs(value: Vec<u8>, blobs: Vec<BlobId>) -> Self {
        Self {
            blobs,
            ..Self::new(value)
        }
    }

    /// What counts towards [`MAX_RECORD_BYTES`]: the value, 32 bytes for each blob and 16 for each log.
    pub(super) fn size(&self) -> usize {
        self.value.len() + ID_BYTES * self.blobs.len() + NAME_BYTES * self.logs.len()
    }
}

/// A value and the revision that it was read at.
#[derive(Debug, Clone)]
pub struct Pointer {
    /// The value of the record.
    pub value: Vec<u8>,
    /// The revision that a swap of this record expects.
    pub revision: Revision,
}

/// A key and the value of the record under it.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Identifies a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteId([u8; 16]);

impl WriteId {
    /// The id of writes that are never repeated.
    pub(super) const NONE: Self = Self([0; 16]);

    /// The id with these bytes.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The replacement of the record under a key, if it is still at the expected revision. It may be repeated: the store
/// recognises its id.
#[derive(Debug, Clone)]
pub struct PointerSwap {
    pub(super) id: WriteId,
    pub(super) key: Vec<u8>,
    pub(super) expected: Option<Revision>,
    pub(super) record: Option<Record>,
}

impl PointerSwap {
    /// Puts a record in the place of the one at the `expected` revision; `None` expects that there is none.
    pub fn put(key: &[u8], expected: Option<Revision>, record: Record) -> Self {
        Self::new(key, expected, Some(record))
    }

    /// Removes the record at the `expected` revision.
    pub fn remove(key: &[u8], expected: Revision) -> Self {
        Self::new(key, Some(expected), None)
    }

    fn new(key: &[u8], expected: Option<Revision>, record: Option<Record>) -> Self {
        Self {
            id: WriteId(uuid::Uuid::new_v4().into_bytes()),
            key: key.to_vec(),
            expected,
            record,
        }
    }

    /// Fails if the key or the record is too large.
    pub(super) fn check_size(&self) -> Result<(), StoreError> {
        let record = self.record.as_ref().map_or(0, Record::size);
        for (what, size, limit) in [
            ("a key", self.key.len(), MAX_KEY_BYTES),
            ("a record", record, MAX_RECORD_BYTES),
        ] {
            if size > limit {
                return Err(StoreError::TooLarge { what, size, limit });
            }
        }
        Ok(())
    }
}

/// The outcome of a swap that reached the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// The new record is in place and durable.
    Done,
    /// Another write came first; nothing was changed.
    Lost,
}
