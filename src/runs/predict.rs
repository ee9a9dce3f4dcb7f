//! Predict: rows scored by a version of a run.

use std::sync::Arc;

use super::{Caller, Loaded, RunId, Runs, VersionSelector};
use crate::compute::{Admission, Compute, Running};
use crate::error::Result;
use crate::pipeline::{Model, Scored};
use crate::store::Store;
use crate::table::Table;

/// A version of a run that scores: once, or table by table along a stream.
#[derive(Debug, Clone)]
pub struct Scorer {
    /// The run.
    pub run_id: RunId,
    /// The version.
    pub version: u64,
    /// Its model.
    pub model: Arc<Model>,
    compute: Compute,
    caller: Caller,
}

impl<S: Store> Runs<S> {
    /// Looks up the version that is to score.
    pub async fn scorer(
        &self,
        caller: Caller,
        run_id: RunId,
        selector: VersionSelector,
    ) -> Result<Scorer> {
        let Loaded { version, model, .. } = self.load(&caller, &run_id, selector).await?;
        Ok(Scorer {
            run_id,
            version: version.version,
            model,
            compute: self.compute.clone(),
            caller,
        })
    }
}

impl Scorer {
    /// Starts to score a table on the compute pool.
    pub async fn submit(
        &self,
        admission: Admission,
        table: Table,
        with_details: bool,
    ) -> Result<Running<Scored>> {
        let model = Arc::clone(&self.model);
        self.compute
            .submit(admission, self.caller.deadline, move |context| {
                model.score(table, with_details, context)
            })
            .await
    }
}
