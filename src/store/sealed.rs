//! The envelope in which records are stored. A stored record is, with integers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format of this envelope, 1 |
//! | 4 | CRC-32 of the key, of the format and of all that follows |
//! | 8, 32 | the totals of the database once this is written: how many records, and the sum of their hashes |
//! | 8 | the sequence: the revision of the record |
//! | 16 | the id of the write that made it |
//! | 1 | 1 for a record, 0 for the removal of one |
//! | 2, 2 | how many blobs and how many logs it refers to |
//! | 32 each | the blobs: the name, and the first half of the SHA-256 |
//! | 16 each | the names of the logs |
//! | the rest | the value, which names its own kind and format |
//!
//! So the newest entry of a database says what all of them are, and one write of one entry changes both. A removal is an entry,
//! too, until the next write; it does not count as a record.

use super::blob::{BlobId, ID_BYTES};
use super::name::NAME_BYTES;
use super::record::WriteId;
use super::state::State;
use super::totals::{RecordHash, TOTALS_BYTES, Totals};
use super::{LogName, Record, Revision, StoreError};

const FORMAT: u8 = 1;
const CHECKSUM_AT: usize = 1;
const TOTALS_AT: usize = CHECKSUM_AT + 4;
const BODY_AT: usize = TOTALS_AT + TOTALS_BYTES;
const HEADER_BYTES: usize = BODY_AT + 8 + 16 + 1 + 2 + 2;

/// The most bytes that the envelope adds to the size of a record.
pub(super) const MAX_ENVELOPE_BYTES: usize = HEADER_BYTES;

/// A record that is encoded but for the totals, which depend on its own hash.
pub(super) struct Draft {
    bytes: Vec<u8>,
    is_record: bool,
}

impl Draft {
    /// Encodes a record, whose size was checked, or the removal of one.
    pub(super) fn new(revision: u64, write: WriteId, record: Option<&Record>) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + record.map_or(0, Record::size));
        bytes.push(FORMAT);
        bytes.resize(BODY_AT, 0);
        bytes.extend_from_slice(&revision.to_le_bytes());
        bytes.extend_from_slice(write.as_bytes());
        bytes.push(u8::from(record.is_some()));
        let (blobs, logs, value) = match record {
            Some(record) => (&record.blobs[..], &record.logs[..], &record.value[..]),
            None => Default::default(),
        };
        for n in [blobs.len(), logs.len()] {
            // fits: the bound on the size of a record allows for a few hundred names
            bytes.extend_from_slice(&(n as u16).to_le_bytes());
        }
        for blob in blobs {
            bytes.extend_from_slice(&blob.to_bytes());
        }
        for log in logs {
            bytes.extend_from_slice(log.as_bytes());
        }
        bytes.extend_from_slice(value);
        Self {
            bytes,
            is_record: record.is_some(),
        }
    }

    /// Counts it into the totals of the database, if it is a record, and writes them into it.
    pub(super) fn seal(self, key: &[u8], totals: &mut Totals) -> Vec<u8> {
        if self.is_record {
            totals.add(RecordHash::of(key, &self.bytes[BODY_AT..]));
        }
        self.seal_uncounted(key, totals)
    }

    /// Writes the totals into it as they are.
    pub(super) fn seal_uncounted(self, key: &[u8], totals: &Totals) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes[TOTALS_AT..BODY_AT].copy_from_slice(&totals.to_bytes());
        let checksum = checksum(key, &bytes[TOTALS_AT..]);
        bytes[CHECKSUM_AT..TOTALS_AT].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

