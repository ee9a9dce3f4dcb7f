//! GetDataset: what is in a dataset.

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
    /// What is stored of it.
    pub record: DatasetRecord,
    /// What is in it.
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
        let record = self.record(caller, dataset_id).await?;
        match self.store.get_blob(&record.description).await {
            Ok(bytes) => Ok((record, Description::decode(&bytes)?)),
            Err(error) => Err(self.lost(caller, dataset_id, &record, error).await),
        }
    }

    /// Why a blob of a dataset cannot be had: the dataset may have been deleted since its record was read.
    pub(super) async fn lost(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        record: &DatasetRecord,
        error: StoreError,
    ) -> crate::error::Error {
        if !matches!(error, StoreError::BlobNotFound) {
            return error.into();
        }
        match self.record(caller, dataset_id).await {
            Ok(now) if now == *record => error.into(),
            // deleted, and perhaps stored anew: the request came at the time in between
            Ok(_) => dataset_id.not_found(),
            Err(error) => error,
        }
    }
}
