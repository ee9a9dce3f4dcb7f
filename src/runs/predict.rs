//! Predict: rows scored by a version of a run.

use std::sync::{Arc, Mutex, PoisonError};

use super::unknown_features::Gathered;
use super::{Caller, Loaded, RunId, Runs, VersionSelector};
use crate::compute::{Admission, Compute, Running};
use crate::error::Result;
use crate::features::Builder;
use crate::pipeline::{Model, Scored};
use crate::store::{Store, key};
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
    gathered: Arc<Gathered>,
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
            gathered: Arc::clone(&self.gathered),
        })
    }
}

impl Scorer {
    /// What remembers the rows of a stream; `None` where the model looks at no row but the one it scores.
    pub fn history(&self) -> Option<History> {
        let history = self.model.history()?;
        Some(History(Arc::new(Mutex::new(history))))
    }

    /// Starts to score a table on the compute pool: from what the model remembers on, or from what a stream has come to.
    pub async fn submit(
        &self,
        admission: Admission,
        table: Table,
        history: Option<History>,
        with_details: bool,
    ) -> Result<Running<Scored>> {
        let model = Arc::clone(&self.model);
        let gathered = Arc::clone(&self.gathered);
        let run_key = key::run_key(self.caller.owner, self.run_id.as_str());
        self.compute
            .submit(admission, self.caller.deadline, move |context| {
                let score = |history: Option<&mut Builder>| {
                    model.score(table, history, with_details, context)
                };
                let scored = match history {
                    None => score(model.history().as_mut()),
                    // nobody goes on with a history in which another table failed
                    Some(History(shared)) => score(Some(
                        &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
                    )),
                }?;
                gathered.note(&run_key, &scored);
                Ok(scored)
            })
            .await
    }
}

/// What a stream remembers of its rows. Its tables must be scored one after the other.
#[derive(Debug, Clone)]
pub struct History(Arc<Mutex<Builder>>);
