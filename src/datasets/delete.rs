//! DeleteDataset. Those who are reading the dataset are not disturbed.

use std::sync::Arc;

use super::{DatasetId, DatasetRecord, Datasets};
use crate::caller::Caller;
use crate::error::{Error, Result, reason};
use crate::store::{PointerSwap, Store, Swap, discard, key, settle};

impl<S: Store> Datasets<S> {
    /// Deletes a dataset, and returns its record.
    pub async fn delete(
        self: &Arc<Self>,
        caller: Caller,
        dataset_id: DatasetId,
    ) -> Result<DatasetRecord> {
        let datasets = Arc::clone(self);
        // in a task of its own, so that a caller who leaves does not leave blobs behind
        let task = self
            .commits
            .spawn(async move { datasets.delete_dataset(&caller, &dataset_id).await });
        task.await.unwrap_or_else(|error| {
            Err(Error::new(reason::INTERNAL, "a deletion was lost").because(error))
        })
    }

    async fn delete_dataset(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
    ) -> Result<DatasetRecord> {
        let key = key::dataset_key(caller.owner, dataset_id.as_str());
        loop {
            let Some(pointer) = self.store.get_pointer(&key).await? else {
                return Err(dataset_id.not_found());
            };
            let record = DatasetRecord::decode(&pointer.value)?;
            let swap = PointerSwap::remove(&key, pointer.revision);
            match settle(&*self.store, &swap).await? {
                Swap::Lost => {}
                Swap::Done => {
                    discard(&*self.store, record.blobs()).await;
                    return Ok(record);
                }
            }
        }
    }
}
