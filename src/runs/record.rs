//! The record of a run: its versions, which of them is active, and the blobs that hold them.
//!
//! One small record holds all kept versions, so that one swap of it adds a version, retires the oldest and makes the new one
//! active, and a reader sees all of that or nothing. A deleted run leaves a record without versions behind, so that a write
//! of any process notices the deletion.

use serde::{Deserialize, Serialize};

use super::get::VersionSelector;
use super::{KEPT_VERSIONS, RequestId, RunId};
use crate::error::{Error, Result, reason};
use crate::store::{BlobName, BlobRef, Record};
use anomaly_detection::envelope::Envelope;

const RUN: Envelope = Envelope {
    what: "record of a run",
    magic: *b"ANOM-RUN",
    format: 1,
};

/// The record of a run. The default stands for a run that never existed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// How often the run was deleted. A write belongs to the generation in which it began.
    pub(super) generation: u64,
    /// The number of the last version of all generations: numbers are never reused.
    pub(super) last_version: u64,
    /// The version that predictions use by default; 0 if the run is deleted.
    pub(super) active: u64,
    /// The kept versions, in ascending order; none if the run is deleted.
    pub(super) versions: Vec<VersionRecord>,
}

/// What the record says about a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version, counted from 1.
    pub version: u64,
    /// The blob of the model.
    pub model: BlobRef,
    /// The blob of the reservoir; absent if the model cannot be updated.
    pub reservoir: Option<BlobRef>,
    /// The name of the detector.
    pub detector: String,
    /// A row with a score above this is an anomaly.
    pub threshold: f64,
    /// The share of training rows that the threshold was set to flag; absent if the threshold was
    /// given.
    pub contamination: Option<f64>,
    /// The number of features.
    pub n_features: u32,
    /// How many rows the model has learned from.
    pub n_rows: u64,
    /// When the version was stored, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The id of the request that made it.
    pub request_id: Option<RequestId>,
}

impl RunRecord {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let record: Self = RUN.decode_bare(bytes)?;
        record.validate()?;
        Ok(record)
    }

    fn validate(&self) -> Result<()> {
        let numbers = || self.versions.iter().map(|kept| kept.version);
        let has_active = match self.is_deleted() {
            true => self.active == 0,
            false => self.find(self.active).is_some(),
        };
        let last = numbers().next_back().unwrap_or(0);
        if has_active && numbers().is_sorted_by(|a, b| a < b) && last <= self.last_version {
            Ok(())
        } else {
            Err(RUN.damaged("contradicts itself"))
        }
    }

    /// The record as it is stored, with the blobs that it refers to.
    pub(super) fn encode(&self) -> Result<Record> {
        let blobs = self.versions.iter().flat_map(VersionRecord::blob_refs);
        Ok(Record::with_blobs(
            RUN.encode_bare(self)?,
            blobs.map(BlobRef::id).collect(),
        ))
    }

    /// Whether the run is deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.versions.is_empty()
    }

    /// The record that remains when the run is deleted.
    pub(super) fn deleted(&self) -> Self {
        Self {
            generation: self.generation + 1,
            last_version: self.last_version,
            active: 0,
            versions: Vec::new(),
        }
    }

    /// Fails if the run was deleted since a write of this generation began.
    pub(super) fn check_generation(&self, generation: u64) -> Result<()> {
        if self.generation == generation {
            return Ok(());
        }
        Err(Error::new(
            reason::RUN_DELETED,
            "the run was deleted while this write was under way; nothing was stored",
        ))
    }

    /// The number of the next version.
    pub(super) fn next_version(&self) -> u64 {
        self.last_version + 1
    }

    /// Adds a version and makes it active. Returns the versions that are no longer kept.
    pub(super) fn push(&mut self, version: VersionRecord) -> Vec<VersionRecord> {
        self.active = version.version;
        self.last_version = version.version;
        self.versions.push(version);
        let excess = self.versions.len().saturating_sub(KEPT_VERSIONS);
        self.versions.drain(..excess).collect()
    }

    /// The selected version.
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

    /// The version that this request has made before. Fails if another request with its id made one.
    pub(super) fn made_by(&self, request_id: Option<&RequestId>) -> Result<Option<&VersionRecord>> {
        let Some(request_id) = request_id else {
            return Ok(None);
        };
        for version in &self.versions {
            if let Some(earlier) = &version.request_id
                && request_id.repeats(earlier)?
            {
                return Ok(Some(version));
            }
        }
        Ok(None)
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
        self.blob_refs().map(|blob| blob.name)
    }

    fn blob_refs(&self) -> impl Iterator<Item = &BlobRef> + '_ {
        std::iter::once(&self.model).chain(&self.reservoir)
    }
}

/// How many versions of a run its record keeps, for those who only count; none if the run is deleted.
///
/// # Errors
/// When the value is not a record of a run.
pub fn n_kept_versions(value: &[u8]) -> Result<usize> {
    RunRecord::decode(value).map(|record| record.versions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64) -> VersionRecord {
        let blob = BlobRef {
            name: BlobName::random(),
            sha256: [1; 32],
            size: 10,
        };
        VersionRecord {
            version,
            model: blob.clone(),
            reservoir: Some(blob),
            detector: "isolation_forest".to_owned(),
            threshold: f64::MIN_POSITIVE,
            contamination: Some(0.1),
            n_features: u32::MAX,
            n_rows: u64::MAX,
            created_ms: i64::MAX,
            request_id: RequestId::parse(&"x".repeat(128), "Train", |_| Ok(())).expect("valid"),
        }
    }

    #[test]
    fn numbers_survive_a_deletion_and_the_largest_record_fits() {
        let mut record = RunRecord::default();
        for _ in 0..KEPT_VERSIONS + 5 {
            record.push(version(record.next_version()));
        }
        let stored = record.encode().expect("encodable");
        assert_eq!(RunRecord::decode(&stored.value).expect("whole"), record);
        assert_eq!(stored.blobs.len(), 2 * KEPT_VERSIONS);
        let n_bytes = stored.value.len() + 32 * stored.blobs.len();
        assert!(n_bytes <= crate::store::MAX_RECORD_BYTES, "{n_bytes}");

        let deleted = record.deleted();
        let stored = deleted.encode().expect("encodable");
        assert!(stored.blobs.is_empty() && stored.value.len() < 100);
        let mut deleted = RunRecord::decode(&stored.value).expect("whole");
        assert!(deleted.is_deleted() && deleted.check_generation(0).is_err());
        deleted.push(version(deleted.next_version()));
        assert_eq!(deleted.active, 16);
        assert!(deleted.check_generation(1).is_ok());
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused() {
        let mut record = RunRecord::default();
        record.push(version(1));
        record.push(version(2));
        let bad: [fn(&mut RunRecord); 4] = [
            |record| record.active = 3,
            |record| record.last_version = 1,
            |record| record.versions.reverse(),
            |record| record.versions.clear(),
        ];
        for damage in bad {
            let mut record = record.clone();
            damage(&mut record);
            let stored = record.encode().expect("encodable");
            assert!(RunRecord::decode(&stored.value).is_err());
        }
    }
}
