//! Logs in a folder: their entries in segment files, and their heads in a database, which alone says what was acknowledged.
//!
//! An append writes behind the end of the last segment. The committer then syncs the files of all logs that were appended to,
//! writes their heads, and flushes those together. What a crash leaves beyond a head is cut off; a file that is shorter than
//! its head says is damaged.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::committer::{Committer, CommitterThread};
use super::deletions::Disposal;
use super::log_commit::{LogState, OpenLog, Shared};
use super::log_head::{Head, Segment};
use super::log_segment::{self, SegmentFile, SegmentReader};
use super::references::References;
use super::sled_heads::SledHeads;
use super::{LogBounds, LogEntry, LogName, Retain, StoreError};

/// The offset of an entry is remembered every so many bytes of a segment.
const PLACE_BYTES: u64 = 64 << 10;

/// From this many open logs on, unused ones are evicted.
const OPEN_LOGS: usize = 4096;

/// All logs of a store. Its methods block.
pub(super) struct Logs {
    // dropped first: its last flush needs the rest
    thread: CommitterThread,
    shared: Arc<Shared>,
    /// The logs that existed when the store was opened and have not been swept yet. Newer ones are left alone: a record
    /// may be about to refer to them.
    unswept: Mutex<HashSet<LogName>>,
}

/// The result of an operation, and the number of the change that must be durable before it may be
/// returned.
pub(super) struct Answer<T> {
    pub(super) found: Result<T, StoreError>,
    pub(super) number: u64,
}

impl<T> Answer<T> {
    fn durable(found: T) -> Self {
        Self {
            found: Ok(found),
            number: 0,
        }
    }

    /// The log does not exist; the number is that of its deletion.
    fn gone(number: u64) -> Self {
        Self {
            found: Err(StoreError::LogNotFound),
            number,
        }
    }
}

impl Logs {
    /// Serves the logs in a folder, whose heads were compared with their segments. Moves segments that belong to no log into the
    /// quarantine: they were never acknowledged, or are dropped, or the loss of their heads was accepted. `main` fails when the
    /// committer of the logs does.
    pub(super) fn start(
        folder: &Path,
        heads: SledHeads,
        known: Vec<(LogName, Head)>,
        disposal: &Disposal,
        main: Arc<Committer>,
    ) -> Result<Self, StoreError> {
        Self::start_with(folder, heads, known, disposal, main, |shared| {
            move || shared.flush()
        })
    }

    fn start_with<F: FnMut() -> Result<(), StoreError> + Send + 'static>(
        folder: &Path,
        heads: SledHeads,
        known: Vec<(LogName, Head)>,
        disposal: &Disposal,
        main: Arc<Committer>,
        flusher: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<Self, StoreError> {
        let segments: HashSet<(LogName, u64)> = known
            .iter()
            .flat_map(|(log, head)| head.segments().map(|segment| (*log, segment.first)))
            .collect();
        for segment in log_segment::list(folder)? {
            if !segments.contains(&segment) {
                let (log, first) = segment;
                disposal
                    .quarantine
                    .take_in(&log_segment::path(folder, log, first))?;
            }
        }
        let unswept = known.into_iter().map(|(log, _)| log).collect();
        let deletions = Arc::clone(&disposal.deletions);
        let shared = Arc::new(Shared::new(folder.to_owned(), heads, deletions));
        let flush = flusher(Arc::clone(&shared));
        let thread = CommitterThread::start(0, Some(main), flush)
            .map_err(StoreError::io("start the committer thread"))?;
        Ok(Self {
            thread,
            shared,
            unswept: Mutex::new(unswept),
        })
    }

    /// The heads.
    pub(super) fn heads(&self) -> &SledHeads {
        &self.shared.heads
    }

    /// What makes changes durable.
    pub(super) fn committer(&self) -> &Arc<Committer> {
        self.thread.committer()
    }

