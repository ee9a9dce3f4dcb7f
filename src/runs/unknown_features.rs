//! What is known about features that a run's model does not know: gathered in memory as rows are scored, and written beside the
//! run every few seconds and at the end. A crash may lose the last seconds, which were never acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

use super::commit::Write;
use super::{Caller, RunId, Runs};
use crate::error::{Result, chain};
use crate::store::{MAX_RECORD_BYTES, PointerSwap, Record, Store, Swap, key, now_ms, settle};
use anomaly_detection::envelope::Envelope;
use anomaly_detection::features::UnknownFeature;
use anomaly_detection::pipeline::{Model, Scored};

/// The interval between writes of what was gathered.
const INTERVAL: Duration = Duration::from_secs(2);

/// The most features that are remembered per run: the first ones seen. If their record would be too long, those seen least
/// recently are dropped.
const MAX_FEATURES: usize = 50;

/// The most runs whose features are gathered between two writes; others are ignored.
const MAX_RUNS: usize = 10_000;

/// A feature that a run's model does not know, and when it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// What is known about it.
    pub feature: UnknownFeature,
    /// When it was first seen, in milliseconds since 1970.
    pub first_ms: i64,
    /// When it was last seen.
    pub last_ms: i64,
}

impl Sighting {
    fn merge(&mut self, other: &Self) {
        self.feature.merge(&other.feature);
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// Features by their names.
type Sightings = BTreeMap<String, Sighting>;

const UNKNOWN_FEATURES: Envelope = Envelope {
    what: "record of unknown features",
    magic: *b"ANOM-UNK",
    format: 1,
};

/// What is known about the unknown features of a run. It only holds for this generation of the run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Remembered {
    generation: u64,
    sightings: Sightings,
}

/// What was gathered and not written yet.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By the keys of the runs.
    runs: Mutex<HashMap<Vec<u8>, Remembered>>,
    /// Locked while features of a run are moved from here into its record, and read-locked by those who read both places: in
    /// between, the features are in neither, or a reader finds them twice.
    moving: RwLock<()>,
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Remembered>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what scoring a table has found, with a model of this generation of the run.
    pub(super) fn note(&self, run_key: &[u8], generation: u64, scored: &Scored) {
        if scored.unknown_statistics.is_empty() {
            return;
        }
        let now = now_ms();
        let mut gathered = self.lock();
        if !gathered.contains_key(run_key) && gathered.len() >= MAX_RUNS {
            return;
        }
        let remembered = gathered.entry(run_key.to_vec()).or_default();
        let Some(sightings) = remembered.of(generation) else {
            return;
        };
        for (name, feature) in scored
            .unknown_features
            .iter()
            .zip(&scored.unknown_statistics)
        {
            let sighting = Sighting {
                feature: feature.clone(),
                first_ms: now,
                last_ms: now,
            };
            add(sightings, name, &sighting);
        }
    }

    /// Forgets a run.
    fn forget(&self, run_key: &[u8]) {
        self.lock().remove(run_key);
    }

    /// Forgets features of a run that are now known.
    fn forget_known(&self, run_key: &[u8], is_known: impl Fn(&str) -> bool) {
        if let Some(remembered) = self.lock().get_mut(run_key) {
            remembered.sightings.retain(|name, _| !is_known(name));
        }
    }
}

impl Remembered {
    /// The sightings of this generation, after forgetting those of an older one; `None` if there are those of a
    /// newer one.
    fn of(&mut self, generation: u64) -> Option<&mut Sightings> {
        if self.generation < generation {
            *self = Self {
                generation,
                sightings: Sightings::new(),
            };
        }
        (self.generation == generation).then_some(&mut self.sightings)
    }

    /// Encodes the record, and drops features until it fits.
    fn encode(&mut self) -> Result<Record> {
        loop {
            let bytes = UNKNOWN_FEATURES.encode_bare(self)?;
            if bytes.len() <= MAX_RECORD_BYTES {
                return Ok(Record::new(bytes));
            }
            let sightings = &mut self.sightings;
            let least = sightings
                .iter()
                .min_by_key(|(_, s)| (s.last_ms, s.feature.n_rows));
            let Some(least) = least.map(|(name, _)| name.clone()) else {
                return Ok(Record::new(bytes));
            };
            sightings.remove(&least);
        }
    }

    /// Decodes and validates.
    fn decode(bytes: &[u8]) -> Result<Self> {
        let remembered: Self = UNKNOWN_FEATURES.decode_bare(bytes)?;
        for sighting in remembered.sightings.values() {
            sighting.feature.validate()?;
        }
        Ok(remembered)
    }
}

/// Adds a sighting of a feature; a new feature is ignored if there is no room.
fn add(sightings: &mut Sightings, name: &str, sighting: &Sighting) {
    if let Some(known) = sightings.get_mut(name) {
        known.merge(sighting);
    } else if sightings.len() < MAX_FEATURES {
        sightings.insert(name.to_owned(), sighting.clone());
    }
}

