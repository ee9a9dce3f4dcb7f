//! Records in a sled database, each in its envelope.
//!
//! Writers take turns, so the order of the revisions is the order of the writes in the log, and the revision of a write
//! doubles as its number at the committer.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::committer::Committer;
use super::record::{seal, unseal};
use super::sled_open::{self, guarded};
use super::{BlobName, Entry, LogName, Pointer, PointerSwap, Revision, StoreError};
use crate::error::chain;

/// How many revisions each opening of the store reserves, so that none is ever reused, whatever a crash undid.
/// 2^40 writes take years, and 2^24 openings remain.
const REVISIONS_PER_OPENING: u64 = 1 << 40;

/// The tree of the store's own values, apart from the records.
const INTERNAL: &str = "internal";
const NEXT_REVISION: &str = "next_revision";
const FINGERPRINT: &str = "token_key_fingerprint";

/// A database that is open but serves nothing yet.
pub(super) struct OpenDatabase {
    db: sled::Db,
    internal: sled::Tree,
    file: File,
}

impl OpenDatabase {
    /// Opens or makes the database in `folder/name`.
    pub(super) fn open(folder: &Path, name: &str, cache_bytes: u64) -> Result<Self, StoreError> {
        let db = sled_open::open(folder, name, cache_bytes)?;
        let internal = guarded("open a tree of the database", || db.open_tree(INTERNAL))?;
        let file = sled_open::data_file(folder, name)?;
        Ok(Self { db, internal, file })
    }

    /// The fingerprint of the token key that the store was made with.
    pub(super) fn fingerprint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let value = guarded("read the fingerprint", || self.internal.get(FINGERPRINT))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// Records the fingerprint and takes a range of revisions, durably; returns the last revision before the range.
    pub(super) fn begin(&self, fingerprint: &[u8]) -> Result<u64, StoreError> {
        let last = match guarded("read the revision", || self.internal.get(NEXT_REVISION))? {
            None => 0,
            Some(value) => {
                u64::from_be_bytes(value.as_ref().try_into().map_err(|_| StoreError::Damaged {
                    what: "the database",
                    how: format!("its revision has {} bytes instead of 8", value.len()),
                })?)
            }
        };
        let next = last
            .checked_add(REVISIONS_PER_OPENING)
            .ok_or_else(|| StoreError::Refused("the store has no revisions left".into()))?;
        guarded("write the revision and the fingerprint", || {
            self.internal
                .insert(NEXT_REVISION, &next.to_be_bytes()[..])?;
            self.internal.insert(FINGERPRINT, fingerprint)
        })?;
        sled_open::flush(&self.db, &self.file)?;
        Ok(last)
    }

    /// What the committer calls.
    pub(super) fn flusher(
        &self,
    ) -> Result<impl FnMut() -> Result<(), StoreError> + Send + use<>, StoreError> {
        let db = self.db.clone();
        let file = self
            .file
            .try_clone()
            .map_err(StoreError::io("open the file of the database"))?;
        Ok(move || sled_open::flush(&db, &file))
    }
}

/// The blobs and logs that records refer to.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) blobs: HashSet<BlobName>,
    pub(super) logs: HashSet<LogName>,
}

/// The records of an open database. Its methods may block.
pub(super) struct SledRecords {
    db: Option<sled::Db>,
    tree: Option<sled::Tree>,
    committer: Arc<Committer>,
    /// The last revision given. Locked while a write is applied.
    last_revision: Mutex<u64>,
    first_forbidden: u64,
    /// The number of the last deletion: a read that finds nothing must wait for it.
    last_deletion: AtomicU64,
}

impl SledRecords {
    /// Serves a database, with the revision that [`OpenDatabase::begin`] returned.
    pub(super) fn new(
        database: OpenDatabase,
        last_revision: u64,
        committer: Arc<Committer>,
    ) -> Self {
        Self {
            tree: Some((*database.db).clone()),
            db: Some(database.db),
            committer,
            last_revision: Mutex::new(last_revision),
            first_forbidden: last_revision + REVISIONS_PER_OPENING,
            last_deletion: AtomicU64::new(last_revision),
        }
    }

