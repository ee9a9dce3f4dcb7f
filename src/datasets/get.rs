//! GetDataset: the description of a dataset.

use super::description::Description;
use super::{DatasetId, DatasetRecord, Datasets};
use crate::caller::Caller;
use crate::error::Result;
use crate::store::{Store, StoreError, key};

/// A dataset in full.
#[derive(Debug, Clone)]
pub struct Described {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its record.
    pub record: DatasetRecord,
    /// The description of its content.
    pub description: Description,
}

impl<S: Store> Datasets<S> {
    /// Describes a dataset.
    pub async fn describe(&self, caller: Caller, dataset_id: DatasetId) -> Result<Described> {
        let (record, description) = self.load(&caller, &dataset_id).await?;
        Ok(Described {
            dataset_id,
            record,
            description,
        })
    }

    pub(super) async fn record(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
    ) -> Result<DatasetRecord> {
        let key = key::dataset_key(caller.owner, dataset_id.as_str());
        match self.store.get_pointer(&key).await? {
            Some(pointer) => DatasetRecord::decode(&pointer.value),
            None => Err(dataset_id.not_found()),
        }
    }

    /// The record of a dataset and its description.
    pub(super) async fn load(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
    ) -> Result<(DatasetRecord, Description)> {
        loop {
            let record = self.record(caller, dataset_id).await?;
            match self.store.get_blob(&record.description).await {
                Ok(bytes) => return Ok((record, Description::decode(&bytes)?)),
                Err(error) => {
                    self.check_replaced(caller, dataset_id, &record, error)
                        .await?
                }
            }
        }
    }

    /// Decides what to do about a blob that could not be read: returns if the dataset was replaced, so that the new one
    /// can be tried.
    ///
    /// Fails if the dataset is unchanged, which makes it damaged, or deleted, and on any other error.
    pub(super) async fn check_replaced(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        record: &DatasetRecord,
        error: StoreError,
    ) -> Result<()> {
        if !matches!(error, StoreError::BlobNotFound { .. })
            || self.record(caller, dataset_id).await? == *record
        {
            return Err(dataset_id.unreadable(error));
        }
        Ok(())
    }
}