impl<S: Store> Runs<S> {
    /// What is known about the features that a run's active model does not know, by name.
    pub async fn unknown_features(&self, caller: &Caller, run_id: &RunId) -> Result<Sightings> {
        let run_key = key::run_key(caller.owner, run_id.as_str());
        let generation = self.generation(&run_key).await?;
        let key = key::unknown_features_key(&run_key);
        let _nothing_moves = self.gathered.moving.read().await;
        let mut remembered = match self.store.get_pointer(&key).await? {
            Some(pointer) => Remembered::decode(&pointer.value)?,
            None => Remembered::default(),
        };
        let Some(sightings) = remembered.of(generation) else {
            return Ok(Sightings::new());
        };
        if let Some(more) = self.gathered.lock().get(&run_key)
            && more.generation == generation
        {
            for (name, sighting) in &more.sightings {
                add(sightings, name, sighting);
            }
        }
        Ok(remembered.sightings)
    }

    /// Spawns a task that writes what was gathered every few seconds, as long as the runs exist.
    pub(super) fn write_unknown_features(self: &Arc<Self>) {
        let runs = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Some(runs) = runs.upgrade() else {
                    return;
                };
                // in a task of its own, whose panic is logged and does not end this one
                let flush = tokio::spawn(async move { runs.flush_unknown_features().await });
                flush.await.ok();
            }
        });
    }

    /// Writes what was gathered so far. What cannot be written is kept for the next time, with a
    /// warning.
    pub(super) async fn flush_unknown_features(&self) {
        let run_keys: Vec<Vec<u8>> = self.gathered.lock().keys().cloned().collect();
        for run_key in run_keys {
            let _moving = self.gathered.moving.write().await;
            let Some(more) = self.gathered.lock().remove(&run_key) else {
                continue;
            };
            if let Err(error) = self.write_sightings(&run_key, &more).await {
                tracing::warn!(
                    error = chain(&error),
                    "what is known about unknown features cannot be written yet"
                );
                let mut gathered = self.gathered.lock();
                let again = gathered.entry(run_key).or_default();
                if let Some(again) = again.of(more.generation) {
                    for (name, sighting) in &more.sightings {
                        add(again, name, sighting);
                    }
                }
            }
        }
    }

    /// Adds to what is stored, unless the run is deleted.
    async fn write_sightings(&self, run_key: &[u8], more: &Remembered) -> Result<()> {
        let key = key::unknown_features_key(run_key);
        while self.is_generation(run_key, more.generation).await? {
            let (mut remembered, revision) = match self.store.get_pointer(&key).await? {
                Some(pointer) => (Remembered::decode(&pointer.value)?, Some(pointer.revision)),
                None => (Remembered::default(), None),
            };
            let Some(sightings) = remembered.of(more.generation) else {
                break;
            };
            for (name, sighting) in &more.sightings {
                add(sightings, name, sighting);
            }
            let swap = PointerSwap::put(&key, revision, remembered.encode()?);
            if settle(&*self.store, &swap).await? == Swap::Done {
                // the run may have been deleted meanwhile without deleting this record
                if !self.is_generation(run_key, more.generation).await? {
                    self.delete_unknown_features(run_key).await?;
                }
                break;
            }
        }
        Ok(())
    }

    /// Whether a run exists in this generation.
    async fn is_generation(&self, run_key: &[u8], generation: u64) -> Result<bool> {
        let stored = self.stored(run_key).await?;
        Ok(stored.is_some_and(|(run, _)| !run.is_deleted() && run.generation == generation))
    }

    /// Forgets features that a new version of a run knows, to make room for others.
    pub(super) async fn forget_known_features(&self, write: &Write, model: &Model) -> Result<()> {
        let known: HashSet<&str> = {
            let features = model.features().schema.features();
            features.iter().map(String::as_str).collect()
        };
        self.gathered
            .forget_known(&write.key, |name| known.contains(name));
        let key = key::unknown_features_key(&write.key);
        while let Some(pointer) = self.store.get_pointer(&key).await? {
            let mut remembered = Remembered::decode(&pointer.value)?;
            let Some(sightings) = remembered.of(write.generation) else {
                break;
            };
            let n_before = sightings.len();
            sightings.retain(|name, _| !known.contains(name.as_str()));
            if sightings.len() == n_before {
                break;
            }
            let swap = match sightings.is_empty() {
                true => PointerSwap::remove(&key, pointer.revision),
                false => PointerSwap::put(&key, Some(pointer.revision), remembered.encode()?),
            };
            if settle(&*self.store, &swap).await? == Swap::Done {
                break;
            }
        }
        Ok(())
    }

    /// Forgets the unknown features of a deleted run.
    pub(super) async fn delete_unknown_features(&self, run_key: &[u8]) -> Result<()> {
        self.gathered.forget(run_key);
        let key = key::unknown_features_key(run_key);
        while let Some(pointer) = self.store.get_pointer(&key).await? {
            let swap = PointerSwap::remove(&key, pointer.revision);
            if settle(&*self.store, &swap).await? == Swap::Done {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
