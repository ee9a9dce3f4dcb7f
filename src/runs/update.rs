//! Update: a new version of a run from the active one and more rows.

use std::sync::Arc;

use super::commit::{Base, Outcome, Prepared, Write};
use super::get::VersionSelector;
use super::train::conflict;
use super::{Caller, Described, Loaded, RequestId, RunId, Runs};
use crate::compute::Admission;
use crate::error::Result;
use crate::store::{Store, StoreError, key};
use anomaly_detection::pipeline::artifact;
use anomaly_detection::table::Table;

/// How often an update that lost against a training is applied again.
const ATTEMPTS: usize = 5;

impl<S: Store> Runs<S> {
    /// Learns from more rows and stores the result as the next version of the run. Updates of one run take turns; one that a
    /// training overtakes is applied again to the new version.
    pub async fn update(
        self: &Arc<Self>,
        caller: Caller,
        run_id: RunId,
        request_id: Option<RequestId>,
        table: Table,
    ) -> Result<Described> {
        let key = key::run_key(caller.owner, run_id.as_str());
        let ticket = self.writers.enter(&key);
        let _turn = ticket.update_turn().await;
        let write = Arc::new(Write {
            ticket,
            key,
            run_id,
            request_id,
        });
        for _ in 0..ATTEMPTS {
            let id = write.request_id.as_ref();
            if let Some(described) = self.made_before(&caller, &write.run_id, id).await? {
                return Ok(described);
            }
            let prepared = match self.prepared(&caller, &write, &table).await {
                Ok(Some(prepared)) => prepared,
                Ok(None) => continue,
                Err(error) => {
                    // a run that was deleted meanwhile explains whatever is missing
                    write.ticket.check()?;
                    return Err(error);
                }
            };
            let (prepared, base) = prepared;
            if let Outcome::Stored(described) = self.commit(&write, prepared, base).await? {
                return Ok(*described);
            }
        }
        Err(conflict())
    }

    /// The active version with the rows learned, and what it was made from. `None` when that was collected meanwhile.
    async fn prepared(
        &self,
        caller: &Caller,
        write: &Write,
        table: &Table,
    ) -> Result<Option<(Prepared, Base)>> {
        let Loaded { version, model, .. } = self
            .load(caller, &write.run_id, VersionSelector::Active)
            .await?;
        let reservoir = match &version.reservoir {
            None => None,
            Some(blob) => match self.store.get_blob(blob).await {
                Ok(bytes) => Some(bytes),
                Err(error @ StoreError::BlobNotFound) => {
                    let active = self.record(caller, &write.run_id).await?.active;
                    return match active == version.version {
                        true => Err(error.into()),
                        false => Ok(None),
                    };
                }
                Err(error) => return Err(error.into()),
            },
        };
        let table = table.clone();
        let prepared = self
            .compute
            .run(Admission::Refuse, caller.deadline, move |context| {
                let reservoir = reservoir
                    .map(|bytes| artifact::decode_reservoir(&bytes, model.features()))
                    .transpose()?;
                Prepared::encode(model.update(reservoir, table, context)?)
            })
            .await?;
        Ok(Some((prepared, Base::Version(version.version))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::compute::Compute;
    use crate::error::reason;
    use crate::runs::TrainRows;
    use crate::store::{
        BlobName, BlobRef, EmbeddedStore, Entry, Pointer, Revision, StoreOptions, Swap,
    };
    use anomaly_detection::pipeline::TrainSpec;

    /// A store whose reads of blobs can be held up.
    struct HeldUp {
        inner: EmbeddedStore,
        holds: AtomicBool,
        reached: Notify,
        go: Notify,
    }

    impl Store for HeldUp {
        type BlobWriter = <EmbeddedStore as Store>::BlobWriter;

        async fn begin_blob(&self) -> Result<Self::BlobWriter, StoreError> {
            self.inner.begin_blob().await
        }
        async fn open_blob(&self, blob: &BlobRef) -> Result<std::fs::File, StoreError> {
            self.inner.open_blob(blob).await
        }
        async fn put_blob(&self, bytes: Vec<u8>) -> Result<BlobRef, StoreError> {
            self.inner.put_blob(bytes).await
        }
        async fn get_blob(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
            if self.holds.load(Ordering::SeqCst) {
                self.reached.notify_one();
                self.go.notified().await;
            }
            self.inner.get_blob(blob).await
        }
        async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
            self.inner.delete_blob(name).await
        }
        async fn list_blobs(&self) -> Result<Vec<BlobName>, StoreError> {
            self.inner.list_blobs().await
        }
        async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
            self.inner.get_pointer(key).await
        }
        async fn swap_pointer(
            &self,
            key: &[u8],
            expected: Option<Revision>,
            value: Option<Vec<u8>>,
        ) -> Result<Swap, StoreError> {
            self.inner.swap_pointer(key, expected, value).await
        }
        async fn scan(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<Vec<Entry>, StoreError> {
            self.inner.scan(prefix, after, limit).await
        }
    }

    #[tokio::test]
    async fn an_update_whose_run_is_deleted_before_it_reads_the_reservoir_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = EmbeddedStore::open(folder.path(), StoreOptions::default()).expect("opens");
        let caller = Caller {
            owner: inner.token_hasher().anonymous(),
            deadline: None,
        };
        let store = HeldUp {
            inner,
            holds: AtomicBool::new(false),
            reached: Notify::new(),
            go: Notify::new(),
        };
        let compute = Compute::new(1, 4).expect("threads");
        let runs = Runs::new(Arc::new(store), compute, 1 << 20);
        let run_id = RunId::parse("run").expect("valid");
        let table = Table::from_row_major(None, 1, vec![1.0, 2.0, 4.0]).expect("valid");
        let spec = TrainSpec {
            reservoir_size: 10,
            ..TrainSpec::default()
        };
        runs.train(
            caller,
            run_id.clone(),
            None,
            spec,
            TrainRows::Table(table.clone(), None),
        )
        .await
        .expect("trains");

        runs.store.holds.store(true, Ordering::SeqCst);
        let update = tokio::spawn({
            let (runs, run_id) = (Arc::clone(&runs), run_id.clone());
            async move { runs.update(caller, run_id, None, table).await }
        });
        runs.store.reached.notified().await;
        runs.delete(caller, run_id).await.expect("is there");
        runs.store.go.notify_one();
        let error = update.await.expect("joined").expect_err("was deleted");
        assert_eq!(error.reason(), reason::RUN_DELETED);
    }
}
