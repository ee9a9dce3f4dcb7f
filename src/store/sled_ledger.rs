//! A database whose newest entry says what all of its records are, and whose mark says how far it was acknowledged.
//!
//! Writers take turns, so the order of the revisions is the order of the writes in sled's log, and what a crash leaves is the
//! state after one of them. A start counts all records and compares the totals with those in the newest entry: they differ if
//! sled has left out anything in between. It compares that entry with the mark: it is older if sled has left out the end.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backup::Receive;
use super::contents::{Contents, Visit};
use super::layout::Place;
use super::mark::{Mark, MarkFile, ReadMark};
use super::record::WriteId;
use super::sealed::{Draft, unseal};
use super::sled_database::Database;
use super::state::{State, StoreId, next_opening, next_revision};
use super::totals::RecordHash;
use super::{Record, StoreError};

/// The key of the store's own entry, in a tree of its own.
pub(super) const OWN_KEY: &[u8] = b"store";

const FINGERPRINT_BYTES: usize = 16;

/// What a database says about the store that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) store: StoreId,
    /// The fingerprint of the token key that the store was made with, in the database of the records.
    pub(super) fingerprint: Option<[u8; FINGERPRINT_BYTES]>,
}

impl Origin {
    fn encode(&self) -> Record {
        let mut value = self.store.as_bytes().to_vec();
        value.extend(self.fingerprint.iter().flatten());
        Record::new(value)
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (store, rest) = value.split_first_chunk::<{ StoreId::SIZE }>()?;
        let fingerprint = match rest {
            [] => None,
            rest => Some(rest.try_into().ok()?),
        };
        Some(Self {
            store: StoreId::from_bytes(*store),
            fingerprint,
        })
    }
}

/// Makes an empty database for a store. Its mark comes first and says that it is being made, so that a crash in between is not
/// taken for the loss of the database.
pub(super) fn create(place: &Place, cache_bytes: u64, store: StoreId) -> Result<(), StoreError> {
    MarkFile::create(&place.mark, Mark::now(store, State::default()))?;
    Database::create(place, cache_bytes, std::iter::empty(), None)
}

/// Makes a database of entries from a backup, with their revisions, of which `state` is the last. A crash on the way leaves a mark
/// without a database, which is refused.
pub(super) fn import(
    place: &Place,
    cache_bytes: u64,
    entries: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>>,
    origin: Origin,
    state: State,
) -> Result<(), StoreError> {
    let state = State {
        revision: next_opening(state.revision)?,
        ..state
    };
    let own = own_entry(origin, state);
    MarkFile::create(&place.mark, Mark::now(origin.store, state))?;
    Database::create(place, cache_bytes, entries, Some((OWN_KEY, own)))
}

/// The store's own entry, as the newest one.
fn own_entry(origin: Origin, state: State) -> Vec<u8> {
    Draft::new(state.revision, WriteId::NONE, Some(&origin.encode()))
        .seal_uncounted(OWN_KEY, &state.totals)
}

/// A database as it was found: open, but not trusted yet.
pub(super) struct Found {
    database: Database,
    contents: Contents,
}

impl Found {
    /// Opens a database, which exists, and reads everything in it. `visit` gets each record.
    pub(super) fn read(
        place: &Place,
        cache_bytes: u64,
        visit: Visit<'_>,
    ) -> Result<Self, StoreError> {
        let database = Database::open(place, cache_bytes)?;
        let contents = Contents::read(&database, visit)?;
        Ok(Self { database, contents })
    }

    /// What is in it.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What it says about the store that it belongs to; `None` if it says nothing, as a new one.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.contents.origin
    }

    /// How many records there are.
    pub(super) fn n_records(&self) -> u64 {
        self.contents.counted.n_records
    }

    /// Hands out each record with its key and its stored bytes, and returns the state.
    pub(super) fn export(&self, receive: Receive<'_>) -> Result<State, StoreError> {
        export(&self.database, receive)?;
        Ok(self.contents.newest)
    }

    /// Begins to use the database as it is: notes the store that it belongs to, takes a range of revisions after its own and after
    /// `acknowledged`, and removes the entries that cannot be read. All that is durable, and so is the mark.
    pub(super) fn begin(
        self,
        mark: &Path,
        origin: Origin,
        acknowledged: u64,
    ) -> Result<Ledger, StoreError> {
        let Self { database, contents } = self;
        let Contents {
            newest,
            counted,
            removals,
            damaged,
            ..
        } = contents;
        let state = State {
            revision: next_opening(newest.revision.max(acknowledged))?,
            totals: counted,
        };
        database.set_own(OWN_KEY, own_entry(origin, state))?;
        let useless = removals.iter().chain(damaged.iter().map(|(key, _)| key));
        for key in useless {
            database.remove(key)?;
        }
        database.flush()?;
        let mark = MarkFile::create(mark, Mark::now(origin.store, state))?;
        Ok(Ledger {
            database,
            tip: Mutex::new(Tip {
                state,
                removal: None,
            }),
            mark: Mutex::new(mark),
        })
    }
}

