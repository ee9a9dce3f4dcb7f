//! A look at everything in the folder of a store before it is trusted: both databases are read in full and compared with their
//! marks, and the files with what the databases say of them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use super::blob_folder;
use super::contents::Visit;
use super::layout::{Layout, Place};
use super::log_head::Head;
use super::log_segment;
use super::losses::{Accepted, Losses, Part};
use super::mark::ReadMark;
use super::quarantine::Quarantine;
use super::references::References;
use super::sled_heads::{self, CACHE_BYTES};
use super::sled_ledger::Found;
use super::strayed::Strayed;
use super::{BlobName, LogName, StoreError};
use crate::error::chain;

/// What was found in the folder of a store.
pub(super) struct Survey {
    pub(super) records: Side,
    pub(super) heads: Side,
    /// The heads of all logs.
    pub(super) logs: Vec<(LogName, Head)>,
    pub(super) references: References,
    pub(super) losses: Losses,
    pub(super) strayed: Strayed,
}

/// A database and its mark.
pub(super) struct Side {
    /// `None` if there is no database, or it cannot be read.
    pub(super) found: Option<Found>,
    pub(super) mark: ReadMark,
}

impl Side {
    /// Reads a database. What is wrong with it is added to the losses.
    pub(super) fn look(
        place: &Place,
        cache_bytes: u64,
        losses: &mut Losses,
        visit: Visit<'_>,
    ) -> Result<Self, StoreError> {
        let mark = ReadMark::read(&place.mark)?;
        if !place.path().exists() {
            match mark {
                ReadMark::Damaged => {
                    losses.add(place.part.clone(), "it is missing, and its mark is damaged")
                }
                ReadMark::Missing | ReadMark::Whole(_) => {
                    if let Some(mark) = mark.acknowledged() {
                        let how = format!("it is missing; acknowledged was {}", mark.describe());
                        losses.add(place.part.clone(), how);
                    }
                }
            }
            return Ok(Self { found: None, mark });
        }
        let found = match Found::read(place, cache_bytes, visit) {
            Ok(found) => {
                found.contents().compare(&place.part, &mark, losses);
                Some(found)
            }
            Err(error @ StoreError::Damaged { .. }) => {
                let how = match mark.acknowledged() {
                    Some(mark) => {
                        let acknowledged = mark.describe();
                        format!("{}; acknowledged was {acknowledged}", chain(&error))
                    }
                    None => chain(&error),
                };
                losses.add(place.part.clone(), how);
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { found, mark })
    }

    /// The revision up to which writes were acknowledged, as far as the mark says it.
    pub(super) fn acknowledged(&self) -> u64 {
        self.mark
            .acknowledged()
            .map_or(0, |mark| mark.state.revision)
    }
}

impl Survey {
    /// Looks at the databases, and whether the files that they name are there. Reads no file of a blob or a log.
    pub(super) fn look(layout: &Layout, cache_bytes: u64) -> Result<Self, StoreError> {
        let mut losses = Losses::new(Accepted::read(&layout.accepted())?);
        let mut references = References::default();
        let records = Side::look(
            &layout.records(),
            cache_bytes,
            &mut losses,
            &mut |key, sealed| {
                references.add(key, sealed);
                Ok(())
            },
        )?;
        let mut logs = Vec::new();
        let heads = Side::look(
            &layout.heads(),
            CACHE_BYTES,
            &mut losses,
            &mut |key, sealed| {
                logs.push(sled_heads::decode(key, sealed)?);
                Ok(())
            },
        )?;
        let mut survey = Self {
            records,
            heads,
            logs,
            references,
            losses,
            strayed: Strayed::default(),
        };
        let blobs = blob_folder::names(&layout.blobs());
        let blobs: HashSet<BlobName> = blobs
            .map_err(StoreError::io("list the blobs"))?
            .into_iter()
            .collect();
        survey.find_orphans(layout, blobs.len())?;
        survey.find_missing_blobs(layout, &blobs)?;
        survey.find_missing_logs();
        survey.find_missing_segments(layout)?;
        Ok(survey)
    }

    /// Refuses to make a new database beside old files: nothing would refer to them.
    fn find_orphans(&mut self, layout: &Layout, n_blobs: usize) -> Result<(), StoreError> {
        let heads = layout.heads();
        let has_no_heads = self.heads.found.is_none() && self.heads.mark.is_new();
        if has_no_heads && !heads.path().exists() {
            let n_segments = log_segment::list(&layout.logs())?.len();
            if n_segments > 0 {
                let how = format!("it is missing, but {n_segments} segments of logs are there");
                self.losses.add(heads.part.clone(), how);
            }
        }
        let records = layout.records();
        if self.records.mark.is_new() && !records.path().exists() {
            let what = match (n_blobs, has_no_heads) {
                (0, true) => return Ok(()),
                (0, false) => "the logs are".to_owned(),
                (n, _) => format!("{n} blobs are"),
            };
            let how = format!("it is missing, but {what} there");
            self.losses.add(records.part, how);
        }
        let origin = |side: &Side| side.found.as_ref().and_then(Found::origin);
        if let (Some(records), Some(heads_origin)) = (origin(&self.records), origin(&self.heads))
            && records.store != heads_origin.store
        {
            let how = "it belongs to another store than the records";
            self.losses.add(heads.part, how);
        }
        Ok(())
    }

    fn find_missing_blobs(
        &mut self,
        layout: &Layout,
        there: &HashSet<BlobName>,
    ) -> Result<(), StoreError> {
        let strays: HashMap<String, PathBuf> = Quarantine::new(layout.quarantine()).list()?;
        for (blob, record) in self.references.blobs() {
            if there.contains(&blob.name) {
                continue;
            }
            match strays.get(&blob.name.to_string()) {
                Some(path) => self.strayed.add(blob.name, path.clone()),
                None => {
                    let how = format!("it is missing; {} refers to it", record());
                    self.losses.add(Part::Blob(blob.name), how);
                }
            }
        }
        Ok(())
    }

    /// Finds the logs without a head. A database of heads that is whole has none missing: those logs were deleted.
    fn find_missing_logs(&mut self) {
        let is_whole = self.losses.count(|part| *part == Part::Heads) == 0;
        if self.heads.found.is_some() && is_whole {
            return;
        }
        let there: HashSet<LogName> = self.logs.iter().map(|(log, _)| *log).collect();
        for (log, record) in self.references.logs() {
            if !there.contains(&log) {
                let how = format!("it is missing; {record} refers to it");
                self.losses.add(Part::Log(log), how);
            }
        }
    }

    fn find_missing_segments(&mut self, layout: &Layout) -> Result<(), StoreError> {
        let folder = layout.logs();
        for (log, head) in &self.logs {
            for segment in head.segments() {
                let part = || Part::Segment(*log, segment.first);
                match fs::metadata(log_segment::path(&folder, *log, segment.first)) {
                    Ok(found) if found.len() >= segment.n_bytes => {}
                    Ok(found) => self.losses.add(
                        part(),
                        format!(
                            "it has {} bytes, but {} were acknowledged",
                            found.len(),
                            segment.n_bytes
                        ),
                    ),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.losses.add(part(), "it is missing");
                    }
                    Err(error) => {
                        return Err(StoreError::io("read the size of a segment of a log")(error));
                    }
                }
            }
        }
        Ok(())
    }
}