    /// The record under a key, and the number of the write that must be durable before it may be shown.
    pub(super) fn get(&self, key: &[u8]) -> Result<(Option<Pointer>, u64), StoreError> {
        match guarded("read a record", || self.tree().get(key))? {
            Some(stored) => {
                let sealed = unseal(key, &stored)?;
                let revision = sealed.revision;
                let value = sealed.value.to_vec();
                Ok((Some(Pointer { value, revision }), revision.0))
            }
            None => Ok((None, self.last_deletion.load(Ordering::SeqCst))),
        }
    }

    /// Applies a swap, unless it was applied before. Returns the number of the write that must be durable before it may be
    /// acknowledged; `None` if the swap is lost.
    pub(super) fn swap(&self, swap: &PointerSwap) -> Result<Option<u64>, StoreError> {
        swap.check_size()?;
        let key = &swap.key;
        // a panic inside has failed the store, and a number cannot be half changed
        let mut last_revision = self
            .last_revision
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.committer.check()?;
        let current = guarded("read a record", || self.tree().get(key))?;
        let found = match &current {
            Some(stored) => {
                let sealed = unseal(key, stored)?;
                if sealed.write == swap.id {
                    return Ok(Some(sealed.revision.0));
                }
                Some(sealed.revision)
            }
            None => None,
        };
        if found != swap.expected {
            return Ok(None);
        }
        let revision = *last_revision + 1;
        if revision >= self.first_forbidden {
            let cause = "the revisions of this opening are used up; restart the server";
            self.committer.fail(cause);
            let cause = cause.into();
            return Err(StoreError::Failed { cause });
        }
        *last_revision = revision;
        if swap.record.is_none() {
            // set before the deletion can be seen, so that whoever sees it knows what to wait for
            self.last_deletion.store(revision, Ordering::SeqCst);
        }
        let stored = swap
            .record
            .as_ref()
            .map(|record| seal(key, Revision(revision), swap.id, record));
        let applied = guarded("write a record", || {
            self.tree().compare_and_swap(key, current, stored)
        });
        match applied {
            Ok(outcome) => {
                // even if lost: a reader may wait for this number
                self.committer.request(revision);
                Ok(outcome.is_ok().then_some(revision))
            }
            Err(error) => {
                // sled does not recover from a failed write, and what it has written is unknown
                let cause = chain(&error);
                self.committer.fail(&cause);
                let cause = cause.into();
                Err(StoreError::Unknown { cause })
            }
        }
    }

    /// The records after `after` whose keys start with `prefix`, at most `limit`, and the number of the write that must
    /// be durable before they may be shown.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut records = Vec::new();
        let mut newest = 0;
        let mut range = guarded("read records", || {
            Ok(self.tree().range::<&[u8], _>((start, Bound::Unbounded)))
        })?;
        while records.len() < limit {
            let Some((key, stored)) = guarded("read records", || range.next().transpose())? else {
                break;
            };
            if !key.starts_with(prefix) {
                break;
            }
            let sealed = unseal(&key, &stored)?;
            newest = newest.max(sealed.revision.0);
            records.push((key.to_vec(), sealed.value.to_vec()));
        }
        // loaded last: it covers the deletion of whatever was not found
        Ok((
            records,
            newest.max(self.last_deletion.load(Ordering::SeqCst)),
        ))
    }

    /// What all records refer to, and the number of the write that must be durable before anything else may be
    /// deleted.
    pub(super) fn references(&self) -> Result<(References, u64), StoreError> {
        let mut references = References::default();
        let mut newest = 0;
        for entry in self.tree().iter() {
            let (key, stored) = guarded("read records", || entry)?;
            let sealed = unseal(&key, &stored)?;
            newest = newest.max(sealed.revision.0);
            references.blobs.extend(sealed.blobs());
            references.logs.extend(sealed.logs());
        }
        Ok((
            references,
            newest.max(self.last_deletion.load(Ordering::SeqCst)),
        ))
    }

    fn tree(&self) -> &sled::Tree {
        self.tree.as_ref().expect("present until dropped")
    }
}

impl Drop for SledRecords {
    fn drop(&mut self) {
        self.tree = None;
        if let Some(db) = self.db.take() {
            sled_open::close(db);
        }
    }
}
