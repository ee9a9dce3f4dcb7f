//! The files of a log. An entry in one is 4 bytes of length, 4 bytes of CRC-32, both little-endian, then its bytes. The
//! checksum covers the log's name and the entry's number as well: an entry in the wrong place is detected, too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::log_head::{Segment, damaged};
use super::{LogEntry, LogName, MAX_ENTRY_BYTES, StoreError};

const HEADER_BYTES: usize = 8;

/// How many bytes of a segment are read at a time.
const READ_BYTES: usize = 64 << 10;

/// The path of a segment, from the name of its log and the number of its first entry.
pub(super) fn path(folder: &Path, log: LogName, first: u64) -> PathBuf {
    folder.join(format!("{log}.{first:016x}"))
}

/// The log and the first entry of a segment, from the name of its file; `None` for any other file.
pub(super) fn parse_name(name: &str) -> Option<(LogName, u64)> {
    let (log, first) = name.split_once('.')?;
    let parsed = (
        LogName::from_hex(log)?,
        u64::from_str_radix(first, 16).ok()?,
    );
    (format!("{}.{:016x}", parsed.0, parsed.1) == name).then_some(parsed)
}

/// The segments in a folder, each by its log and its first entry. Other files are ignored.
pub(super) fn list(folder: &Path) -> Result<Vec<(LogName, u64)>, StoreError> {
    let names = || -> io::Result<_> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(folder)? {
            segments.extend(entry?.file_name().to_str().and_then(parse_name));
        }
        Ok(segments)
    };
    match names() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(StoreError::io("list the segments of the logs")),
    }
}

/// Encodes entries, where `first` is the number of the first one.
pub(super) fn encode(log: LogName, first: u64, entries: &[Bytes]) -> Result<Vec<u8>, StoreError> {
    let n_bytes = entries.iter().map(|entry| HEADER_BYTES + entry.len()).sum();
    let mut bytes = Vec::with_capacity(n_bytes);
    for (sequence, entry) in (first..).zip(entries) {
        let length = u32::try_from(entry.len())
            .ok()
            .filter(|_| entry.len() <= MAX_ENTRY_BYTES)
            .ok_or(StoreError::TooLarge {
                what: "an entry of a log",
                size: entry.len(),
                limit: MAX_ENTRY_BYTES,
            })?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(log, sequence, entry).to_le_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

fn checksum(log: LogName, sequence: u64, entry: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(log.as_bytes());
    hasher.update(&sequence.to_le_bytes());
    hasher.update(entry);
    hasher.finalize()
}

/// A segment that is open for appending. Its file may hold more bytes than the segment, which were
/// never acknowledged.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) first: u64,
    pub(super) file: Arc<File>,
}

impl SegmentFile {
    /// Creates a segment. A file that already has its name was never acknowledged.
    pub(super) fn create(folder: &Path, log: LogName, first: u64) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path(folder, log, first))
            .map_err(StoreError::io("begin a segment of a log"))?;
        let file = Arc::new(file);
        Ok(Self { first, file })
    }

    /// Opens a segment for appending, and cuts off what was never acknowledged.
    pub(super) fn open(folder: &Path, log: LogName, segment: Segment) -> Result<Self, StoreError> {
        let what = "open a segment of a log";
        let path = path(folder, log, segment.first);
        let file = match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(log, segment));
            }
            result => result.map_err(StoreError::io(what))?,
        };
        let length = file.metadata().map_err(StoreError::io(what))?.len();
        check_length(log, segment, length)?;
        file.set_len(segment.n_bytes)
            .map_err(StoreError::io("cut a segment of a log"))?;
        Ok(Self {
            first: segment.first,
            file: Arc::new(file),
        })
    }

    /// Writes bytes at an offset.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(StoreError::io("append to a log"))
    }
}

/// Fails if the file of a segment is shorter than its acknowledged bytes.
pub(super) fn check_length(log: LogName, segment: Segment, length: u64) -> Result<(), StoreError> {
    if length >= segment.n_bytes {
        return Ok(());
    }
    Err(damaged(
        log,
        format!(
            "the segment of entry {} has {length} bytes, but {} were acknowledged",
            segment.first, segment.n_bytes
        ),
    ))
}

