//! Storing a dataset, whose file is stored already: its description, then one swap of its record, then the response.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::description::Description;
use super::{DatasetId, DatasetRecord, Datasets, Described};
use crate::caller::{Caller, RequestId};
use crate::error::{Error, Result, reason};
use crate::store::{
    BlobName, BlobRef, PointerSwap, Store, StoreError, Swap, discard, key, now_ms, settle,
};
use anomaly_detection::table::ColumnType;

/// A dataset to be stored.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) caller: Caller,
    pub(super) dataset_id: DatasetId,
    pub(super) request_id: Option<RequestId>,
}

/// Blobs that no record refers to yet. Dropping this deletes them.
pub(super) struct Unreferenced<S: Store> {
    datasets: Arc<Datasets<S>>,
    names: Vec<BlobName>,
}

impl<S: Store> Unreferenced<S> {
    pub(super) fn new(datasets: &Arc<Datasets<S>>, blob: &BlobRef) -> Self {
        Self {
            datasets: Arc::clone(datasets),
            names: vec![blob.name],
        }
    }

    /// Keeps the blobs.
    fn keep(mut self) {
        self.names.clear();
    }

    /// Deletes the blobs, and waits until they are deleted.
    pub(super) async fn discard(mut self) {
        let names = std::mem::take(&mut self.names);
        discard(&*self.datasets.store, names).await;
    }
}

impl<S: Store> Drop for Unreferenced<S> {
    fn drop(&mut self) {
        // without a runtime the store sweeps them
        if !self.names.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            let names = std::mem::take(&mut self.names);
            let datasets = Arc::clone(&self.datasets);
            let task = async move { discard(&*datasets.store, names).await };
            self.datasets.commits.spawn_on(task, &runtime);
        }
    }
}

impl<S: Store> Datasets<S> {
    /// The dataset, if an earlier request with the same id made it; an error if another request did.
    pub async fn made_before(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        request_id: Option<&RequestId>,
    ) -> Result<Option<Described>> {
        match self.record(caller, dataset_id).await {
            Ok(record) if record.made_by(request_id)? => {
                self.describe(*caller, dataset_id.clone()).await.map(Some)
            }
            Ok(_) => Err(dataset_id.exists()),
            Err(error) if error.reason() == reason::DATASET_NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a dataset, in a task of its own: a caller who leaves now neither stops it halfway nor leaves blobs behind.
    pub(super) async fn commit(
        self: &Arc<Self>,
        write: Write,
        file: BlobRef,
        unreferenced: Unreferenced<S>,
        description: Description,
    ) -> Result<Described> {
        let datasets = Arc::clone(self);
        let task = self.commits.spawn(async move {
            let stored = datasets.store_dataset(&write, file, unreferenced, description);
            if let Some(described) = stored.await? {
                return Ok(described);
            }
            let Write {
                caller,
                dataset_id,
                request_id,
            } = &write;
            let made_before = datasets.made_before(caller, dataset_id, request_id.as_ref());
            made_before.await?.ok_or_else(|| {
                Error::new(
                    reason::WRITE_CONFLICT,
                    "the dataset was stored by a request of the same id and deleted at the same time; try again",
                )
            })
        });
        task.await.unwrap_or_else(|error| {
            Err(Error::new(reason::INTERNAL, "a write was lost").because(error))
        })
    }

    /// Stores a dataset; `None` if its id is taken.
    async fn store_dataset(
        &self,
        write: &Write,
        file: BlobRef,
        mut unreferenced: Unreferenced<S>,
        description: Description,
    ) -> Result<Option<Described>> {
        let bytes = description.encode()?;
        let blob = self.store.put_blob(bytes).await?;
        unreferenced.names.push(blob.name);
        let summary = &description.summary;
        let columns = summary.columns();
        let record = DatasetRecord {
            file,
            description: blob,
            format: summary.format(),
            n_rows: summary.n_rows(),
            n_columns: u32::try_from(columns.len()).unwrap_or(u32::MAX),
            has_texts: columns.iter().any(|c| c.column_type == ColumnType::Text),
            created_ms: now_ms(),
            request_id: write.request_id.clone(),
        };
        let key = key::dataset_key(write.caller.owner, write.dataset_id.as_str());
        let swap = PointerSwap::put(&key, None, record.encode()?);
        match settle(&*self.store, &swap).await {
            Ok(Swap::Done) => {
                unreferenced.keep();
                Ok(Some(Described {
                    dataset_id: write.dataset_id.clone(),
                    record,
                    description,
                }))
            }
            Ok(Swap::Lost) => {
                unreferenced.discard().await;
                Ok(None)
            }
            // an unknown outcome: the record may refer to the blobs, so they stay; the store sweeps them if it does
            // not
            Err(error @ StoreError::Unknown { .. }) => {
                unreferenced.keep();
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
