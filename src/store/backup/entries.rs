//! The entries of a database in a file: each is two lengths of 4 bytes, little-endian, then the key and the stored bytes, which
//! carry a checksum. That none is missing is known from the totals in the manifest.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::store::sealed::MAX_ENVELOPE_BYTES;
use crate::store::{MAX_KEY_BYTES, MAX_RECORD_BYTES, StoreError};

/// Writes entries to a new file.
pub(super) struct EntryWriter(BufWriter<File>);

impl EntryWriter {
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map(|file| Self(BufWriter::new(file)))
            .map_err(StoreError::io("begin a file of a backup"))
    }

    pub(super) fn write(&mut self, key: &[u8], stored: &[u8]) -> Result<(), StoreError> {
        let mut write = || -> io::Result<()> {
            for part in [key, stored] {
                let length = u32::try_from(part.len()).map_err(io::Error::other)?;
                self.0.write_all(&length.to_le_bytes())?;
            }
            self.0.write_all(key)?;
            self.0.write_all(stored)
        };
        write().map_err(StoreError::io("write a file of a backup"))
    }

    /// Makes the file durable.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        self.0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(StoreError::io("write a file of a backup"))
    }
}

/// Reads entries. After an error there are no more.
pub(super) struct EntryReader(Option<BufReader<File>>);

impl EntryReader {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        File::open(path)
            .map(|file| Self(Some(BufReader::new(file))))
            .map_err(StoreError::io("open a file of a backup"))
    }
}

impl Iterator for EntryReader {
    type Item = Result<KeyAndBytes, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = read(self.0.as_mut()?);
        if !matches!(entry, Ok(Some(_))) {
            self.0 = None;
        }
        entry.transpose()
    }
}

/// A key and the stored bytes of its record.
type KeyAndBytes = (Vec<u8>, Vec<u8>);

fn read(reader: &mut BufReader<File>) -> Result<Option<KeyAndBytes>, StoreError> {
    let at_end = io::BufRead::fill_buf(reader)
        .map_err(StoreError::io("read a file of a backup"))?
        .is_empty();
    if at_end {
        return Ok(None);
    }
    let [a, b, c, d, rest @ ..] = take::<8>(reader)?;
    let key = take_bytes(reader, u32::from_le_bytes([a, b, c, d]), MAX_KEY_BYTES)?;
    let most = MAX_RECORD_BYTES + MAX_ENVELOPE_BYTES;
    let stored = take_bytes(reader, u32::from_le_bytes(rest), most)?;
    Ok(Some((key, stored)))
}

fn take<const N: usize>(reader: &mut BufReader<File>) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(cut_or_io)?;
    Ok(bytes)
}

fn take_bytes(
    reader: &mut BufReader<File>,
    length: u32,
    most: usize,
) -> Result<Vec<u8>, StoreError> {
    let length = length as usize;
    if length > most {
        return Err(damaged(format!(
            "a part of an entry has {length} bytes, more than {most}"
        )));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).map_err(cut_or_io)?;
    Ok(bytes)
}

fn cut_or_io(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it is cut short".to_owned()),
        _ => StoreError::io("read a file of a backup")(error),
    }
}

fn damaged(how: String) -> StoreError {
    StoreError::Damaged {
        what: "a file of a backup",
        how,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_round_trip_and_a_cut_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("records");
        let entries = [
            (vec![], b"of the empty key".to_vec()),
            (b"k".to_vec(), vec![7; MAX_RECORD_BYTES]),
        ];
        let mut writer = EntryWriter::create(&path).expect("made");
        for (key, stored) in &entries {
            writer.write(key, stored).expect("written");
        }
        writer.finish().expect("written");
        let read = || {
            EntryReader::open(&path)
                .expect("there")
                .collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(read().expect("whole"), entries);

        let whole = std::fs::read(&path).expect("readable");
        let first = 8 + entries[0].1.len();
        for length in [1, 7, 9, first - 1, first + 3, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("writable");
            let error = read().expect_err("cut");
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        }
        std::fs::write(&path, [0xff; 100]).expect("writable");
        read().expect_err("a length over the limit");
    }
}
