//! What is known of features that a run's model does not know: gathered in memory as rows are scored, and written beside the run
//! every few seconds and at the end. A crash may lose the last of it, which nobody was told was kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::writers::Ticket;
use super::{Caller, RunId, Runs};
use crate::error::{Error, Result, reason};
use crate::store::{MAX_RECORD_BYTES, Store, Swap, key};
use anomaly_detection::features::UnknownFeature;
use anomaly_detection::pipeline::{Model, Scored};

/// How often what was gathered is written.
const INTERVAL: Duration = Duration::from_secs(2);

/// The most features that are remembered of a run, the first ones that are seen. Where their record would be too long, those
/// that were not seen for longest leave it.
const MAX_FEATURES: usize = 50;

/// The most runs whose features are gathered between two writes; those of any more are not.
const MAX_RUNS: usize = 10_000;

/// A feature that a run's model does not know, and when rows had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// What is known of it.
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

/// What was gathered and is not written yet, by the keys of the runs.
#[derive(Debug, Default)]
pub(super) struct Gathered(Mutex<HashMap<Vec<u8>, Sightings>>);

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Sightings>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what scoring a table has found, unless the run was deleted since the ticket was taken.
    pub(super) fn note(&self, run_key: &[u8], ticket: &Ticket, scored: &Scored) {
        if scored.known_of_unknown.is_empty() {
            return;
        }
        let now = now_ms();
        let mut gathered = self.lock();
        // under the lock: a deletion announces itself before it forgets what was gathered
        if ticket.check().is_err() {
            return;
        }
        if !gathered.contains_key(run_key) && gathered.len() >= MAX_RUNS {
            return;
        }
        let sightings = gathered.entry(run_key.to_vec()).or_default();
        for (name, feature) in scored.unknown_features.iter().zip(&scored.known_of_unknown) {
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

    /// Forgets features of a run that are not unknown any more.
    fn forget_known(&self, run_key: &[u8], is_known: impl Fn(&str) -> bool) {
        if let Some(sightings) = self.lock().get_mut(run_key) {
            sightings.retain(|name, _| !is_known(name));
        }
    }
}

/// Adds to what is known of a feature; one that is not known yet needs room.
fn add(sightings: &mut Sightings, name: &str, sighting: &Sighting) {
    if let Some(known) = sightings.get_mut(name) {
        known.merge(sighting);
    } else if sightings.len() < MAX_FEATURES {
        sightings.insert(name.to_owned(), sighting.clone());
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn encode(sightings: &mut Sightings) -> Result<Vec<u8>> {
    loop {
        let bytes = rmp_serde::to_vec_named(sightings).map_err(|error| {
            Error::new(reason::INTERNAL, "unknown features cannot be encoded").because(error)
        })?;
        if bytes.len() <= MAX_RECORD_BYTES {
            return Ok(bytes);
        }
        let least = sightings
            .iter()
            .min_by_key(|(_, s)| (s.last_ms, s.feature.n_rows));
        let Some(least) = least.map(|(name, _)| name.clone()) else {
            return Ok(bytes);
        };
        sightings.remove(&least);
    }
}

fn decode(bytes: &[u8]) -> Result<Sightings> {
    let damaged = || {
        Error::new(
            reason::DAMAGED_ARTIFACT,
            "the record of unknown features is damaged",
        )
    };
    let sightings: Sightings =
        rmp_serde::from_slice(bytes).map_err(|error| damaged().because(error))?;
    for sighting in sightings.values() {
        sighting.feature.validate()?;
    }
    Ok(sightings)
}

impl<S: Store> Runs<S> {
    /// What is known of the features that a run's active model does not know, by name.
    pub async fn unknown_features(&self, caller: &Caller, run_id: &RunId) -> Result<Sightings> {
        let run_key = key::run_key(caller.owner, run_id.as_str());
        let mut sightings = match self
            .store
            .get_pointer(&key::unknown_features_key(&run_key))
            .await?
        {
            Some(pointer) => decode(&pointer.value)?,
            None => Sightings::new(),
        };
        if let Some(more) = self.gathered.lock().get(&run_key) {
            for (name, sighting) in more {
                add(&mut sightings, name, sighting);
            }
        }
        Ok(sightings)
    }

    /// Writes what was gathered every few seconds, as long as there is someone who gathers.
    pub(super) fn write_unknown_features(self: &Arc<Self>) {
        let runs = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                match runs.upgrade() {
                    Some(runs) => runs.flush_unknown_features().await,
                    None => return,
                }
            }
        });
    }

    /// Writes what was gathered so far. What cannot be written is logged and gathered again.
    pub(super) async fn flush_unknown_features(&self) {
        let gathered: Vec<(Vec<u8>, Sightings, Ticket)> = {
            let mut gathered = self.gathered.lock();
            // under the lock: a deletion before it has forgotten what was gathered, one after it is noticed
            let entered = gathered.drain().map(|(run_key, sightings)| {
                let ticket = self.writers.enter(&run_key);
                (run_key, sightings, ticket)
            });
            entered.collect()
        };
        for (run_key, sightings, ticket) in gathered {
            if let Err(error) = self.write_sightings(&run_key, &ticket, &sightings).await {
                tracing::warn!(%error, "what is known of unknown features cannot be written yet");
                let mut gathered = self.gathered.lock();
                let again = gathered.entry(run_key).or_default();
                for (name, sighting) in &sightings {
                    add(again, name, sighting);
                }
            }
        }
    }

    /// Adds to what is stored, unless the run is deleted.
    async fn write_sightings(
        &self,
        run_key: &[u8],
        ticket: &Ticket,
        more: &Sightings,
    ) -> Result<()> {
        let key = key::unknown_features_key(run_key);
        loop {
            if self.store.get_pointer(run_key).await?.is_none() {
                return Ok(());
            }
            let (mut sightings, revision) = match self.store.get_pointer(&key).await? {
                Some(pointer) => (
                    decode(&pointer.value).unwrap_or_default(),
                    Some(pointer.revision),
                ),
                None => (Sightings::new(), None),
            };
            for (name, sighting) in more {
                add(&mut sightings, name, sighting);
            }
            if ticket.check().is_err() {
                return Ok(());
            }
            let bytes = encode(&mut sightings)?;
            if self.store.swap_pointer(&key, revision, Some(bytes)).await? == Swap::Done {
                // a deletion that came between may not have seen it
                if ticket.check().is_err() {
                    self.delete_unknown_features(run_key).await?;
                }
                return Ok(());
            }
        }
    }

    /// Forgets what was remembered of features that a new version of a run knows, so that there is room for others.
    pub(super) async fn forget_known_features(&self, run_key: &[u8], model: &Model) -> Result<()> {
        let known: HashSet<&str> = {
            let features = model.features().schema.features();
            features.iter().map(String::as_str).collect()
        };
        self.gathered
            .forget_known(run_key, |name| known.contains(name));
        let key = key::unknown_features_key(run_key);
        while let Some(pointer) = self.store.get_pointer(&key).await? {
            let mut sightings = decode(&pointer.value)?;
            let n_before = sightings.len();
            sightings.retain(|name, _| !known.contains(name.as_str()));
            if sightings.len() == n_before {
                break;
            }
            let left = match sightings.is_empty() {
                true => None,
                false => Some(encode(&mut sightings)?),
            };
            let swap = self.store.swap_pointer(&key, Some(pointer.revision), left);
            if swap.await? == Swap::Done {
                break;
            }
        }
        Ok(())
    }

    /// Forgets what is known of the unknown features of a deleted run.
    pub(super) async fn delete_unknown_features(&self, run_key: &[u8]) -> Result<()> {
        self.gathered.forget(run_key);
        let key = key::unknown_features_key(run_key);
        while let Some(pointer) = self.store.get_pointer(&key).await? {
            if self
                .store
                .swap_pointer(&key, Some(pointer.revision), None)
                .await?
                == Swap::Done
            {
                break;
            }
        }
        Ok(())
    }
}
