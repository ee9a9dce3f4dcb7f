//! Update: a new version of a run from the active one and more rows.

use std::sync::Arc;

use super::commit::{Base, Outcome, Prepared, Write};
use super::get::VersionSelector;
use super::train::conflict;
use super::{Caller, Described, Loaded, RequestId, RunId, Runs};
use crate::compute::Admission;
use crate::error::Result;
use crate::pipeline::artifact;
use crate::store::{Store, key};
use crate::table::Table;

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
            if let Some(described) = self.made_before(&caller, &write).await? {
                return Ok(described);
            }
            let loaded = self
                .load(&caller, &write.run_id, VersionSelector::Active)
                .await?;
            let base = Base::Version(loaded.version.version);
            let prepared = self.updated(&caller, loaded, table.clone()).await?;
            if let Outcome::Stored(described) = self.commit(&write, prepared, base).await? {
                return Ok(*described);
            }
        }
        Err(conflict())
    }

    async fn updated(&self, caller: &Caller, loaded: Loaded, table: Table) -> Result<Prepared> {
        let reservoir = match &loaded.version.reservoir {
            Some(blob) => Some(self.store.get_blob(blob).await?),
            None => None,
        };
        let model = loaded.model;
        self.compute
            .run(Admission::Refuse, caller.deadline, move |context| {
                let n_features = model.features().n_features();
                let reservoir = reservoir
                    .map(|bytes| artifact::decode_reservoir(&bytes, n_features))
                    .transpose()?;
                Prepared::encode(model.update(reservoir, table, context)?)
            })
            .await
    }
}