/// The error for a segment whose file is missing.
pub(super) fn missing(log: LogName, segment: Segment) -> StoreError {
    damaged(
        log,
        format!("the segment of entry {} is missing", segment.first),
    )
}

/// Reads the entries of a segment in order.
pub(super) struct SegmentReader {
    log: LogName,
    sequence: u64,
    offset: u64,
    /// Where the entries end.
    n_bytes: u64,
    reader: BufReader<File>,
}

impl SegmentReader {
    /// Opens a segment at an entry that begins at an offset. `None` when there is no such file.
    pub(super) fn open(
        folder: &Path,
        log: LogName,
        segment: Segment,
        sequence: u64,
        offset: u64,
    ) -> Result<Option<Self>, StoreError> {
        let what = "read a segment of a log";
        let mut file = match File::open(path(folder, log, segment.first)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(what)(error)),
        };
        let length = file.metadata().map_err(StoreError::io(what))?.len();
        check_length(log, segment, length)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(StoreError::io(what))?;
        Ok(Some(Self {
            log,
            sequence,
            offset,
            n_bytes: segment.n_bytes,
            reader: BufReader::with_capacity(READ_BYTES, file),
        }))
    }

    /// The number and the offset of the next entry.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.sequence, self.offset)
    }

    /// The next entry, checked; there must be one.
    pub(super) fn next(&mut self) -> Result<LogEntry, StoreError> {
        let (sequence, log) = (self.sequence, self.log);
        let not_what_was_written =
            move || damaged(log, format!("entry {sequence} is not what was written"));
        let mut header = [0; HEADER_BYTES];
        self.read_exact(&mut header)?;
        let [a, b, c, d, rest @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let end = self.offset + (HEADER_BYTES + length) as u64;
        if length > MAX_ENTRY_BYTES || end > self.n_bytes {
            return Err(not_what_was_written());
        }
        let mut bytes = vec![0; length];
        self.read_exact(&mut bytes)?;
        if checksum(log, sequence, &bytes) != u32::from_le_bytes(rest) {
            return Err(not_what_was_written());
        }
        self.sequence += 1;
        self.offset = end;
        let bytes = Bytes::from(bytes);
        Ok(LogEntry { sequence, bytes })
    }

    /// Checks that the segment ends here.
    pub(super) fn check_end(&self) -> Result<(), StoreError> {
        if self.offset == self.n_bytes {
            return Ok(());
        }
        Err(damaged(
            self.log,
            format!(
                "its entries before {} take {} bytes instead of {}",
                self.sequence, self.offset, self.n_bytes
            ),
        ))
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), StoreError> {
        match self.reader.read_exact(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged(
                self.log,
                format!("entry {} is cut short", self.sequence),
            )),
            result => result.map_err(StoreError::io("read a segment of a log")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_segments_are_parsed() {
        let log = LogName::random();
        let path = path(Path::new("/"), log, 77);
        let name = path.file_name().and_then(|name| name.to_str());
        assert_eq!(parse_name(name.expect("plain")), Some((log, 77)));
        for other in [
            "heads",
            "heads.new",
            &format!("{log}.4d"),
            &format!("{log}."),
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn damage_of_any_byte_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = LogName::random();
        let entries = [
            Bytes::from_static(b"one"),
            Bytes::new(),
            Bytes::from_static(b"three"),
        ];
        let bytes = encode(log, 5, &entries).expect("small");
        let segment = Segment {
            first: 5,
            n_bytes: bytes.len() as u64,
        };
        let read = |bytes: &[u8]| {
            std::fs::write(path(folder.path(), log, 5), bytes).expect("writable");
            let reader = SegmentReader::open(folder.path(), log, segment, 5, 0)?;
            let mut reader = reader.expect("it is there");
            (0..3).map(|_| reader.next()).collect::<Result<Vec<_>, _>>()
        };
        let whole = read(&bytes).expect("whole");
        assert!(whole.iter().map(|entry| &entry.bytes).eq(&entries));
        assert_eq!(whole[2].sequence, 7);
        for i in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[i] ^= 0x41;
            for bad in [&turned[..], &bytes[..i]] {
                let error = read(bad).expect_err("damaged");
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            }
        }
        let huge = encode(log, 1, &[Bytes::from(vec![0; MAX_ENTRY_BYTES + 1])]);
        assert!(matches!(huge, Err(StoreError::TooLarge { .. })));
    }
}
