//! What is stored of a run under its key: which versions there are, which one is active, and where their bytes lie.
//!
//! One small record holds all kept versions, so that one swap of it adds a version, retires the oldest and makes the new one
//! active, and a reader sees all of that or nothing.

use serde::{Deserialize, Serialize};

use super::get::VersionSelector;
use super::{KEPT_VERSIONS, RequestId, RunId};
use crate::error::{Error, Result, reason};
use crate::store::{BlobName, BlobRef};

/// The record of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// The version that predictions use when they name none.
    pub(super) active: u64,
    /// The kept versions, in ascending order.
    pub(super) versions: Vec<VersionRecord>,
}

/// What is known of a version without loading its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version, counted from 1.
    pub version: u64,
    /// Where the model lies.
    pub model: BlobRef,
    /// Where the reservoir lies; absent when the model does not learn.
    pub reservoir: Option<BlobRef>,
    /// The name of the detector.
    pub detector: String,
    /// Above which score a row is an anomaly.
    pub threshold: f64,
    /// The share of training rows that the threshold was set to flag; absent when it was given.
    pub contamination: Option<f64>,
    /// The number of features.
    pub n_features: u32,
    /// How many rows the model has learned from.
    pub n_rows: u64,
    /// When the version was stored, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The id of the request that made it.
    pub request_id: Option<String>,
}

impl RunRecord {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let record: Self =
            rmp_serde::from_slice(bytes).map_err(|error| damaged().because(error))?;
        if record.find(record.active).is_some() {
            Ok(record)
        } else {
            Err(damaged())
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(self).map_err(|error| {
            Error::new(reason::INTERNAL, "a run's record cannot be encoded").because(error)
        })
    }

    /// The number of the next version.
    pub(super) fn next_version(&self) -> u64 {
        self.versions.last().map_or(1, |last| last.version + 1)
    }

    /// Adds a version, makes it active, and answers with the versions that are no longer kept.
    pub(super) fn push(&mut self, version: VersionRecord) -> Vec<VersionRecord> {
        self.active = version.version;
        self.versions.push(version);
        let excess = self.versions.len().saturating_sub(KEPT_VERSIONS);
        self.versions.drain(..excess).collect()
    }

    /// The version that a request asks for.
    pub(super) fn select(
        &self,
        run_id: &RunId,
        selector: VersionSelector,
    ) -> Result<&VersionRecord> {
        let version = match selector {
            VersionSelector::Active => self.active,
            VersionSelector::Number(version) => version,
        };
        self.find(version).ok_or_else(|| {
            let kept: Vec<String> = self
                .versions
                .iter()
                .map(|kept| kept.version.to_string())
                .collect();
            Error::new(
                reason::VERSION_NOT_FOUND,
                format!(
                    "run {:?} has no version {version}; kept are {}",
                    run_id.as_str(),
                    kept.join(", ")
                ),
            )
            .at("version")
        })
    }

    /// The version that an earlier request with this id made.
    pub(super) fn made_by(&self, request_id: Option<&RequestId>) -> Option<&VersionRecord> {
        let id = request_id?.as_str();
        self.versions
            .iter()
            .find(|version| version.request_id.as_deref() == Some(id))
    }

    /// The blobs of all kept versions.
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobName> + '_ {
        self.versions.iter().flat_map(VersionRecord::blobs)
    }

    fn find(&self, version: u64) -> Option<&VersionRecord> {
        self.versions.iter().find(|kept| kept.version == version)
    }
}

impl VersionRecord {
    /// The blobs of this version.
    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobName> + '_ {
        std::iter::once(&self.model)
            .chain(&self.reservoir)
            .map(|blob| blob.name)
    }
}

fn damaged() -> Error {
    Error::new(reason::DAMAGED_ARTIFACT, "the record of a run is damaged")
}
