//! The use cases: train, predict, update, list, describe and delete. The one place that joins pipeline, compute and store.

use std::collections::HashSet;
use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio_util::task::TaskTracker;

use crate::compute::Compute;
use crate::error::{Error, Result};
use crate::store::{self, BlobName, Revision, Store, key};
use anomaly_detection::pipeline::Model;

mod cache;
mod commit;
mod delete;
mod get;
mod list;
mod predict;
mod record;
mod run_id;
mod train;
mod unknown_features;
mod update;
mod writers;

pub use get::{Described, VersionSelector};
pub use list::{Listed, Page};
pub use predict::{History, Scorer};
pub use record::VersionRecord;
pub use run_id::RunId;
pub use train::TrainRows;
pub use unknown_features::Sighting;

pub use crate::caller::{Caller, RequestId};

use cache::ModelCache;
use record::RunRecord;
use unknown_features::Gathered;
use writers::Writers;

/// How many versions of a run are kept.
pub const KEPT_VERSIONS: usize = 10;

/// How many decoded records are held, each of a few kilobytes. Decoding one takes longer than scoring a row.
const CACHED_RECORDS: usize = 1000;

/// The blobs that the runs in a store refer to. The sweep at the start spares them.
pub async fn referenced_blobs(store: &impl Store) -> Result<HashSet<BlobName>> {
    let mut referenced = HashSet::new();
    store::scan_all(store, key::all_runs_prefix(), |_, value| {
        referenced.extend(RunRecord::decode(value)?.blobs());
        Ok::<_, Error>(())
    })
    .await?;
    Ok(referenced)
}

/// All runs of all owners.
#[derive(Debug)]
pub struct Runs<S> {
    store: Arc<S>,
    compute: Compute,
    models: ModelCache,
    /// Decoded records. A revision is never given twice, so nothing ever has to be invalidated.
    records: Cache<Revision, Arc<RunRecord>>,
    writers: Arc<Writers>,
    commits: TaskTracker,
    gathered: Arc<Gathered>,
}

impl<S: Store> Runs<S> {
    /// The runs in a store. To be called within a runtime, in which what is known of unknown features is written.
    pub fn new(store: Arc<S>, compute: Compute, model_cache_bytes: u64) -> Arc<Self> {
        let runs = Arc::new(Self {
            store,
            compute,
            models: ModelCache::new(model_cache_bytes),
            records: Cache::new(CACHED_RECORDS),
            writers: Arc::new(Writers::default()),
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

    async fn record(&self, caller: &Caller, run_id: &RunId) -> Result<Arc<RunRecord>> {
        let key = key::run_key(caller.owner, run_id.as_str());
        let pointer = self
            .store
            .get_pointer(&key)
            .await?
            .ok_or_else(|| run_id.not_found())?;
        self.records.get_or_insert_with(&pointer.revision, || {
            RunRecord::decode(&pointer.value).map(Arc::new)
        })
    }

    /// The version of a run that is asked for, with its model.
    async fn load(
        &self,
        caller: &Caller,
        run_id: &RunId,
        selector: VersionSelector,
    ) -> Result<Loaded> {
        /// An old version may be collected between the look at the record and the look at the blob.
        const ATTEMPTS: usize = 3;
        let mut attempt = 1;
        loop {
            let record = self.record(caller, run_id).await?;
            let version = record.select(run_id, selector)?.clone();
            match self
                .models
                .get(&*self.store, &self.compute, &version.model)
                .await
            {
                Ok(model) => {
                    return Ok(Loaded {
                        record,
                        version,
                        model,
                    });
                }
                Err(cache::LoadError::Gone(_)) if attempt < ATTEMPTS => attempt += 1,
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
