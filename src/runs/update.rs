//! Update: a new version of a run from the active one and more rows.

use std::sync::Arc;

use super::commit::{Base, Outcome, Prepared, Write};
use super::get::VersionSelector;
use super::train::conflict;
use super::{Caller, Described, Loaded, ReadRows, RequestId, Rows, RunId, Runs};
use crate::compute::{Admission, Class};
use crate::error::Result;
use crate::operations::{Operation, stage};
use crate::store::{Store, StoreError, key};
use anomaly_detection::context::Progress;
use anomaly_detection::pipeline::artifact;

/// How often an update is tried that trainings keep overtaking.
const ATTEMPTS: usize = 5;

impl<S: Store> Runs<S> {
    /// Learns from more rows and stores the result as the next version of the run. Updates of one run take turns; one that a
    /// training overtakes is applied again to the new version.
    pub async fn update(
        self: &Arc<Self>,
        caller: Caller,
        run_id: RunId,
        request_id: Option<RequestId>,
        rows: Rows,
        operation: &Operation,
    ) -> Result<Described> {
        let progress = operation.progress();
        let refuse = Admission::Refuse;
        let read = rows.read(&self.datasets, caller, None, refuse, Some(progress));
        let rows = Arc::new(read.await.map_err(|error| error.within("records"))?);
        let key = key::run_key(caller.owner, run_id.as_str());
        let generation = self.generation(&key).await?;
        progress.enter(stage::WAITING);
        let _turn = self.update_turns.wait(&key).await;
        let write = Arc::new(Write {
            key,
            generation,
            run_id,
            request_id,
        });
        for _ in 0..ATTEMPTS {
            let prepared = self.prepare(&caller, &write, &rows, progress).await;
            let (prepared, base) = match prepared {
                Ok(Some(prepared)) => prepared,
                Ok(None) => continue,
                Err(error) => {
                    // if the run was deleted meanwhile, that is the cause
                    if let Some((record, _)) = self.stored(&write.key).await? {
                        record.check_generation(write.generation)?;
                    }
                    return Err(error);
                }
            };
            operation.commit()?;
            match self.commit(&write, prepared, base).await? {
                Outcome::Stored(described) => return Ok(*described),
                Outcome::MadeBefore => {
                    let id = write.request_id.as_ref();
                    let made = self.made_before(&caller, &write.run_id, id).await?;
                    return made.ok_or_else(conflict);
                }
                Outcome::Overtaken => operation.resume(),
            }
        }
        Err(conflict())
    }

