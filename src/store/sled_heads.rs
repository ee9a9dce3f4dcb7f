//! The heads of logs in a sled database of their own: in the one of the records they would make it grow without
//! bound.

use std::fs::File;
use std::path::Path;

use super::log_head::Head;
use super::sled_open::{self, guarded};
use super::{LogName, StoreError};

/// How much memory the database may use for its cache, in bytes.
const CACHE_BYTES: u64 = 8 << 20;

/// The heads of all logs. Its methods may block.
pub(super) struct SledHeads {
    db: Option<sled::Db>,
    file: File,
}

impl SledHeads {
    /// Opens or makes the database in `folder/name`.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, StoreError> {
        let db = Some(sled_open::open(folder, name, CACHE_BYTES)?);
        let file = sled_open::data_file(folder, name)?;
        Ok(Self { db, file })
    }

    /// The head of a log, checked.
    pub(super) fn get(&self, log: LogName) -> Result<Option<Head>, StoreError> {
        let stored = guarded("read the head of a log", || self.db().get(log.as_bytes()))?;
        stored.map(|stored| Head::decode(log, &stored)).transpose()
    }

    /// All heads, checked.
    pub(super) fn all(&self) -> Result<Vec<(LogName, Head)>, StoreError> {
        let mut heads = Vec::new();
        for entry in self.db().iter() {
            let (key, stored) = guarded("read the heads of the logs", || entry)?;
            let name = key.as_ref().try_into().map_err(|_| StoreError::Damaged {
                what: "the database of the logs",
                how: format!("a key has {} bytes instead of 16", key.len()),
            })?;
            let log = LogName::from_bytes(name);
            heads.push((log, Head::decode(log, &stored)?));
        }
        Ok(heads)
    }

    /// Puts a head in place, or removes it. Not durable before the flush.
    pub(super) fn put(&self, log: LogName, head: Option<&Head>) -> Result<(), StoreError> {
        match head {
            Some(head) => {
                let stored = head.encode(log)?;
                guarded("write the head of a log", || {
                    self.db().insert(log.as_bytes(), stored)
                })?;
            }
            None => {
                guarded("remove the head of a log", || {
                    self.db().remove(log.as_bytes())
                })?;
            }
        }
        Ok(())
    }

    /// Makes all changes so far survive power loss.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        sled_open::flush(self.db(), &self.file)
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("present until dropped")
    }
}

impl Drop for SledHeads {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            sled_open::close(db);
        }
    }
}
