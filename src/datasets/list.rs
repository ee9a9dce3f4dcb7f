//! ListDatasets: the datasets of an owner, page by page.

use super::{DatasetId, DatasetRecord, Datasets};
use crate::caller::Caller;
use crate::error::{Error, Result, reason};
use crate::store::{Store, key};

/// A dataset in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its record.
    pub record: DatasetRecord,
}

/// A page of datasets.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The datasets, in the order of the bytes of their ids.
    pub datasets: Vec<Listed>,
    /// Whether there are more after them.
    pub more: bool,
}

impl<S: Store> Datasets<S> {
    /// Lists at most `limit` datasets of the caller whose ids come after `after`.
    pub async fn list(
        &self,
        caller: Caller,
        after: Option<&DatasetId>,
        limit: usize,
    ) -> Result<Page> {
        let prefix = key::datasets_prefix(caller.owner);
        let after = after.map(|id| key::dataset_key(caller.owner, id.as_str()));
        let scan = self.store.scan(&prefix, after.as_deref(), limit + 1);
        let mut records = scan.await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let datasets = records.into_iter().map(|(key, value)| {
            let id = key::parse_dataset_key(&key).map(|(_, id)| id.to_owned());
            let dataset_id = DatasetId::parse("dataset_id", id.unwrap_or_default());
            Ok(Listed {
                dataset_id: dataset_id.map_err(|error| {
                    Error::new(reason::DAMAGED_ARTIFACT, "the key of a dataset is damaged")
                        .because(error)
                })?,
                record: DatasetRecord::decode(&value)?,
            })
        });
        Ok(Page {
            datasets: datasets.collect::<Result<_>>()?,
            more,
        })
    }
}
