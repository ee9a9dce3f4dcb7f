//! An open sled database with the records in one tree, and an entry of the store's own in another.

use std::fs::File;

use super::StoreError;
use super::layout::Place;
use super::sled_open::{self, guarded};

/// The tree of the store's own entry, apart from the records.
const OWN: &str = "internal";

/// A database. Its methods may block. Dropping it closes it.
pub(super) struct Database {
    // trees first: closing the database waits for all handles
    records: Option<sled::Tree>,
    own: Option<sled::Tree>,
    db: Option<sled::Db>,
    file: Option<File>,
}

impl Database {
    /// Opens a database, which exists.
    pub(super) fn open(place: &Place, cache_bytes: u64) -> Result<Self, StoreError> {
        let (folder, name) = (&place.folder, place.name);
        // whatever fails below, it is closed with sled's panics caught
        let mut database = Self {
            records: None,
            own: None,
            db: Some(sled_open::open(folder, name, cache_bytes)?),
            file: None,
        };
        database.records = Some((**database.db()).clone());
        database.own = Some(guarded("open a tree of the database", || {
            database.db().open_tree(OWN)
        })?);
        database.file = Some(sled_open::data_file(folder, name)?);
        Ok(database)
    }

    /// Makes a database with these entries and one of the store's own under `own_key`.
    pub(super) fn create(
        place: &Place,
        cache_bytes: u64,
        entries: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>>,
        own: Option<(&[u8], Vec<u8>)>,
    ) -> Result<(), StoreError> {
        sled_open::create(&place.folder, place.name, cache_bytes, |db| {
            for entry in entries {
                let (key, stored) = entry?;
                guarded("write a record", || db.insert(key, stored))?;
            }
            if let Some((key, stored)) = own {
                guarded("write the entry of the store", || {
                    db.open_tree(OWN)?.insert(key, stored)
                })?;
            }
            Ok(())
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        guarded("read a record", || self.records().get(key))
    }

    pub(super) fn insert(&self, key: &[u8], stored: Vec<u8>) -> Result<(), StoreError> {
        guarded("write a record", || self.records().insert(key, stored)).map(|_| ())
    }

    pub(super) fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        guarded("remove a record", || self.records().remove(key)).map(|_| ())
    }

    /// The store's own entry.
    pub(super) fn own(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        guarded("read the entry of the store", || self.own_tree().get(key))
    }

    pub(super) fn set_own(&self, key: &[u8], stored: Vec<u8>) -> Result<(), StoreError> {
        let set = || self.own_tree().insert(key, stored);
        guarded("write the entry of the store", set).map(|_| ())
    }

    /// All entries but the store's own, in the order of their keys.
    pub(super) fn entries(&self) -> Entries {
        Entries {
            iter: Some(self.records().iter()),
            last: None,
        }
    }

    /// The tree of the records.
    pub(super) fn records(&self) -> &sled::Tree {
        self.records.as_ref().expect("present until dropped")
    }

    /// Makes everything applied before the call survive power loss.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let file = self.file.as_ref().expect("present once open");
        sled_open::flush(self.db(), file)
    }

    fn own_tree(&self) -> &sled::Tree {
        self.own.as_ref().expect("present once open")
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("present until dropped")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.records = None;
        self.own = None;
        if let Some(db) = self.db.take() {
            sled_open::close(db);
        }
    }
}

/// The entries of a database. After an error there are no more.
pub(super) struct Entries {
    iter: Option<sled::Iter>,
    last: Option<sled::IVec>,
}

impl Iterator for Entries {
    type Item = Result<(sled::IVec, sled::IVec), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let iter = self.iter.as_mut()?;
        let next = guarded("read records", || iter.next().transpose()).and_then(|next| {
            // a damaged tree could lead in circles
            let key = next.as_ref().map(|(key, _)| key);
            if key.is_some() && key <= self.last.as_ref() {
                return Err(StoreError::Damaged {
                    what: "the database",
                    how: "its keys are not in order".to_owned(),
                });
            }
            self.last = key.cloned();
            Ok(next)
        });
        match next.transpose() {
            Some(Ok(entry)) => Some(Ok(entry)),
            end => {
                self.iter = None;
                end
            }
        }
    }
}