/// A stored record, or the removal of one, checked.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    totals: Totals,
    pub(super) revision: Revision,
    pub(super) write: WriteId,
    pub(super) is_removal: bool,
    /// From the revision on.
    body: &'a [u8],
    blobs: &'a [u8],
    logs: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Sealed<'_> {
    /// The state of the database once this was written.
    pub(super) fn state(&self) -> State {
        State {
            revision: self.revision.0,
            totals: self.totals,
        }
    }

    /// What it counts in the totals.
    pub(super) fn hash(&self, key: &[u8]) -> RecordHash {
        RecordHash::of(key, self.body)
    }

    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobId> + '_ {
        let ids = self.blobs.as_chunks::<ID_BYTES>().0;
        ids.iter().map(BlobId::from_bytes)
    }

    pub(super) fn logs(&self) -> impl Iterator<Item = LogName> + '_ {
        let names = self.logs.as_chunks::<NAME_BYTES>().0;
        names.iter().copied().map(LogName::from_bytes)
    }
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
    let (totals, body) = rest.split_first_chunk().ok_or_else(cut)?;
    let (sequence, rest) = body.split_first_chunk().ok_or_else(cut)?;
    let (write, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (&[kind], rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (n_blobs, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (n_logs, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let part = |rest: &'a [u8], n: [u8; 2], n_bytes: usize| {
        rest.split_at_checked(usize::from(u16::from_le_bytes(n)) * n_bytes)
            .ok_or_else(cut)
    };
    let (blobs, rest) = part(rest, *n_blobs, ID_BYTES)?;
    let (logs, value) = part(rest, *n_logs, NAME_BYTES)?;
    Ok(Sealed {
        totals: Totals::from_bytes(totals),
        revision: Revision(u64::from_le_bytes(*sequence)),
        write: WriteId::from_bytes(*write),
        is_removal: kind == 0,
        body,
        blobs,
        logs,
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
    use crate::store::BlobName;

    fn blob(byte: u8) -> BlobId {
        BlobId {
            name: BlobName::from_bytes([byte; 16]),
            digest: [byte + 1; 16],
        }
    }

    #[test]
    fn a_record_survives_its_round_trip_and_damage_is_refused() {
        let record = Record {
            value: b"value".to_vec(),
            blobs: vec![blob(2), blob(8)],
            logs: vec![LogName::random()],
        };
        let id = WriteId::from_bytes([7; 16]);
        let mut totals = Totals::default();
        let bytes = Draft::new(300, id, Some(&record)).seal(b"key", &mut totals);
        let sealed = unseal(b"key", &bytes).expect("whole");
        assert_eq!((sealed.revision, sealed.write), (Revision(300), id));
        assert_eq!(sealed.value, record.value);
        assert_eq!(sealed.blobs().collect::<Vec<_>>(), record.blobs);
        assert_eq!(sealed.logs().collect::<Vec<_>>(), record.logs);
        assert!(!sealed.is_removal);

        assert!(unseal(b"kez", &bytes).is_err(), "under another key");
        for i in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[i] ^= 0x41;
            assert!(unseal(b"key", &turned).is_err(), "byte {i}");
            assert!(unseal(b"key", &bytes[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn an_entry_says_what_all_records_are_with_it() {
        let mut totals = Totals::default();
        let write = WriteId::NONE;
        let record = Record::new(b"v".to_vec());
        let one = Draft::new(1, write, Some(&record)).seal(b"one", &mut totals);
        let two = Draft::new(2, write, Some(&record)).seal(b"two", &mut totals);
        let one = unseal(b"one", &one).expect("whole");
        let two = unseal(b"two", &two).expect("whole");
        let mut counted = Totals::default();
        counted.add(one.hash(b"one"));
        assert_eq!(one.state().totals, counted);
        counted.add(two.hash(b"two"));
        let state = State {
            revision: 2,
            totals: counted,
        };
        assert_eq!((two.state(), totals), (state, counted));

        totals.remove(one.hash(b"one"));
        let removal = Draft::new(3, write, None).seal(b"one", &mut totals);
        let removal = unseal(b"one", &removal).expect("whole");
        assert!(removal.is_removal);
        let mut counted = Totals::default();
        counted.add(two.hash(b"two"));
        assert_eq!(removal.state().totals, counted);
    }

    /// The documented format: newer servers must be able to read it.
    #[test]
    fn the_bytes_of_a_record_stay_what_they_are() {
        let record = Record::with_blobs(b"v".to_vec(), vec![blob(2)]);
        let id = WriteId::from_bytes([3; 16]);
        let bytes = Draft::new(1, id, Some(&record)).seal_uncounted(b"k", &Totals::default());
        let mut expected = vec![1];
        // computed with Python: zlib.crc32(b"k\x01" + what follows the checksum)
        expected.extend_from_slice(&CHECKSUM.to_le_bytes());
        expected.extend_from_slice(&[0; 40]);
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[3; 16]);
        expected.extend_from_slice(&[1, 1, 0, 0, 0]);
        expected.extend_from_slice(&[2; 16]);
        expected.extend_from_slice(&[3; 16]);
        expected.push(b'v');
        assert_eq!(bytes, expected);
    }

    const CHECKSUM: u32 = 0x37A3_711D;
}
