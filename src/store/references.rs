//! What the records of a store refer to.

use std::collections::HashMap;

use super::blob::BlobId;
use super::sealed::Sealed;
use super::{BlobName, LogName, hex, key};

/// The blobs and logs that records refer to, and which record does.
#[derive(Debug, Default)]
pub(super) struct References {
    blobs: HashMap<BlobName, (BlobId, usize)>,
    logs: HashMap<LogName, usize>,
    /// The keys of the records that refer to anything.
    keys: Vec<Box<[u8]>>,
}

impl References {
    /// Adds what a record refers to.
    pub(super) fn add(&mut self, key: &[u8], sealed: &Sealed<'_>) {
        let record = self.keys.len();
        let blobs = sealed.blobs().map(|blob| (blob.name, (blob, record)));
        self.blobs.extend(blobs);
        self.logs.extend(sealed.logs().map(|log| (log, record)));
        if sealed.blobs().next().is_some() || sealed.logs().next().is_some() {
            self.keys.push(key.into());
        }
    }

    /// The blobs in the order of their names, each with a description of the record that refers to it.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (BlobId, impl Fn() -> String + '_)> + '_ {
        let mut names: Vec<&BlobName> = self.blobs.keys().collect();
        names.sort_unstable();
        names.into_iter().filter_map(move |name| {
            let (blob, record) = self.blobs.get(name)?;
            Some((*blob, move || self.describe(*record)))
        })
    }

    /// The logs in the order of their names, each with a description of the record that refers to it.
    pub(super) fn logs(&self) -> impl Iterator<Item = (LogName, String)> + '_ {
        let mut logs: Vec<(LogName, usize)> = self.logs.iter().map(|(l, r)| (*l, *r)).collect();
        logs.sort_unstable();
        logs.into_iter()
            .map(move |(log, record)| (log, self.describe(record)))
    }

    pub(super) fn has_blob(&self, name: BlobName) -> bool {
        self.blobs.contains_key(&name)
    }

    pub(super) fn has_log(&self, name: LogName) -> bool {
        self.logs.contains_key(&name)
    }

    fn describe(&self, record: usize) -> String {
        self.keys
            .get(record)
            .map(|key| describe(key))
            .unwrap_or_default()
    }
}

/// The record under a key, for people.
pub(super) fn describe(key: &[u8]) -> String {
    if let Some((_, run_id)) = key::parse_run_key(key) {
        return format!("the record of run {run_id:?}");
    }
    if let Some((_, dataset_id)) = key::parse_dataset_key(key) {
        return format!("the record of dataset {dataset_id:?}");
    }
    format!("the record under the key {}", hex::encode(key))
}
