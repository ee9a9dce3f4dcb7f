//! The use cases: train, predict, update, list, describe and delete. The one place that joins pipeline, compute and store.

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
pub use get::{Described, VersionSelector};
pub use list::{Listed, Page};
pub use predict::{History, Scorer};
pub use record::VersionRecord;
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

/// How many decoded records are held, each of a few kilobytes. Decoding one takes longer than scoring a row.
const CACHED_RECORDS: usize = 1000;

/// What bounds the memory and the records of runs.
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
    /// Decoded records. A revision is never given twice, so nothing ever has to be invalidated.
    records: Cache<Revision, Arc<RunRecord>>,
    update_turns: Arc<Turns>,
    commits: TaskTracker,
    gathered: Arc<Gathered>,
}

impl<S: Store> Runs<S> {
    /// The runs in a store, which learn from and score the datasets in it, too. To be called within a runtime, in which what is
    /// known of unknown features is written.
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

    /// Waits until the writes that have begun to store their version are done.
    pub async fn close(&self) {
        self.commits.close();
        self.commits.wait().await;
        self.flush_unknown_features().await;
    }

    /// The record of a run, also of one that is deleted, and the revision that it was read at; `None` for a run that never was.
    async fn stored(&self, key: &[u8]) -> Result<Option<(Arc<RunRecord>, Revision)>> {
        let Some(pointer) = self.store.get_pointer(key).await? else {
            return Ok(None);
        };
        let record = self.records.get_or_insert_with(&pointer.revision, || {
            RunRecord::decode(&pointer.value).map(Arc::new)
        })?;
        Ok(Some((record, pointer.revision)))
    }

    /// The generation of a run that a write belongs to which begins now.
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

    /// The version of a run that is asked for, with its model.
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
                .get(&*self.store, &self.compute, &version.model)
                .await;
            match model {
                Ok(model) => {
                    return Ok(Loaded {
                        record,
                        version,
                        model,
                    });
                }
                // an old version may be collected between the look at the record and the look at the blob
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
