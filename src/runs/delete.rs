//! DeleteRun: a run and all its versions.

use std::sync::Arc;

use super::{Caller, RunId, Runs};
use crate::error::{Error, Result, chain, reason};
use crate::store::{PointerSwap, Store, Swap, key, settle};

impl<S: Store> Runs<S> {
    /// Deletes a run and returns the number of its kept versions. Writes to it that are under way end with
    /// ABORTED.
    pub async fn delete(self: &Arc<Self>, caller: Caller, run_id: RunId) -> Result<usize> {
        let runs = Arc::clone(self);
        // in a task of its own, so that a caller who leaves does not leave blobs behind
        let task = self
            .commits
            .spawn(async move { runs.delete_run(&caller, &run_id).await });
        task.await.unwrap_or_else(|error| {
            Err(Error::new(reason::INTERNAL, "a deletion was lost").because(error))
        })
    }

    async fn delete_run(&self, caller: &Caller, run_id: &RunId) -> Result<usize> {
        let key = key::run_key(caller.owner, run_id.as_str());
        loop {
            let (record, revision) = match self.stored(&key).await? {
                Some((record, revision)) if !record.is_deleted() => (record, revision),
                _ => return Err(run_id.not_found()),
            };
            let deleted = record.deleted().encode()?;
            let swap = PointerSwap::put(&key, Some(revision), deleted);
            match settle(&*self.store, &swap).await? {
                Swap::Lost => {}
                Swap::Done => {
                    // the run is deleted already; a leftover record belongs to its old generation and is
                    // ignored
                    if let Err(error) = self.delete_unknown_features(&key).await {
                        tracing::warn!(
                            error = chain(&error),
                            "the record of unknown features cannot be deleted"
                        );
                    }
                    self.discard(record.blobs().collect()).await;
                    return Ok(record.versions.len());
                }
            }
        }
    }
}
