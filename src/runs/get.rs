//! GetModel: one version of a run in full.

use std::sync::Arc;

use super::{Caller, Loaded, RunId, Runs, VersionRecord};
use crate::error::Result;
use crate::store::Store;
use anomaly_detection::pipeline::Model;

/// Which version of a run to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSelector {
    /// The active one.
    Active,
    /// The one with this number.
    Number(u64),
}

/// A version of a run in full.
#[derive(Debug, Clone)]
pub struct Described {
    /// The run.
    pub run_id: RunId,
    /// The version that predictions use by default.
    pub active_version: u64,
    /// The kept versions, in ascending order.
    pub kept_versions: Vec<u64>,
    /// The entry of the version in the run's record.
    pub version: VersionRecord,
    /// Its model.
    pub model: Arc<Model>,
}

impl<S: Store> Runs<S> {
    /// Describes a version of a run.
    pub async fn describe(
        &self,
        caller: Caller,
        run_id: RunId,
        selector: VersionSelector,
    ) -> Result<Described> {
        let Loaded {
            record,
            version,
            model,
        } = self.load(&caller, &run_id, selector).await?;
        Ok(Described {
            run_id,
            active_version: record.active,
            kept_versions: record.versions.iter().map(|kept| kept.version).collect(),
            version,
            model,
        })
    }
}
