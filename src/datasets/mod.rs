//! Datasets: tables that are uploaded once and named in later requests. Upload, combine, list, describe, delete and open.
//!
//! A dataset is a file as it was uploaded, and a description of what a scan found in it. The file is only read into
//! memory as a whole where a use case needs a whole [`Table`](anomaly_detection::table::Table).

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::compute::Compute;
use crate::memory::Budget;
use crate::store::Store;
use anomaly_detection::table::read::Limits;

mod chunks;
mod combine;
mod commit;
mod dataset_id;
mod delete;
mod description;
mod get;
mod inspect;
mod list;
mod open;
mod record;
mod statistics;
mod union;
mod upload;

pub use chunks::Chunks;
pub use dataset_id::DatasetId;
pub use description::Description;
pub use get::Described;
pub use list::{Listed, Page};
pub use open::{OpenDataset, WholeTable};
pub use record::DatasetRecord;
pub use statistics::{ColumnStatistics, MAX_DISTINCT, NumberStatistics, TimeStatistics};
pub use upload::Upload;

/// The most datasets that are combined at once.
pub const MAX_COMBINED: usize = 100;

/// All datasets of all owners.
#[derive(Debug)]
pub struct Datasets<S> {
    store: Arc<S>,
    compute: Compute,
    /// The most bytes of a dataset, both as uploaded and decompressed.
    max_bytes: u64,
    /// The memory for datasets that are being read.
    reading: Arc<Budget>,
    /// Writes and deletions, which continue when their caller leaves.
    commits: TaskTracker,
}

impl<S: Store> Datasets<S> {
    /// The datasets in a store, each of at most `max_bytes`; all that are being read share a budget of memory.
    pub fn new(store: Arc<S>, compute: Compute, max_bytes: u64, reading: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            store,
            compute,
            max_bytes,
            reading,
            commits: TaskTracker::new(),
        })
    }

    /// The pool for the work of requests.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Waits until all writes and deletions that have begun are done.
    pub async fn close(&self) {
        self.commits.close();
        self.commits.wait().await;
    }

    fn limits(&self) -> Limits {
        Limits {
            decompressed_bytes: self.max_bytes,
        }
    }
}
