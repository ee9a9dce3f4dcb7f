//! The mark of a database: a file outside it that says what was acknowledged.
//!
//! sled takes damage for a torn end of its log, and opens with what came before. So each commit also writes to a mark, after the
//! database is synced and before anybody is told: the mark is never ahead of what is durable, and never behind of what was
//! acknowledged. A start demands a database that is at least as far.
//!
//! The file has two slots, written in turn, so that a write which power loss has torn leaves the one before it. Each slot is, with
//! integers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ANOMMRK1` |
//! | 8 | the number of the write; the slot with the greater one counts |
//! | 16 | the id of the store |
//! | 8, 40 | the revision and the totals of the database |
//! | 8 | the time of the write, in milliseconds since 1970 |
//! | 32 | SHA-256 of all that |

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::audit::rfc3339;
use super::record::now_ms;
use super::state::{State, StoreId};
use super::totals::Totals;
use super::{StoreError, files};

const MAGIC: [u8; 8] = *b"ANOMMRK1";

/// Apart by more than a disk writes at once.
const SLOT_BYTES: u64 = 4096;

const N_SLOTS: u64 = 2;

/// What was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The store that the database belongs to.
    pub(super) store: StoreId,
    /// The state after the last write that may have been acknowledged. Revision 0 stands for a database that is being made.
    pub(super) state: State,
    /// When that was, in milliseconds since 1970.
    pub(super) at_ms: i64,
}

impl Mark {
    /// The mark of a database as it is now.
    pub(super) fn now(store: StoreId, state: State) -> Self {
        Self {
            store,
            state,
            at_ms: now_ms(),
        }
    }

    /// The state and the time, for people.
    pub(super) fn describe(&self) -> String {
        format!("{}, at {}", self.state, rfc3339(self.at_ms))
    }

    fn encode(&self, number: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(self.store.as_bytes());
        bytes.extend_from_slice(&self.state.revision.to_le_bytes());
        bytes.extend_from_slice(&self.state.totals.to_bytes());
        bytes.extend_from_slice(&self.at_ms.to_le_bytes());
        let checksum: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// The number of the write and the mark; `None` if the slot is damaged.
    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (magic, rest) = slot.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (store, rest) = rest.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (totals, rest) = rest.split_first_chunk()?;
        let (at_ms, rest) = rest.split_first_chunk()?;
        let checksum = rest.get(..32)?;
        let content = slot.get(..slot.len() - rest.len())?;
        if *magic != MAGIC || Sha256::digest(content).as_slice() != checksum {
            return None;
        }
        let mark = Self {
            store: StoreId::from_bytes(*store),
            state: State {
                revision: u64::from_le_bytes(*revision),
                totals: Totals::from_bytes(totals),
            },
            at_ms: i64::from_le_bytes(*at_ms),
        };
        Some((u64::from_le_bytes(*number), mark))
    }
}

/// What the file of a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMark {
    /// There is no file.
    Missing,
    /// Neither slot is whole.
    Damaged,
    /// The newest slot that is whole.
    Whole(Mark),
}

impl ReadMark {
    /// Reads the mark in a file.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| {
            file.take(N_SLOTS * SLOT_BYTES)
                .read_to_end(&mut bytes)
                .map(|_| ())
        }) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(error) => return Err(StoreError::io("read a mark of the store")(error)),
        }
        let slots = bytes.chunks(SLOT_BYTES as usize);
        let newest = slots.filter_map(Mark::decode).max_by_key(|slot| slot.0);
        Ok(newest.map_or(Self::Damaged, |(_, mark)| Self::Whole(mark)))
    }

    /// The mark, if it can be read and is not that of a database that is being made.
    pub(super) fn acknowledged(&self) -> Option<Mark> {
        match self {
            Self::Whole(mark) if mark.state.revision > 0 => Some(*mark),
            _ => None,
        }
    }

    /// The store that it belongs to, if it can be read.
    pub(super) fn store(&self) -> Option<StoreId> {
        match self {
            Self::Whole(mark) => Some(mark.store),
            Self::Missing | Self::Damaged => None,
        }
    }

    /// Whether nothing was ever acknowledged: there is no mark, or that of a database that is being made.
    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Damaged => false,
            Self::Whole(mark) => mark.state.revision == 0,
        }
    }
}

/// The mark of a database that is in use.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    path: PathBuf,
    /// The number of the last write.
    number: u64,
    mark: Mark,
}