    /// Updates the active version with the rows; also returns the version that it is based on. `None` if that was
    /// deleted meanwhile.
    async fn prepare(
        &self,
        caller: &Caller,
        write: &Write,
        rows: &Arc<ReadRows>,
        progress: &Progress,
    ) -> Result<Option<(Prepared, Base)>> {
        let Loaded { version, model, .. } = self
            .load(caller, &write.run_id, VersionSelector::Active)
            .await?;
        let reservoir = match &version.reservoir {
            None => None,
            Some(blob) => match self.store.get_blob(blob).await {
                Ok(bytes) => Some(bytes),
                Err(error @ StoreError::BlobNotFound { .. }) => {
                    let active = self.record(caller, &write.run_id).await?.active;
                    return match active == version.version {
                        true => Err(error.into()),
                        false => Ok(None),
                    };
                }
                Err(error) => return Err(error.into()),
            },
        };
        let (rows, progress) = (Arc::clone(rows), progress.clone());
        let prepared = self
            .compute
            .run(*caller, Class::Large, Admission::Refuse, move |context| {
                let context = &context.reporting(Some(&progress));
                let reservoir = reservoir
                    .map(|bytes| artifact::decode_reservoir(&bytes, model.features()))
                    .transpose()?;
                Prepared::encode(model.update(reservoir, &rows.table, context)?)
            })
            .await?;
        Ok(Some((prepared, Base::Version(version.version))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::reason;
    use crate::memory::Share;
    use crate::runs::{Form, RowIds, RowSource};
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{MemoryStore, TokenKey};
    use anomaly_detection::pipeline::TrainingSpec;
    use anomaly_detection::table::Table;

    type MemoryRuns = Arc<Runs<Faulty<MemoryStore>>>;

    /// The runs in a store, as seen by two processes that share it.
    fn two_processes() -> (MemoryRuns, MemoryRuns, Caller) {
        let store = MemoryStore::new(&TokenKey::from_bytes([1; 32]));
        let caller = Caller {
            owner: store.token_hasher().anonymous(),
            deadline: None,
        };
        let runs = |store| Runs::in_store(Faulty::new(store));
        (runs(store.share()), runs(store), caller)
    }

    fn run_id() -> RunId {
        RunId::parse("run").expect("valid")
    }

    fn rows() -> Rows {
        let table = Table::from_row_major(None, 1, vec![1.0, 2.0, 4.0]).expect("valid");
        Rows {
            source: RowSource::Table(table, Form::Matrix),
            ids: RowIds::None,
            share: Share::uncounted(),
        }
    }

    async fn train(runs: &MemoryRuns, caller: Caller) -> Result<Described> {
        let spec = TrainingSpec::default();
        let operation = Operation::alone(caller.owner);
        let rows = Some(rows());
        runs.train(caller, run_id(), None, spec, rows, &operation)
            .await
    }

    async fn update(runs: &MemoryRuns, caller: Caller) -> Result<Described> {
        let operation = Operation::alone(caller.owner);
        runs.update(caller, run_id(), None, rows(), &operation)
            .await
    }

    #[tokio::test]
    async fn an_update_reports_that_another_process_deleted_its_run() {
        let (runs, other, caller) = two_processes();
        train(&runs, caller).await.expect("trains");
        runs.store.hold_reads();
        let updating = tokio::spawn({
            let runs = Arc::clone(&runs);
            async move { update(&runs, caller).await }
        });
        runs.store.reached().await;
        other.delete(caller, run_id()).await.expect("is there");
        runs.store.go();
        let error = updating.await.expect("joined").expect_err("was deleted");
        assert_eq!(error.reason(), reason::RUN_DELETED);

        // the update does not bring the run back, and its version number is not reused
        let page = runs.list(caller, None, 10).await.expect("lists");
        assert!(page.runs.is_empty() && !page.more);
        let error = update(&runs, caller).await.expect_err("is deleted");
        assert_eq!(error.reason(), reason::RUN_NOT_FOUND);
        let described = train(&other, caller).await.expect("trains");
        assert_eq!(described.version.version, 2);
        assert_eq!(described.kept_versions, [2]);
    }

    #[tokio::test]
    async fn a_version_is_stored_once_even_if_the_outcome_of_its_swap_is_lost() {
        let (runs, other, caller) = two_processes();
        for (fault, version) in [(Fault::UnknownButDone, 1), (Fault::UnknownAndNotDone, 2)] {
            runs.store.inject([fault, Fault::Unavailable]);
            let described = train(&runs, caller).await.expect("settled");
            assert_eq!(described.version.version, version);
            let kept: Vec<u64> = (1..=version).collect();
            assert_eq!(described.kept_versions, kept);
        }
        // another process writes over it before the swap is repeated
        runs.store.inject([Fault::UnknownButDone]);
        let (first, ()) = tokio::join!(train(&runs, caller), async {
            while other
                .record(&caller, &run_id())
                .await
                .expect("is there")
                .active
                < 3
            {
                tokio::task::yield_now().await;
            }
            update(&other, caller).await.expect("updates");
        });
        let first = first.expect("its version is there");
        assert_eq!(first.version.version, 3);
        let now = other.record(&caller, &run_id()).await.expect("is there");
        assert_eq!(now.last_version, 4);
    }

    #[tokio::test]
    async fn a_deletion_whose_outcome_is_lost_is_settled() {
        let (runs, other, caller) = two_processes();
        train(&runs, caller).await.expect("trains");
        runs.store.inject([Fault::UnknownButDone]);
        let n_versions = runs.delete(caller, run_id()).await.expect("settled");
        assert_eq!(n_versions, 1);
        drop(runs);
        let n_left = other.store.sweep().await.expect("reachable");
        assert_eq!(n_left, 0, "blobs are left behind");
    }

    #[tokio::test]
    async fn an_unavailable_store_is_reported_and_nothing_is_left_behind() {
        let (runs, other, caller) = two_processes();
        runs.store.inject([Fault::Unavailable]);
        let error = train(&runs, caller).await.expect_err("away");
        assert_eq!(error.reason(), reason::UNAVAILABLE);
        let page = runs.list(caller, None, 10).await.expect("lists");
        assert!(page.runs.is_empty());
        drop(runs);
        assert_eq!(other.store.sweep().await.expect("reachable"), 0);
        let described = train(&other, caller).await.expect("is back");
        assert_eq!(described.version.version, 1);
    }
}
