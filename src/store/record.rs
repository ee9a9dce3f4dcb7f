//! Records: small values under keys, changed by one swap each; and the envelope in which their bytes are stored.
//!
//! A stored record is, with integers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format of this envelope, 1 |
//! | 4 | CRC-32 of the key, of the format and of all that follows |
//! | 8 | the sequence: the revision of the record |
//! | 16 | the id of the write that made it |
//! | 2, 2 | how many blobs and how many logs it refers to |
//! | 16 each | their names, blobs first |
//! | the rest | the value, which names its own kind and format |

use std::time::{SystemTime, UNIX_EPOCH};

use super::name::NAME_BYTES;
use super::{BlobName, LogName, MAX_KEY_BYTES, MAX_RECORD_BYTES, StoreError};

const FORMAT: u8 = 1;
const CHECKSUM_AT: usize = 1;
const SEQUENCE_AT: usize = CHECKSUM_AT + 4;
const HEADER_BYTES: usize = SEQUENCE_AT + 8 + 16 + 2 + 2;

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
    pub blobs: Vec<BlobName>,
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
    pub fn with_blobs(value: Vec<u8>, blobs: Vec<BlobName>) -> Self {
        Self {
            blobs,
            ..Self::new(value)
        }
    }

    /// What counts towards [`MAX_RECORD_BYTES`]: the value and 16 bytes for each name.
    pub(super) fn size(&self) -> usize {
        self.value.len() + NAME_BYTES * (self.blobs.len() + self.logs.len())
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

/// A stored record, checked.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    pub(super) revision: Revision,
    pub(super) write: WriteId,
    names: &'a [u8],
    n_blobs: usize,
    pub(super) value: &'a [u8],
}

impl Sealed<'_> {
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobName> + '_ {
        names(self.names)
            .take(self.n_blobs)
            .map(BlobName::from_bytes)
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = LogName> + '_ {
        names(self.names)
            .skip(self.n_blobs)
            .map(LogName::from_bytes)
    }
}

fn names(bytes: &[u8]) -> impl Iterator<Item = [u8; NAME_BYTES]> + '_ {
    bytes.as_chunks().0.iter().copied()
}

/// Encodes a record, whose size was checked.
pub(super) fn seal(key: &[u8], revision: Revision, write: WriteId, record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + record.size());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&[0; SEQUENCE_AT - CHECKSUM_AT]);
    bytes.extend_from_slice(&revision.0.to_le_bytes());
    bytes.extend_from_slice(&write.0);
    for n in [record.blobs.len(), record.logs.len()] {
        // fits: the bound on the size of a record allows for a few hundred names
        bytes.extend_from_slice(&(n as u16).to_le_bytes());
    }
    for blob in &record.blobs {
        bytes.extend_from_slice(blob.as_bytes());
    }
    for log in &record.logs {
        bytes.extend_from_slice(log.as_bytes());
    }
    bytes.extend_from_slice(&record.value);
    let checksum = checksum(key, &bytes[SEQUENCE_AT..]);
    bytes[CHECKSUM_AT..SEQUENCE_AT].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks stored bytes and finds the parts of the record.
pub(super) fn unseal<'a>(key: &[u8], bytes: &'a [u8]) -> Result<Sealed<'a>, StoreError> {
    let cut = || damaged("it is cut short".to_owned());
    let (&[format], rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    if format != FORMAT {
        return Err(damaged(format!(
            "it has format {format}, and this server reads format {FORMAT}"
        )));
    }
    let (stored_checksum, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    if u32::from_le_bytes(*stored_checksum) != checksum(key, rest) {
        return Err(damaged("it does not match its checksum".to_owned()));
    }
    let (sequence, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (write, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (n_blobs, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (n_logs, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let n_blobs = usize::from(u16::from_le_bytes(*n_blobs));
    let n_logs = usize::from(u16::from_le_bytes(*n_logs));
    let (names, value) = rest
        .split_at_checked(NAME_BYTES * (n_blobs + n_logs))
        .ok_or_else(cut)?;
    Ok(Sealed {
        revision: Revision(u64::from_le_bytes(*sequence)),
        write: WriteId(*write),
        names,
        n_blobs,
        value,
    })
}

/// Covers the key as well, so that a record under the wrong key is detected.
fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[FORMAT]);
    hasher.update(rest);
    hasher.finalize()
}

fn damaged(how: String) -> StoreError {
    StoreError::Damaged {
        what: "a record",
        how,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_round_trip_and_damage_is_refused() {
        let record = Record {
            value: b"value".to_vec(),
            blobs: vec![BlobName::random(), BlobName::random()],
            logs: vec![LogName::random()],
        };
        let id = WriteId([7; 16]);
        let bytes = seal(b"key", Revision(300), id, &record);
        let sealed = unseal(b"key", &bytes).expect("whole");
        assert_eq!((sealed.revision, sealed.write), (Revision(300), id));
        assert_eq!(sealed.value, record.value);
        assert_eq!(sealed.blobs().collect::<Vec<_>>(), record.blobs);
        assert_eq!(sealed.logs().collect::<Vec<_>>(), record.logs);

        assert!(unseal(b"kez", &bytes).is_err(), "under another key");
        for i in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[i] ^= 0x41;
            assert!(unseal(b"key", &turned).is_err(), "byte {i}");
            assert!(unseal(b"key", &bytes[..i]).is_err(), "cut at {i}");
        }
    }

    /// The documented format: newer servers must be able to read it.
    #[test]
    fn the_bytes_of_a_record_stay_what_they_are() {
        let record = Record::with_blobs(b"v".to_vec(), vec![BlobName::from_bytes([2; 16])]);
        let bytes = seal(b"k", Revision(1), WriteId([3; 16]), &record);
        let mut expected = vec![1];
        // computed with Python: zlib.crc32(b"k\x01" + what follows the checksum)
        expected.extend_from_slice(&CHECKSUM.to_le_bytes());
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[3; 16]);
        expected.extend_from_slice(&[1, 0, 0, 0]);
        expected.extend_from_slice(&[2; 16]);
        expected.push(b'v');
        assert_eq!(bytes, expected);
    }

    const CHECKSUM: u32 = 0xDB1D_C842;
}