impl MarkFile {
    /// Writes a mark to both slots of a new file, which replaces an old one only when it is durable.
    pub(super) fn create(path: &Path, mark: Mark) -> Result<Self, StoreError> {
        let what = "make a mark of the store";
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(folder), Some(name)) = (path.parent(), name) else {
            return Err(StoreError::io(what)(io::Error::other("it has no name")));
        };
        files::replace(folder, name, |file| {
            file.set_len(N_SLOTS * SLOT_BYTES)?;
            (0..N_SLOTS).try_for_each(|number| write_slot(file, number, &mark))
        })
        .map_err(StoreError::io(what))?;
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(StoreError::io(what))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            number: N_SLOTS - 1,
            mark,
        })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a state, durably, over the older slot.
    pub(super) fn write(&mut self, state: State) -> Result<(), StoreError> {
        let mark = Mark::now(self.mark.store, state);
        let number = self.number + 1;
        write_slot(&self.file, number, &mark)
            .and_then(|()| self.file.sync_data())
            .map_err(StoreError::io("write a mark of the store"))?;
        self.number = number;
        self.mark = mark;
        Ok(())
    }

    /// Writes the last state once more, so that both slots of a store that is stopped have it, and damage to one of them hides
    /// nothing.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.write(self.mark.state) {
            tracing::warn!(%error, path = %self.path.display(), "the mark could not be written a second time");
        }
    }
}

fn write_slot(file: &File, number: u64, mark: &Mark) -> io::Result<()> {
    file.write_all_at(&mark.encode(number), number % N_SLOTS * SLOT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(revision: u64) -> State {
        State {
            revision,
            totals: Totals::default(),
        }
    }

    fn revision(path: &Path) -> Option<u64> {
        match ReadMark::read(path).expect("readable") {
            ReadMark::Whole(mark) => Some(mark.state.revision),
            ReadMark::Missing | ReadMark::Damaged => None,
        }
    }

    fn mark_file() -> (tempfile::TempDir, PathBuf, MarkFile) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mark");
        let mark = Mark::now(StoreId::random(), state(1));
        let file = MarkFile::create(&path, mark).expect("made");
        (folder, path, file)
    }

    #[test]
    fn the_last_write_counts_and_the_file_never_grows() {
        let (_folder, path, mut file) = mark_file();
        for n in 2..9 {
            file.write(state(n)).expect("written");
            assert_eq!(revision(&path), Some(n));
        }
        let size = path.metadata().expect("there").len();
        assert_eq!(size, N_SLOTS * SLOT_BYTES);
        let store = file.mark.store;
        drop(file);
        MarkFile::create(&path, Mark::now(store, state(20))).expect("replaced");
        assert_eq!(revision(&path), Some(20));
    }

    #[test]
    fn a_torn_write_leaves_the_one_before_it() {
        let (_folder, path, mut file) = mark_file();
        file.write(state(2)).expect("written");
        let before = std::fs::read(&path).expect("readable");
        file.write(state(3)).expect("written");
        let after = std::fs::read(&path).expect("readable");
        let changed: Vec<usize> = (0..after.len())
            .filter(|&i| before[i] != after[i])
            .collect();
        for torn in &changed[1..] {
            let mut bytes = after.clone();
            bytes[*torn..].copy_from_slice(&before[*torn..]);
            std::fs::write(&path, bytes).expect("writable");
            assert_eq!(revision(&path), Some(2), "torn at {torn}");
        }
    }

    #[test]
    fn damage_to_one_slot_of_a_closed_mark_hides_nothing() {
        let (_folder, path, mut file) = mark_file();
        file.write(state(2)).expect("written");
        file.close();
        let whole = std::fs::read(&path).expect("readable");
        let slot = SLOT_BYTES as usize;
        for at in [0, 20, 100, slot, slot + 20, slot + 100] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("writable");
            assert_eq!(revision(&path), Some(2), "byte {at}");
        }
        for damaged in [&whole[..50], &vec![0; 2 * slot], &[]] {
            std::fs::write(&path, damaged).expect("writable");
            assert_eq!(ReadMark::read(&path).expect("readable"), ReadMark::Damaged);
        }
        std::fs::remove_file(&path).expect("removable");
        assert_eq!(ReadMark::read(&path).expect("readable"), ReadMark::Missing);
    }
}