    /// Makes an empty log.
    pub(super) fn create(&self) -> Answer<LogName> {
        let name = LogName::random();
        let log = use_log(&mut self.shared.lock_open(), name, Head::empty());
        let number = self.change(&log, &mut log.lock());
        let found = Ok(name);
        Answer { found, number }
    }

    /// Appends entries.
    pub(super) fn append(
        &self,
        name: LogName,
        entries: &[Bytes],
    ) -> Result<Answer<Vec<u64>>, StoreError> {
        let Some(log) = self.find(name)? else {
            return Ok(Answer::gone(0));
        };
        let mut state = log.lock();
        if let Some(number) = state.deleted {
            return Ok(Answer::gone(number));
        }
        if entries.is_empty() {
            return Ok(Answer::durable(Vec::new()));
        }
        let first = state.head.next;
        let bytes = log_segment::encode(name, first, entries)?;
        let (segment, file, is_new) = match state.head.open_segment() {
            Some(segment) => {
                let file = match &state.file {
                    Some(file) if file.first == segment.first => file.clone(),
                    _ => SegmentFile::open(&self.shared.folder, name, segment)?,
                };
                (segment, file, false)
            }
            None => {
                let n_bytes = 0;
                let file = SegmentFile::create(&self.shared.folder, name, first)?;
                (Segment { first, n_bytes }, file, true)
            }
        };
        // if this fails, whatever reached the file lies beyond the head and is overwritten
        file.write(&bytes, segment.n_bytes)?;
        state.wrote(file, is_new);
        state
            .head
            .append(segment, entries.len() as u64, bytes.len() as u64);
        let last_place = state.places.range(segment.first..).next_back();
        if segment.n_bytes >= last_place.map_or(0, |(_, offset)| *offset) + PLACE_BYTES {
            state.places.insert(first, segment.n_bytes);
        }
        let number = self.change(&log, &mut state);
        let found = Ok((first..state.head.next).collect());
        Ok(Answer { found, number })
    }

    /// Reads durable entries.
    pub(super) fn read(
        &self,
        name: LogName,
        from: u64,
        n_entries: usize,
        n_bytes: usize,
    ) -> Result<Answer<Vec<LogEntry>>, StoreError> {
        let Some(log) = self.find(name)? else {
            return Ok(Answer::gone(0));
        };
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut n_read = 0;
        let mut next = from;
        while entries.len() < n_entries {
            let (head, place) = {
                let state = log.lock();
                if let Some(number) = state.deleted {
                    return Ok(Answer::gone(number));
                }
                next = next.max(state.durable.first);
                let place = state.places.range(..=next).next_back();
                (
                    state.durable.clone(),
                    place.map(|(n, offset)| (*n, *offset)),
                )
            };
            // a trim meanwhile may leave a gap behind the entries already read: they are returned alone
            let follows = entries.last().is_none_or(|last| last.sequence + 1 == next);
            let Some((segment, end)) = head.segment_of(next).filter(|_| follows) else {
                break;
            };
            let place = place.filter(|(sequence, _)| *sequence >= segment.first);
            let (sequence, offset) = place.unwrap_or((segment.first, 0));
            let folder = &self.shared.folder;
            let Some(mut reader) = SegmentReader::open(folder, name, segment, sequence, offset)?
            else {
                // dropped meanwhile, or lost
                let state = log.lock();
                if state.deleted.is_none()
                    && state.durable.segment_of(next) == head.segment_of(next)
                {
                    return Err(log_segment::missing(name, segment));
                }
                continue;
            };
            let mut noted = offset;
            while next < end && entries.len() < n_entries {
                let place = reader.place();
                if place.1 >= noted + PLACE_BYTES {
                    noted = place.1;
                    log.lock().places.insert(place.0, place.1);
                }
                let entry = reader.next()?;
                if entry.sequence < next {
                    continue;
                }
                n_read += entry.bytes.len();
                if n_read > n_bytes && !entries.is_empty() {
                    return Ok(Answer::durable(entries));
                }
                next += 1;
                entries.push(entry);
            }
        }
        Ok(Answer::durable(entries))
    }

