//! Storing a new version: bytes first, then one swap of the run's record, then the response. Versions that are no longer
//! kept are deleted last.

use std::sync::Arc;

use super::record::{RunRecord, VersionRecord};
use super::{Described, RequestId, RunId, Runs};
use crate::error::{Error, Result, chain, reason};
use crate::store::{
    BlobName, BlobRef, PointerSwap, Store, StoreError, Swap, discard, now_ms, settle,
};
use anomaly_detection::calibration::Policy;
use anomaly_detection::features::FeaturePolicy;
use anomaly_detection::pipeline::{Fitted, Model, artifact};

/// A fitted version, encoded for the store.
pub(super) struct Prepared {
    model: Arc<Model>,
    model_bytes: Vec<u8>,
    reservoir_bytes: Option<Vec<u8>>,
}

impl Prepared {
    /// Encodes a fitted model. To be called on the compute pool.
    pub(super) fn encode(fitted: Fitted) -> Result<Self> {
        Ok(Self {
            model_bytes: artifact::encode_model(&fitted.model)?,
            reservoir_bytes: fitted
                .reservoir
                .as_ref()
                .map(artifact::encode_reservoir)
                .transpose()?,
            model: Arc::new(fitted.model),
        })
    }
}

/// A write of a new version, as it began.
pub(super) struct Write {
    pub(super) key: Vec<u8>,
    /// The generation of the run when the write began.
    pub(super) generation: u64,
    pub(super) run_id: RunId,
    pub(super) request_id: Option<RequestId>,
}

/// Which active version a new one may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// Any, or none: the new version is numbered at the swap.
    Any,
    /// Only this one, which the new one was made from.
    Version(u64),
}

/// The outcome of storing a version.
pub(super) enum Outcome {
    Stored(Box<Described>),
    /// A retry of a write that was stored before.
    MadeBefore,
    /// Another version came first.
    Overtaken,
}

impl<S: Store> Runs<S> {
    /// Stores a version, in a task of its own: a caller who leaves now neither stops it halfway nor leaves blobs behind.
    pub(super) async fn commit(
        self: &Arc<Self>,
        write: &Arc<Write>,
        prepared: Prepared,
        base: Base,
    ) -> Result<Outcome> {
        let runs = Arc::clone(self);
        let write = Arc::clone(write);
        let task = self
            .commits
            .spawn(async move { runs.store_version(&write, prepared, base).await });
        task.await.unwrap_or_else(|error| {
            Err(Error::new(reason::INTERNAL, "a write was lost").because(error))
        })
    }

    async fn store_version(
        &self,
        write: &Write,
        prepared: Prepared,
        base: Base,
    ) -> Result<Outcome> {
        let model_blob = self.store.put_blob(prepared.model_bytes).await?;
        let reservoir_blob = match prepared.reservoir_bytes {
            None => None,
            Some(bytes) => match self.store.put_blob(bytes).await {
                Ok(blob) => Some(blob),
                Err(error) => {
                    self.discard(vec![model_blob.name]).await;
                    return Err(error.into());
                }
            },
        };
        let version = describe(
            &prepared.model,
            model_blob,
            reservoir_blob,
            write.request_id.clone(),
        );
        let blobs: Vec<BlobName> = version.blobs().collect();
        let outcome = self.swap_in(write, version, &prepared.model, base).await;
        match &outcome {
            // an unknown outcome: the record may refer to the blobs, so they stay; the store sweeps them if it does
            // not
            Ok(Outcome::Stored(_)) | Err(CommitError::Unknown(_)) => {}
            Ok(Outcome::MadeBefore | Outcome::Overtaken) | Err(CommitError::Refused(_)) => {
                self.discard(blobs).await
            }
        }
        outcome.map_err(Error::from)
    }

    async fn swap_in(
        &self,
        write: &Write,
        mut version: VersionRecord,
        model: &Arc<Model>,
        base: Base,
    ) -> Result<Outcome, CommitError> {
        loop {
            let (mut record, revision) = match self.stored(&write.key).await? {
                Some((record, revision)) => (RunRecord::clone(&record), Some(revision)),
                None => (RunRecord::default(), None),
            };
            record.check_generation(write.generation)?;
            if record.made_by(write.request_id.as_ref())?.is_some() {
                return Ok(Outcome::MadeBefore);
            }
            if matches!(base, Base::Version(base) if base != record.active) {
                return Ok(Outcome::Overtaken);
            }
            version.version = record.next_version();
            let retired = record.push(version.clone());
            let swap = PointerSwap::put(&write.key, revision, record.encode()?);
            match settle(&*self.store, &swap).await {
                Ok(Swap::Lost) => {}
                Ok(Swap::Done) => {
                    self.discard(retired.iter().flat_map(VersionRecord::blobs).collect())
                        .await;
                    return Ok(self.stored_version(write, &record, version, model).await);
                }
                Err(error @ StoreError::Unknown { .. }) => {
                    // a later write would have kept this version, so look for it
                    let now = self.stored(&write.key).await;
                    let Ok(Some((now, _))) = now else {
                        return Err(CommitError::Unknown(error.into()));
                    };
                    now.check_generation(write.generation)?;
                    let is_ours = |kept: &&VersionRecord| kept.model.name == version.model.name;
                    return match now.versions.iter().find(is_ours) {
                        Some(kept) => {
                            let kept = kept.clone();
                            Ok(self.stored_version(write, &now, kept, model).await)
                        }
                        None => Err(CommitError::Unknown(error.into())),
                    };
                }
                Err(error) => return Err(CommitError::Refused(error.into())),
            }
        }
    }

    /// Finishes the storing of a version after its swap.
    async fn stored_version(
        &self,
        write: &Write,
        record: &RunRecord,
        version: VersionRecord,
        model: &Arc<Model>,
    ) -> Outcome {
        self.models.insert(&version.model, Arc::clone(model));
        if model.features().policy == FeaturePolicy::Adaptive
            && let Err(error) = self.forget_known_features(write, model).await
        {
            // that costs only space: responses leave out features that the model knows
            tracing::warn!(
                error = chain(&error),
                "the record of unknown features still has some that are known now"
            );
        }
        Outcome::Stored(Box::new(Described {
            run_id: write.run_id.clone(),
            active_version: record.active,
            kept_versions: record.versions.iter().map(|kept| kept.version).collect(),
            version,
            model: Arc::clone(model),
        }))
    }

    /// Deletes blobs that nothing refers to, and their models from the cache.
    pub(super) async fn discard(&self, blobs: Vec<BlobName>) {
        for blob in &blobs {
            self.models.remove(*blob);
        }
        discard(&*self.store, blobs).await;
    }
}

/// Why a version was not stored, or may not have been.
enum CommitError {
    Refused(Error),
    Unknown(Error),
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(error) | CommitError::Unknown(error) => error,
        }
    }
}

/// The entry of a version in the record. It is numbered at the swap.
fn describe(
    model: &Model,
    model_blob: BlobRef,
    reservoir_blob: Option<BlobRef>,
    request_id: Option<RequestId>,
) -> VersionRecord {
    VersionRecord {
        version: 0,
        model: model_blob,
        reservoir: reservoir_blob,
        detector: model.detector().name().to_owned(),
        threshold: model.threshold().value,
        contamination: match model.threshold().policy {
            Policy::Contamination(contamination) => Some(contamination),
            Policy::Threshold(_) => None,
        },
        n_features: u32::try_from(model.features().n_features()).unwrap_or(u32::MAX),
        n_rows: model.statistics().n_rows,
        created_ms: now_ms(),
        request_id,
    }
}