/// A database in use. Its methods may block.
pub(super) struct Ledger {
    database: Database,
    /// Locked while a write is applied.
    tip: Mutex<Tip>,
    mark: Mutex<MarkFile>,
}

/// The end of the database.
struct Tip {
    /// What the newest entry says.
    state: State,
    /// The key of the newest entry, if that is a removal.
    removal: Option<Vec<u8>>,
}

impl Ledger {
    /// The database, for reading.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Waits for the turn to write.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn {
            ledger: self,
            // changed by single assignments, and a panic of sled is caught before it gets here
            tip: self.tip.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Makes everything applied before the call survive power loss, and then says so in the mark.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let state = self.turn().tip.state;
        self.database.flush()?;
        self.lock_mark().write(state)
    }

    fn lock_mark(&self) -> MutexGuard<'_, MarkFile> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.lock_mark().close();
    }
}

/// The right to write, while no other writer does.
pub(super) struct Turn<'a> {
    ledger: &'a Ledger,
    tip: MutexGuard<'a, Tip>,
}

impl Turn<'_> {
    /// The revision of the last write.
    pub(super) fn revision(&self) -> u64 {
        self.tip.state.revision
    }

    /// The revision that the next write gets. Fails when there are no more.
    pub(super) fn next_revision(&self) -> Result<u64, StoreError> {
        next_revision(self.tip.state.revision)
    }

    /// Puts a record under a key, or removes the one there. `replaced` is the hash of the record that is there now. Returns the
    /// revision. After an error the database can no longer be used.
    pub(super) fn write(
        &mut self,
        key: &[u8],
        replaced: Option<RecordHash>,
        write: WriteId,
        record: Option<&Record>,
    ) -> Result<u64, StoreError> {
        let database = &self.ledger.database;
        let revision = self.next_revision()?;
        let mut totals = self.tip.state.totals;
        if let Some(replaced) = replaced {
            totals.remove(replaced);
        }
        let stored = Draft::new(revision, write, record).seal(key, &mut totals);
        database.insert(key, stored)?;
        self.tip.state = State { revision, totals };
        // the entry of an earlier removal is not the newest any more, so it says nothing
        let earlier = self.tip.removal.take();
        if let Some(earlier) = earlier.filter(|earlier| earlier != key) {
            database.remove(&earlier)?;
        }
        if record.is_none() {
            self.tip.removal = Some(key.to_vec());
        }
        Ok(revision)
    }

    /// Reads everything in the database as this process sees it. The newest write is the last one of this process.
    pub(super) fn contents(&self, visit: Visit<'_>) -> Result<Contents, StoreError> {
        let contents = Contents::read(&self.ledger.database, visit)?;
        Ok(Contents {
            newest: self.tip.state,
            ..contents
        })
    }

    /// Reads the file of the mark, which no write of this process changes meanwhile.
    pub(super) fn read_mark(&self) -> Result<ReadMark, StoreError> {
        ReadMark::read(self.ledger.lock_mark().path())
    }

    /// Hands out each record with its key and its stored bytes, and returns the state.
    pub(super) fn export(&self, receive: Receive<'_>) -> Result<State, StoreError> {
        export(&self.ledger.database, receive)?;
        Ok(self.tip.state)
    }
}

fn export(database: &Database, receive: Receive<'_>) -> Result<(), StoreError> {
    for entry in database.entries() {
        let (key, stored) = entry?;
        let sealed = unseal(&key, &stored)?;
        if !sealed.is_removal {
            receive(&key, &stored, &sealed)?;
        }
    }
    Ok(())
}
