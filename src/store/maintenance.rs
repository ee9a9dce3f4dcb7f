//! Checks and backups of a store: of one that is in use, by the process that uses it, or of one that is not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::backup::{self, Source};
use super::contents::Visit;
use super::embedded::Inner;
use super::files::{self, FolderLock};
use super::layout::Layout;
use super::losses::{Accepted, Losses, Part};
use super::references::References;
use super::sled_heads;
use super::sled_ledger::{Found, Turn};
use super::state::State;
use super::strayed::Strayed;
use super::survey::Survey;
use super::verify::{Verified, verify, verify_token_key};
use super::{BackupSummary, EmbeddedStore, StoreError, StoreOptions};
use crate::error::chain;

/// What a check of a whole store has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The number of records.
    pub n_records: u64,
    /// The number of blobs that are whole.
    pub n_blobs: u64,
    /// Their size in bytes.
    pub blob_bytes: u64,
    /// The number of logs.
    pub n_logs: u64,
    /// The number of their entries that are whole.
    pub n_entries: u64,
    /// What is missing, damaged or behind what was acknowledged, one line each. Empty if the store is whole.
    pub losses: Vec<String>,
    /// Losses that were accepted before, and are not among these.
    pub n_accepted: u64,
}

impl CheckReport {
    pub(super) fn new(n_records: u64, n_logs: usize, verified: Verified, losses: &Losses) -> Self {
        Self {
            n_records,
            n_blobs: verified.n_blobs,
            blob_bytes: verified.blob_bytes,
            n_logs: n_logs as u64,
            n_entries: verified.n_entries,
            losses: losses.list().iter().map(ToString::to_string).collect(),
            n_accepted: losses.accepted().len() as u64,
        }
    }
}

impl EmbeddedStore {
    /// Reads everything in the store and compares it with what was acknowledged; the databases as this process sees them, which
    /// is not always as a start would. Writes go on, but for the moment that it takes to read the records; nothing is deleted
    /// until the end. Stops soon after `cancelled` is set.
    ///
    /// # Errors
    /// When something cannot be read for another reason than damage.
    pub async fn check(&self, cancelled: Arc<AtomicBool>) -> Result<CheckReport, StoreError> {
        self.blocking(move |inner| {
            let _hold = inner.disposal.deletions.hold();
            let mut losses = Losses::new(Accepted::read(&inner.layout.accepted())?);
            let (mut references, mut logs) = (References::default(), Vec::new());
            let source = InUse::stop(inner);
            let n_records = look(
                &source.records,
                &Part::Records,
                &mut losses,
                &mut |key, sealed| {
                    references.add(key, sealed);
                    Ok(())
                },
            )?;
            if let Some(heads) = &source.heads {
                look(heads, &Part::Heads, &mut losses, &mut |key, sealed| {
                    logs.push(sled_heads::decode(key, sealed)?);
                    Ok(())
                })?;
            }
            drop(source);
            let layout = &inner.layout;
            // a start has brought back what records refer to, and a sweep takes nothing else away
            let strayed = Strayed::default();
            let verified = verify(
                layout,
                &references,
                &strayed,
                &logs,
                &mut losses,
                &cancelled,
            )?;
            Ok(CheckReport::new(n_records, logs.len(), verified, &losses))
        })
        .await
    }

    /// Copies the store, as it is at one moment, into a folder that is empty or does not exist. Writes go on, but for the moment
    /// that it takes to copy the records; nothing is deleted until the end. Stops soon after `cancelled` is set.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the folder cannot be used, [`StoreError::Damaged`] or [`StoreError::BlobNotFound`] when the
    /// store is not whole: there is no backup then.
    pub async fn backup(
        &self,
        to: &Path,
        cancelled: Arc<AtomicBool>,
    ) -> Result<BackupSummary, StoreError> {
        let to = to.to_owned();
        let begin = self.blocking(move |inner| {
            let hold = inner.disposal.deletions.hold();
            let fingerprint = Some(inner.fingerprint);
            let source = InUse::stop(inner);
            let begun = backup::make(&inner.layout, &to, &source, fingerprint)?;
            Ok((begun, hold))
        });
        let (begun, hold) = begin.await?;
        // otherwise it might hold what a crash takes from the store
        self.committer().durable(begun.revision).await?;
        if let Some(logs) = self.log_committer() {
            logs.requested().await?;
        }
        self.blocking(move |inner| {
            let _hold = hold;
            begun.finish(&inner.layout, &Strayed::default(), &cancelled)
        })
        .await
    }
}

