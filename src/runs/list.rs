//! ListModels: the runs of an owner, page by page.

use super::record::RunRecord;
use super::{Caller, RunId, Runs, VersionRecord, VersionSelector};
use crate::error::{Error, Result, reason};
use crate::store::{Store, key};

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
        let after = after.map(|id| key::run_key(caller.owner, id.as_str()));
        let mut records = self
            .store
            .scan(&prefix, after.as_deref(), limit + 1)
            .await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let runs = records
            .into_iter()
            .map(|(key, value)| {
                let (_, run_id) = key::parse_run_key(&key).ok_or_else(foreign_key)?;
                let run_id = RunId::parse(run_id)?;
                let record = RunRecord::decode(&value)?;
                let version = record.select(&run_id, VersionSelector::Active)?.clone();
                Ok(Listed { run_id, version })
            })
            .collect::<Result<_>>()?;
        Ok(Page { runs, more })
    }
}

fn foreign_key() -> Error {
    Error::new(reason::DAMAGED_ARTIFACT, "the key of a run is damaged")
}
