//! One log in use, and how the changes of all logs become durable: the files first, then the heads in one flush.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::deletions::Deletions;
use super::log_head::Head;
use super::log_segment::{self, SegmentFile};
use super::sled_heads::SledHeads;
use super::{LogName, StoreError, files};
use crate::error::chain;

/// How many threads sync files: a file system commits several syncs in one go.
const SYNC_THREADS: usize = 8;

/// With at most this many logs in use, each keeps its last segment open.
const OPEN_FILES: usize = 128;

/// The state shared by writers, readers and the committer.
pub(super) struct Shared {
    /// The folder of the segments.
    pub(super) folder: PathBuf,
    pub(super) heads: SledHeads,
    deletions: Arc<Deletions>,
    /// The logs in use. One that nothing else refers to may be evicted.
    open: Mutex<HashMap<LogName, Arc<OpenLog>>>,
    changes: Mutex<Changes>,
}

/// The changes that are not durable yet.
#[derive(Default)]
struct Changes {
    /// The number of the last change.
    last: u64,
    logs: Vec<Arc<OpenLog>>,
}

/// A log in use.
pub(super) struct OpenLog {
    pub(super) name: LogName,
    state: Mutex<LogState>,
}

/// The state of a log in use.
pub(super) struct LogState {
    /// The head with all changes.
    pub(super) head: Head,
    /// The head with the durable changes only: what readers see.
    pub(super) durable: Head,
    /// The number of the change that deleted it, if one did.
    pub(super) deleted: Option<u64>,
    /// The last segment, if it is open.
    pub(super) file: Option<SegmentFile>,
    /// The offsets of some entries in their segments, by number.
    pub(super) places: BTreeMap<u64, u64>,
    /// Whether it waits for the committer.
    is_changed: bool,
    /// Files with bytes that are not durable.
    unsynced: Vec<Arc<File>>,
    /// Whether a new segment's name is not durable yet.
    has_new_file: bool,
    /// The segments to delete once the head is durable.
    dropped: Vec<u64>,
}

impl OpenLog {
    pub(super) fn new(name: LogName, head: Head) -> Self {
        Self {
            name,
            state: Mutex::new(LogState {
                durable: head.clone(),
                head,
                deleted: None,
                file: None,
                places: BTreeMap::new(),
                is_changed: false,
                unsynced: Vec::new(),
                has_new_file: false,
                dropped: Vec::new(),
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LogState> {
        // a change ends in plain assignments, so a panic leaves none half made
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    /// Notes that bytes were written to the open segment, which may be a new one.
    pub(super) fn wrote(&mut self, segment: SegmentFile, is_new: bool) {
        let is_noted = |file: &Arc<File>| Arc::ptr_eq(file, &segment.file);
        if !self.unsynced.last().is_some_and(is_noted) {
            self.unsynced.push(Arc::clone(&segment.file));
        }
        self.has_new_file |= is_new;
        self.file = Some(segment);
    }

    /// Notes that segments are no longer part of the log.
    pub(super) fn drop_segments(&mut self, dropped: Vec<u64>) {
        self.file.take_if(|file| dropped.contains(&file.first));
        self.dropped.extend(dropped);
    }
}

/// A changed log, as the committer takes it over.
struct Work {
    log: Arc<OpenLog>,
    head: Option<Head>,
    files: Vec<Arc<File>>,
    dropped: Vec<u64>,
}

impl Shared {
    pub(super) fn new(folder: PathBuf, heads: SledHeads, deletions: Arc<Deletions>) -> Self {
        Self {
            folder,
            heads,
            deletions,
            open: Mutex::default(),
            changes: Mutex::default(),
        }
    }

    /// Notes that a log was changed. Returns the number of the change. The caller holds the lock of
    /// the log.
    pub(super) fn change(&self, log: &Arc<OpenLog>, state: &mut LogState) -> u64 {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.last += 1;
        if !state.is_changed {
            state.is_changed = true;
            changes.logs.push(Arc::clone(log));
        }
        changes.last
    }

    /// Makes every change made before the call durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let changed = {
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut changes.logs)
        };
        let mut has_new_file = false;
        let work: Vec<Work> = changed
            .into_iter()
            .map(|log| {
                let mut state = log.lock();
                state.is_changed = false;
                has_new_file |= std::mem::take(&mut state.has_new_file);
                let work = Work {
                    log: Arc::clone(&log),
                    head: state.deleted.is_none().then(|| state.head.clone()),
                    files: std::mem::take(&mut state.unsynced),
                    dropped: std::mem::take(&mut state.dropped),
                };
                drop(state);
                work
            })
            .collect();
        sync(&work)?;
        if has_new_file {
            files::sync_folder(&self.folder)
                .map_err(StoreError::io("make the segments of a log durable"))?;
        }
        for work in &work {
            self.heads.put(work.log.name, work.head.as_ref())?;
        }
        self.heads.flush()?;
        let n_open = self.lock_open().len();
        for work in work {
            self.finish(work, n_open <= OPEN_FILES);
        }
        Ok(())
    }

    pub(super) fn lock_open(&self) -> MutexGuard<'_, HashMap<LogName, Arc<OpenLog>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows readers what is durable, and deletes the dropped segments.
    fn finish(&self, work: Work, keeps_file: bool) {
        let name = work.log.name;
        match work.head {
            Some(head) => {
                let mut state = work.log.lock();
                state.durable = head;
                if !keeps_file && !state.is_changed {
                    state.file = None;
                }
            }
            None => {
                self.lock_open().remove(&name);
            }
        }
        for first in work.dropped {
            let path = log_segment::path(&self.folder, name, first);
            if let Err(error) = self.deletions.delete(path) {
                tracing::warn!(
                    error = chain(&error),
                    "a segment that is no longer needed cannot be deleted; the next start sweeps it"
                );
            }
        }
    }
}

/// Syncs the files of all logs, several at a time.
fn sync(work: &[Work]) -> Result<(), StoreError> {
    let sync_all = |work: &[Work]| {
        let mut files = work.iter().flat_map(|work| &work.files);
        files.try_for_each(|file| file.sync_data())
    };
    let share = work.len().div_ceil(SYNC_THREADS).max(1);
    let synced = if share == work.len().max(1) {
        sync_all(work)
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> = work
                .chunks(share)
                .map(|work| scope.spawn(move || sync_all(work)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let panicked = |_| Err(std::io::Error::other("a thread that syncs panicked"));
                thread.join().unwrap_or_else(panicked)
            })
        })
    };
    synced.map_err(StoreError::io("sync a segment of a log"))
}
