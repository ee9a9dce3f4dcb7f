//! The use cases of runs: train, predict, update, list, describe and delete. They join the pipeline, the compute pool and
//! the store.

use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio_util::task::TaskTracker;

use crate::compute::Compute;
use crate::datasets::Datasets;
use crate::error::Result;
use crate::store::{Revision, Store, key};
use anomaly_detection::pipeline::Model;

mod cache;
mod commit;
mod dataset_tables;
mod delete;
mod feed;
mod form;
mod get;
mod list;
mod predict;
mod record;
mod rows;
mod run_id;
mod scan;
mod train;
mod turns;
mod unknown_features;
mod update;

pub use feed::{Feed, Sink};
pub use form::Form;
pub use get::{Described, VersionSelector};
pub use list::{Listed, Page};
pub use predict::{History, Scorer};
pub use record::{VersionRecord, n_kept_versions};
pub use rows::{DatasetSource, ReadRows, RowIds, RowSource, Rows};
pub use run_id::RunId;
pub use scan::{Scan, ScannedChunk};
pub use unknown_features::Sighting;

pub use crate::caller::{Caller, RequestId};

use cache::ModelCache;
use record::RunRecord;
use turns::Turns;
use unknown_features::Gathered;

/// How many versions of a run are kept.
pub const KEPT_VERSIONS: usize = 10;

/// How many decoded records of a few kilobytes are cached: decoding one takes longer than scoring a row.
const CACHED_RECORDS: usize = 1000;

/// Limits of runs.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// How many bytes of models are held in memory.
    pub model_cache_bytes: u64,
    /// How many raw rows a model keeps for updates.
    pub reservoir_size: usize,
}

/// All runs of all owners.
#[derive(Debug)]
pub struct Runs<S> {
    store: Arc<S>,
    datasets: Arc<Datasets<S>>,
    compute: Compute,
    /// How many raw rows a model keeps for updates.
    reservoir_size: usize,
    models: ModelCache,
    /// Decoded records. Revisions are never reused, so no entry needs to be invalidated.
    records: Cache<Revision, Arc<RunRecord>>,
    update_turns: Arc<Turns>,
    commits: TaskTracker,
    gathered: Arc<Gathered>,
}

impl<S: Store> Runs<S> {
    /// The runs in a store, which can also use the datasets in it. Must be called within a runtime: it spawns the task that
    /// writes what is known about unknown features.
    pub fn new(
        store: Arc<S>,
        datasets: Arc<Datasets<S>>,
        compute: Compute,
        options: RunOptions,
    ) -> Arc<Self> {
        let runs = Arc::new(Self {
            store,
            datasets,
            compute,
            reservoir_size: options.reservoir_size,
            models: ModelCache::new(options.model_cache_bytes),
            records: Cache::new(CACHED_RECORDS),
            update_turns: Arc::default(),
            commits: TaskTracker::new(),
            gathered: Arc::default(),
        });
        runs.write_unknown_features();
        runs
    }

    /// Waits until all writes that have begun are done.
    pub async fn close(&self) {
        self.commits.close();
        self.commits.wait().await;
        self.flush_unknown_features().await;
    }

    /// The record of a run, even of a deleted one, and its revision; `None` for a run that never existed.
    async fn stored(&self, key: &[u8]) -> Result<Option<(Arc<RunRecord>, Revision)>> {
        let Some(pointer) = self.store.get_pointer(key).await? else {
            return Ok(None);
        };
        let record = self.records.get_or_insert_with(&pointer.revision, || {
            RunRecord::decode(&pointer.value).map(Arc::new)
        })?;
        Ok(Some((record, pointer.revision)))
    }

    /// The current generation of a run.
    async fn generation(&self, key: &[u8]) -> Result<u64> {
        let stored = self.stored(key).await?;
        Ok(stored.map_or(0, |(record, _)| record.generation))
    }

    async fn record(&self, caller: &Caller, run_id: &RunId) -> Result<Arc<RunRecord>> {
        let key = key::run_key(caller.owner, run_id.as_str());
        match self.stored(&key).await? {
            Some((record, _)) if !record.is_deleted() => Ok(record),
            _ => Err(run_id.not_found()),
        }
    }

    /// Loads a version of a run with its model.
    async fn load(
        &self,
        caller: &Caller,
        run_id: &RunId,
        selector: VersionSelector,
    ) -> Result<Loaded> {
        let mut record = self.record(caller, run_id).await?;
        loop {
            let version = record.select(run_id, selector)?.clone();
            let model = self
                .models
                .get(&*self.store, &self.compute, caller.owner, &version.model)
                .await;
            match model {
                Ok(model) => {
                    return Ok(Loaded {
                        record,
                        version,
                        model,
                    });
                }
                // an old version may be deleted after the record was read
                Err(cache::LoadError::Gone(error)) => {
                    record = self.record(caller, run_id).await?;
                    if record.select(run_id, selector)?.model == version.model {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// One version of a run and its model.
struct Loaded {
    record: Arc<RunRecord>,
    version: VersionRecord,
    model: Arc<Model>,
}

#[cfg(test)]
impl<S: Store> Runs<S> {
    /// The runs in a store, with small limits.
    fn in_store(store: S) -> Arc<Self> {
        use std::time::Duration;

        use crate::memory::{Budget, Holders};

        let compute = Compute::new(1, 4, Duration::from_secs(60)).expect("threads");
        let store = Arc::new(store);
        let memory = Budget::new(Holders::Datasets, 256 << 20);
        let datasets = Datasets::new(Arc::clone(&store), compute.clone(), 1 << 20, memory);
        let options = RunOptions {
            model_cache_bytes: 1 << 20,
            reservoir_size: 10,
        };
        Self::new(store, datasets, compute, options)
    }
}
