//! Gives up what a store has lost, so that what is left of it is served again.

use std::fs;
use std::path::Path;

use super::audit;
use super::layout::{Layout, Place};
use super::losses::{Accepted, Part};
use super::maintenance::{CheckReport, Offline};
use super::record::now_ms;
use super::sled_ledger::{self, Found, Origin};
use super::state::{StoreId, next_opening};
use super::survey::{Side, Survey};
use super::{StoreError, StoreOptions, files};

/// A store whose losses are known and not accepted yet. It stays locked.
pub struct Acceptance {
    store: Offline,
    report: CheckReport,
    counts: Vec<(&'static str, serde_json::Value)>,
    /// The files that are lost.
    files: Accepted,
}

impl Acceptance {
    /// Checks the whole store in a folder. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a process uses the store, or there is none.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        let store = Offline::lock(folder)?.ok_or_else(|| {
            StoreError::Refused("a server uses the store; stop it first".to_owned())
        })?;
        let (survey, verified) = store.survey()?;
        let Survey {
            records,
            heads,
            losses,
            logs,
            ..
        } = &survey;
        if let Some(loss) = losses
            .list()
            .iter()
            .find(|loss| loss.part == Part::TokenKey)
        {
            return Err(StoreError::Refused(format!(
                "{loss}; without its key nothing of the store can be used, so that cannot be given up"
            )));
        }
        let n_records = records.found.as_ref().map_or(0, Found::n_records);
        let count =
            |is_such: fn(&Part) -> bool| -> serde_json::Value { losses.count(is_such).into() };
        let counts = vec![
            ("records_acknowledged", acknowledged(records)),
            ("records_left", n_records.into()),
            ("logs_acknowledged", acknowledged(heads)),
            ("logs_left", logs.len().into()),
            ("blobs_lost", count(|part| matches!(part, Part::Blob(_)))),
            ("logs_lost", count(|part| matches!(part, Part::Log(_)))),
            (
                "segments_lost",
                count(|part| matches!(part, Part::Segment(..))),
            ),
            (
                "records_damaged",
                count(|part| matches!(part, Part::Record(_))),
            ),
        ];
        let report = CheckReport::new(n_records, logs.len(), verified, losses);
        let files = losses.to_accept();
        Ok(Self {
            store,
            report,
            counts,
            files,
        })
    }

    /// What is lost and what is left.
    pub fn report(&self) -> &CheckReport {
        &self.report
    }

    /// Accepts the losses: says so in the audit, makes both databases what is left in them, with new marks, and notes the files
    /// that are gone. An unreadable database is moved aside and replaced by an empty one. If this fails halfway, the store is
    /// refused as before, and the acceptance can be repeated.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn accept(self) -> Result<(), StoreError> {
        let layout = &self.store.layout;
        audit::append(&layout.audit(), "accept-loss", self.counts)?;
        let survey = Survey::look(layout, StoreOptions::default().cache_bytes)?;
        let fingerprint = survey.records.found.as_ref().and_then(Found::origin);
        let fingerprint = fingerprint.and_then(|origin| origin.fingerprint);
        // what was lost does not go with what will be written from now on, should it come back
        let store = StoreId::random();
        self.files.write(&layout.accepted())?;
        let (had_heads, heads) = (layout.heads().path().exists(), survey.heads);
        // segments may be all that is left of the logs
        let lost_heads = survey.losses.count(|part| *part == Part::Heads) > 0;
        if had_heads || lost_heads || !heads.mark.is_new() {
            let origin = Origin {
                store,
                fingerprint: None,
            };
            repair(layout, &layout.heads(), heads, origin)?;
        }
        let origin = Origin { store, fingerprint };
        repair(layout, &layout.records(), survey.records, origin)
    }
}

/// How many records a database has acknowledged, if its mark says it.
fn acknowledged(side: &Side) -> serde_json::Value {
    let mark = side.mark.acknowledged();
    mark.map(|mark| mark.state.totals.n_records).into()
}

/// Makes a database what is left in it.
fn repair(layout: &Layout, place: &Place, side: Side, origin: Origin) -> Result<(), StoreError> {
    let cache_bytes = StoreOptions::default().cache_bytes;
    let acknowledged = side.acknowledged();
    let found = match side.found {
        Some(found) => found,
        None => {
            set_aside(layout, place)?;
            files::create_folder(&place.folder)
                .map_err(StoreError::io("make the folder of the logs"))?;
            sled_ledger::create(place, cache_bytes, origin.store)?;
            Found::read(place, cache_bytes, &mut |_, _| Ok(()))?
        }
    };
    // fails before anything is changed if there are no revisions left
    next_opening(acknowledged)?;
    found.begin(&place.mark, origin, acknowledged).map(drop)
}

/// Moves an unreadable database to another name in the folder of the store.
fn set_aside(layout: &Layout, place: &Place) -> Result<(), StoreError> {
    if !place.path().exists() {
        return Ok(());
    }
    let aside = layout
        .root()
        .join(format!("{}.unreadable.{}", place.name, now_ms()));
    fs::rename(place.path(), &aside)
        .and_then(|()| files::sync_folder(layout.root()))
        .map_err(StoreError::io("move an unreadable database aside"))?;
    tracing::warn!(path = %aside.display(), "moved an unreadable database aside");
    Ok(())
}
