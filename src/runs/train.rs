//! Train: a new version of a run from rows.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::commit::{Base, Outcome, Prepared, Write};
use super::get::VersionSelector;
use super::{Caller, Described, RequestId, RunId, Runs};
use crate::compute::Admission;
use crate::error::{Error, Kind, Result, reason};
use crate::store::{Store, key};
use anomaly_detection::pipeline::{TableSource, TrainSpec};
use anomaly_detection::table::Table;

/// The rows to train on, with the share of the memory for datasets that they take as long as they are learned from.
pub enum TrainRows {
    /// None: baselines are given.
    None,
    /// All in memory; those of a dataset with their share.
    Table(Table, Option<OwnedSemaphorePermit>),
    /// More than can be held.
    Tables(Box<dyn TableSource + Send>, OwnedSemaphorePermit),
}

impl<S: Store> Runs<S> {
    /// Trains a model and stores it as the next version of the run, which is created when it does not exist.
    pub async fn train(
        self: &Arc<Self>,
        caller: Caller,
        run_id: RunId,
        request_id: Option<RequestId>,
        spec: TrainSpec,
        rows: TrainRows,
    ) -> Result<Described> {
        let key = key::run_key(caller.owner, run_id.as_str());
        let ticket = self.writers.enter(&key);
        let write = Arc::new(Write {
            ticket,
            key,
            run_id,
            request_id,
        });
        let id = write.request_id.as_ref();
        if let Some(described) = self.made_before(&caller, &write.run_id, id).await? {
            return Ok(described);
        }
        let prepared = self
            .compute
            .run(Admission::Refuse, caller.deadline, move |context| {
                let fitted = match rows {
                    TrainRows::None => spec.fit(None, context),
                    TrainRows::Table(table, _share) => spec.fit(Some(table), context),
                    TrainRows::Tables(tables, _share) => spec.fit_streamed(&*tables, context),
                };
                Prepared::encode(fitted?)
            })
            .await?;
        match self.commit(&write, prepared, Base::Any).await? {
            Outcome::Stored(described) => Ok(*described),
            Outcome::MadeBefore | Outcome::Overtaken => self
                .made_before(&caller, &write.run_id, id)
                .await?
                .ok_or_else(conflict),
        }
    }

    /// The version that an earlier request with the same id made, if it is still kept.
    pub async fn made_before(
        &self,
        caller: &Caller,
        run_id: &RunId,
        request_id: Option<&RequestId>,
    ) -> Result<Option<Described>> {
        if request_id.is_none() {
            return Ok(None);
        }
        let made = match self.record(caller, run_id).await {
            Ok(record) => record.made_by(request_id).map(|version| version.version),
            Err(error) if error.reason() == reason::RUN_NOT_FOUND => None,
            Err(error) => return Err(error),
        };
        let Some(version) = made else {
            return Ok(None);
        };
        let selector = VersionSelector::Number(version);
        match self.describe(*caller, run_id.clone(), selector).await {
            // the run may have been deleted and trained anew meanwhile, with another version of this number
            Ok(described) => {
                let made_it =
                    described.version.request_id.as_deref() == request_id.map(RequestId::as_str);
                Ok(made_it.then_some(described))
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error of a write that kept losing against others.
pub(super) fn conflict() -> Error {
    Error::new(
        reason::WRITE_CONFLICT,
        "other writes to the run kept coming first; nothing was stored, try again",
    )
}
