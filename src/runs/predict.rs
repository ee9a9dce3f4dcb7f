//! Predict: rows scored by a version of a run.

use std::sync::{Arc, Mutex, PoisonError};

use super::unknown_features::Gathered;
use super::{Caller, Loaded, RunId, Runs, VersionSelector};
use crate::compute::{Admission, Class, Compute, Running};
use crate::error::Result;
use crate::memory::Share;
use crate::store::{Store, key};
use anomaly_detection::context::Context;
use anomaly_detection::features::{Builder, FeaturePolicy};
use anomaly_detection::pipeline::{Describe, Model, Scored};
use anomaly_detection::table::Table;

/// Scores with a version of a run: one table, or those of a stream.
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
    memory: Option<Memory>,
}

/// Where to note unknown features, for a model with the adaptive policy.
#[derive(Debug, Clone)]
struct Memory {
    gathered: Arc<Gathered>,
    run_key: Vec<u8>,
    generation: u64,
}

impl<S: Store> Runs<S> {
    /// Loads the version to score with.
    pub async fn scorer(
        &self,
        caller: Caller,
        run_id: RunId,
        selector: VersionSelector,
    ) -> Result<Scorer> {
        let Loaded {
            record,
            version,
            model,
        } = self.load(&caller, &run_id, selector).await?;
        let memory = (model.features().policy == FeaturePolicy::Adaptive).then(|| Memory {
            gathered: Arc::clone(&self.gathered),
            run_key: key::run_key(caller.owner, run_id.as_str()),
            generation: record.generation,
        });
        Ok(Scorer {
            run_id,
            version: version.version,
            model,
            compute: self.compute.clone(),
            caller,
            memory,
        })
    }
}

impl Scorer {
    /// The history for a stream, as training left it; `None` if a score depends on its row alone.
    pub fn history(&self) -> Option<History> {
        let history = self.model.history()?;
        Some(History(Arc::new(Mutex::new(history))))
    }

    /// Starts to score a table, with the history of a stream or else the one that training left; on the compute pool, unless
    /// that would take longer than to score it. The share of the table grows by what scoring takes, and is given back when the
    /// table is scored.
    pub async fn submit(
        &self,
        admission: Admission,
        table: Table,
        mut share: Share,
        history: Option<History>,
        describe: Describe,
    ) -> Result<Running<Scored>> {
        let model = Arc::clone(&self.model);
        let memory = self.memory.clone();
        let is_brief = model.is_brief(&table);
        let class = Class::small_if(model.is_small(&table));
        share.grow(model.scoring_bytes(&table))?;
        let work = move |context: &Context| {
            let _share = share;
            let score =
                |history: Option<&mut Builder>| model.score(table, history, describe, context);
            let scored = match history {
                None => score(model.history().as_mut()),
                // a stream whose table failed never uses its history again
                Some(History(shared)) => score(Some(
                    &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
                )),
            }?;
            if let Some(memory) = memory {
                memory
                    .gathered
                    .note(&memory.run_key, memory.generation, &scored);
            }
            Ok(scored)
        };
        if is_brief {
            Ok(Compute::do_here(self.caller, work))
        } else {
            let running = self.compute.submit(self.caller, class, admission, work);
            running.await
        }
    }

    /// Adds the rows of a table to the history without scoring them. Fails where scoring them would.
    pub async fn remember(&self, table: Table, history: Option<History>) -> Result<()> {
        let model = Arc::clone(&self.model);
        let class = Class::small_if(model.is_small(&table));
        let work = move |context: &Context| match history {
            None => model.remember(table, None, context),
            Some(History(shared)) => {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                model.remember(table, Some(&mut shared), context)
            }
        };
        self.compute
            .run(self.caller, class, Admission::Wait, work)
            .await
    }
}

/// The history of a stream. Its tables must be scored one after the other.
#[derive(Debug, Clone)]
pub struct History(Arc<Mutex<Builder>>);