    /// What a log durably holds.
    pub(super) fn bounds(&self, name: LogName) -> Result<Answer<LogBounds>, StoreError> {
        let Some(log) = self.find(name)? else {
            return Ok(Answer::gone(0));
        };
        let state = log.lock();
        Ok(match state.deleted {
            Some(number) => Answer::gone(number),
            None => Answer::durable(state.durable.bounds()),
        })
    }

    /// Drops old entries.
    pub(super) fn trim(&self, name: LogName, retain: Retain) -> Result<Answer<()>, StoreError> {
        let Some(log) = self.find(name)? else {
            return Ok(Answer::gone(0));
        };
        let mut state = log.lock();
        if let Some(number) = state.deleted {
            return Ok(Answer::gone(number));
        }
        let dropped = state.head.trim(retain);
        let oldest = state
            .head
            .segments()
            .next()
            .map_or(state.head.next, |s| s.first);
        state.places = state.places.split_off(&oldest);
        state.drop_segments(dropped);
        let number = self.change(&log, &mut state);
        let found = Ok(());
        Ok(Answer { found, number })
    }

    /// Deletes a log.
    pub(super) fn delete(&self, name: LogName) -> Result<Answer<()>, StoreError> {
        let Some(log) = self.find(name)? else {
            return Ok(Answer::gone(0));
        };
        let mut state = log.lock();
        if let Some(number) = state.deleted {
            return Ok(Answer::gone(number));
        }
        let all = state.head.segments().map(|segment| segment.first).collect();
        state.drop_segments(all);
        state.places.clear();
        let number = self.change(&log, &mut state);
        state.deleted = Some(number);
        let found = Ok(());
        Ok(Answer { found, number })
    }

    /// Deletes the logs that existed when the store was opened and that no record refers to. Returns how many, and the number
    /// of the last change.
    pub(super) fn sweep(&self, references: &References) -> Result<(usize, u64), StoreError> {
        let mut unswept = self.lock_unswept();
        let (mut n_deleted, mut number) = (0, 0);
        for &name in unswept.iter().filter(|name| !references.has_log(**name)) {
            number = number.max(self.delete(name)?.number);
            n_deleted += 1;
        }
        unswept.clear();
        Ok((n_deleted, number))
    }

    /// Whether nothing is left to sweep.
    pub(super) fn is_swept(&self) -> bool {
        self.lock_unswept().is_empty()
    }

    fn lock_unswept(&self) -> MutexGuard<'_, HashSet<LogName>> {
        self.unswept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a log, and takes it into use if it is not yet.
    fn find(&self, name: LogName) -> Result<Option<Arc<OpenLog>>, StoreError> {
        let mut open = self.shared.lock_open();
        if let Some(log) = open.get(&name) {
            return Ok(Some(Arc::clone(log)));
        }
        let Some(head) = self.shared.heads.get(name)? else {
            return Ok(None);
        };
        Ok(Some(use_log(&mut open, name, head)))
    }

    fn change(&self, log: &Arc<OpenLog>, state: &mut LogState) -> u64 {
        let number = self.shared.change(log, state);
        self.committer().request(number);
        number
    }
}

/// Takes a log into use, and evicts unused ones if there are too many.
fn use_log(open: &mut HashMap<LogName, Arc<OpenLog>>, name: LogName, head: Head) -> Arc<OpenLog> {
    if open.len() >= OPEN_LOGS {
        // the committer holds the logs with changes that are not durable, so they stay
        open.retain(|_, log| Arc::strong_count(log) > 1);
    }
    let log = Arc::new(OpenLog::new(name, head));
    open.insert(name, Arc::clone(&log));
    log
}

#[cfg(test)]
mod tests;
