//! ListModels: the runs of an owner, page by page.

use super::record::RunRecord;
use super::{Caller, RunId, Runs, VersionRecord, VersionSelector};
use crate::error::{Error, Result, reason};
use crate::store::{Store, key};

/// The least number of records read at a time.
const MIN_READ: usize = 100;

/// A run, by its active version.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The run.
    pub run_id: RunId,
    /// Its active version.
    pub version: VersionRecord,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The runs, in the order of the bytes of their ids.
    pub runs: Vec<Listed>,
    /// Whether there are more after them.
    pub more: bool,
}

impl<S: Store> Runs<S> {
    /// Lists at most `limit` runs of the caller whose ids come after `after`.
    pub async fn list(&self, caller: Caller, after: Option<&RunId>, limit: usize) -> Result<Page> {
        let prefix = key::owner_prefix(caller.owner);
        let mut after = after.map(|id| key::run_key(caller.owner, id.as_str()));
        let mut runs = Vec::new();
        // deleted runs are skipped, so a page may take several reads
        while runs.len() <= limit {
            let n_read = (limit + 1 - runs.len()).max(MIN_READ);
            let scan = self.store.scan(&prefix, after.as_deref(), n_read);
            let records = scan.await?;
            let is_last = records.len() < n_read;
            after = records.last().map(|(key, _)| key.clone());
            for (key, value) in records {
                let record = RunRecord::decode(&value)?;
                if !record.is_deleted() {
                    let (_, run_id) = key::parse_run_key(&key).ok_or_else(foreign_key)?;
                    let run_id = RunId::parse(run_id)?;
                    let version = record.select(&run_id, VersionSelector::Active)?.clone();
                    runs.push(Listed { run_id, version });
                }
            }
            if is_last {
                break;
            }
        }
        let more = runs.len() > limit;
        runs.truncate(limit);
        Ok(Page { runs, more })
    }
}

fn foreign_key() -> Error {
    Error::new(reason::DAMAGED_ARTIFACT, "the key of a run is damaged")
}
