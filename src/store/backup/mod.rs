//! Backups: a copy of a store as it was at one moment, in a folder of its own.
//!
//! A backup is made of `records` and `heads`, the entries of the two databases; `blobs/` and `logs/`, the files that they refer to;
//! the token key, if it is in the folder of the store; and, written last, `manifest`, so a copy that was broken off is none. The
//! databases themselves are not copied: sled changes them in place while they are in use.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sealed::unseal;
use super::{Entry, StoreError};

mod entries;
mod make;
mod manifest;
mod restore;

pub(super) use make::{Receive, Source, make};
pub use restore::restore;

use entries::EntryReader;
use manifest::Manifest;

const RECORDS: &str = "records";
const HEADS: &str = "heads";
const BLOBS: &str = "blobs";
const LOGS: &str = "logs";

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSummary {
    /// When it was made, as RFC 3339 writes times: everything acknowledged by then is in it.
    pub made: String,
    /// The last write in it.
    pub last_write: String,
    /// The number of records.
    pub n_records: u64,
    /// The number of blobs: models, reservoirs, files of datasets and their descriptions.
    pub n_blobs: u64,
    /// The number of logs.
    pub n_logs: u64,
    /// The size of the blobs and logs, in bytes.
    pub n_bytes: u64,
    /// Whether the token key is in it.
    pub has_token_key: bool,
}

/// A backup whose manifest was checked.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Opens the backup in a folder.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the folder holds no backup, or one that was not finished or is damaged.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            folder: folder.to_owned(),
            manifest: Manifest::read(folder)?,
        })
    }

    /// What is in it.
    pub fn summary(&self) -> BackupSummary {
        self.manifest.summary()
    }

    /// The keys and values of its records, in the order of the keys. Each is checked; whether they are complete is known only
    /// after the last one.
    ///
    /// # Errors
    /// When the file of the records cannot be opened.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Entry, StoreError>>, StoreError> {
        let entries = EntryReader::open(&self.folder.join(RECORDS))?;
        Ok(entries.map(|entry| {
            let (key, stored) = entry?;
            let value = unseal(&key, &stored)?.value.to_vec();
            Ok((key, value))
        }))
    }
}

fn refused(folder: &Path, why: &str) -> StoreError {
    StoreError::Refused(format!("{} {why}", folder.display()))
}