/// Compares a database in use with its mark and with itself; what is wrong with it is added to the losses. Returns how many
/// records it has.
fn look(
    database: &Turn<'_>,
    part: &Part,
    losses: &mut Losses,
    visit: Visit<'_>,
) -> Result<u64, StoreError> {
    let mark = database.read_mark()?;
    match database.contents(visit) {
        Ok(contents) => {
            contents.compare(part, &mark, losses);
            Ok(contents.counted.n_records)
        }
        Err(error @ StoreError::Damaged { .. }) => {
            losses.add(part.clone(), chain(&error));
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// The databases of a store in use, whose writers wait.
struct InUse<'a> {
    records: Turn<'a>,
    heads: Option<Turn<'a>>,
}

impl<'a> InUse<'a> {
    fn stop(inner: &'a Inner) -> Self {
        Self {
            // first: whoever has deleted a log had its turn here before
            records: inner.records.turn(),
            heads: inner.logs.get().map(|logs| logs.heads().turn()),
        }
    }
}

impl Source for InUse<'_> {
    fn records(&self, receive: backup::Receive<'_>) -> Result<State, StoreError> {
        self.records.export(receive)
    }

    fn heads(&self, receive: backup::Receive<'_>) -> Result<Option<State>, StoreError> {
        let heads = self.heads.as_ref();
        heads.map(|heads| heads.export(receive)).transpose()
    }
}

/// The databases of a store that nobody uses.
struct Stopped<'a> {
    records: &'a Found,
    heads: Option<&'a Found>,
}

impl Source for Stopped<'_> {
    fn records(&self, receive: backup::Receive<'_>) -> Result<State, StoreError> {
        self.records.export(receive)
    }

    fn heads(&self, receive: backup::Receive<'_>) -> Result<Option<State>, StoreError> {
        let heads = self.heads;
        heads.map(|heads| heads.export(receive)).transpose()
    }
}

/// A folder of a store that nobody uses, locked.
pub(super) struct Offline {
    pub(super) layout: Layout,
    _lock: FolderLock,
}

impl Offline {
    /// Locks the store in a folder; `None` if a process uses it.
    pub(super) fn lock(folder: &Path) -> Result<Option<Self>, StoreError> {
        let what = StoreError::io("find the folder of the store");
        let layout = Layout::new(&folder.canonicalize().map_err(what)?);
        if layout.found().is_empty() {
            return Err(StoreError::Refused(format!(
                "there is no store in {}",
                folder.display()
            )));
        }
        let lock = files::try_lock(&layout.lock())?;
        Ok(lock.map(|_lock| Self { layout, _lock }))
    }

    /// Looks at the store. The databases are read from copies, since sled writes to those that it opens, and to damaged ones in
    /// ways that make it worse.
    fn look(&self) -> Result<Survey, StoreError> {
        let what = "copy the databases of the store";
        let copies = self.layout.with_copies().map_err(StoreError::io(what))?;
        Survey::look(&copies, StoreOptions::default().cache_bytes)
    }

    /// Looks at the store and reads everything in it.
    pub(super) fn survey(&self) -> Result<(Survey, Verified), StoreError> {
        let mut survey = self.look()?;
        let Survey {
            references,
            strayed,
            logs,
            losses,
            records,
            ..
        } = &mut survey;
        let never = AtomicBool::new(false);
        let verified = verify(&self.layout, references, strayed, logs, losses, &never)?;
        let origin = records.found.as_ref().and_then(Found::origin);
        let fingerprint = origin.and_then(|origin| origin.fingerprint);
        verify_token_key(&self.layout, fingerprint, losses)?;
        Ok((survey, verified))
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Err(error) = self.layout.remove_leftovers() {
            tracing::warn!(%error, "copies of the databases are left behind; the next start removes them");
        }
    }
}

/// Checks a store that nobody uses; `None` if a process does, which can check it itself. Changes nothing.
///
/// # Errors
/// [`StoreError::Refused`] when there is no store in the folder; others when something cannot be read for another reason than
/// damage.
pub fn check_stopped(folder: &Path) -> Result<Option<CheckReport>, StoreError> {
    let Some(store) = Offline::lock(folder)? else {
        return Ok(None);
    };
    let (survey, verified) = store.survey()?;
    let found = survey.records.found.as_ref();
    let n_records = found.map_or(0, Found::n_records);
    let n_logs = survey.logs.len();
    Ok(Some(CheckReport::new(
        n_records,
        n_logs,
        verified,
        &survey.losses,
    )))
}

/// Copies a store that nobody uses into a folder that is empty or does not exist; `None` if a process uses it, which can copy it
/// itself.
///
/// # Errors
/// [`StoreError::Refused`] when there is no store in the folder, when the other one cannot be used, or when anything that was
/// acknowledged is missing or behind: there is no backup then.
pub fn backup_stopped(folder: &Path, to: &Path) -> Result<Option<BackupSummary>, StoreError> {
    let Some(store) = Offline::lock(folder)? else {
        return Ok(None);
    };
    let layout = &store.layout;
    let survey = store.look()?;
    survey.losses.refuse(layout.root())?;
    let records = survey.records.found.as_ref();
    let records = records
        .ok_or_else(|| StoreError::Refused(format!("there is no store in {}", folder.display())))?;
    let heads = survey.heads.found.as_ref();
    let fingerprint = records.origin().and_then(|origin| origin.fingerprint);
    let source = Stopped { records, heads };
    let begun = backup::make(layout, to, &source, fingerprint)?;
    begun
        .finish(layout, &survey.strayed, &AtomicBool::new(false))
        .map(Some)
}
