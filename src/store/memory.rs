//! A store in memory: the second implementation of the contract, for tests and for servers that need no
//! persistence.
//!
//! What it acknowledges lasts as long as the last of its handles. Several handles share it as several processes would share
//! a replicated store, which makes it the place to test what must not depend on one process.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::checksums::{Checksums, Expected, Summing};
use super::record::WriteId;
use super::{
    BlobName, BlobReader, BlobRef, BlobWriter, Entry, LogBounds, LogEntry, LogName,
    MAX_ENTRY_BYTES, Pointer, PointerSwap, Record, Retain, Revision, Store, StoreError, Swap,
    TokenHasher, TokenKey,
};

/// A handle on a store in memory.
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    token_hasher: TokenHasher,
    /// The blobs and logs made by this handle hold a weak reference to it.
    handle: Arc<()>,
}

#[derive(Default)]
struct State {
    is_cut_off: bool,
    last_revision: u64,
    records: BTreeMap<Vec<u8>, Stored>,
    blobs: HashMap<BlobName, Blob>,
    logs: HashMap<LogName, Log>,
}

struct Stored {
    record: Record,
    revision: Revision,
    write: WriteId,
}

struct Blob {
    reference: BlobRef,
    checksums: Checksums,
    bytes: Bytes,
    /// The handle that made it, which may be about to refer to it.
    maker: Weak<()>,
}

struct Log {
    next: u64,
    entries: VecDeque<LogEntry>,
    maker: Weak<()>,
}

impl MemoryStore {
    /// An empty store whose tokens are hashed under this key.
    pub fn new(key: &TokenKey) -> Self {
        Self {
            state: Arc::default(),
            token_hasher: TokenHasher::new(key),
            handle: Arc::new(()),
        }
    }

    /// Another handle on the same store, such as another process would have.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            token_hasher: self.token_hasher.clone(),
            handle: Arc::new(()),
        }
    }

    /// Makes the store unavailable to all handles, as a broken network would, or available again.
    pub fn cut_off(&self, is_cut_off: bool) {
        self.lock().is_cut_off = is_cut_off;
    }

    /// Changes the bytes of a blob, if it exists, as a disk may change those of a file.
    pub fn change_blob(&self, name: BlobName, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(blob) = self.lock().blobs.get_mut(&name) {
            let mut bytes = blob.bytes.to_vec();
            change(&mut bytes);
            blob.bytes = bytes.into();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the store is unavailable.
    fn reach(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        reach(&self.state)
    }
}

fn reach(state: &Mutex<State>) -> Result<MutexGuard<'_, State>, StoreError> {
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    match state.is_cut_off {
        false => Ok(state),
        true => Err(StoreError::Unavailable {
            cause: "the store is cut off".into(),
        }),
    }
}

impl State {
    fn blob(&self, blob: &BlobRef) -> Result<&Blob, StoreError> {
        let name = blob.name;
        let found = self.blobs.get(&name);
        let found = found.ok_or(StoreError::BlobNotFound { name })?;
        match found.reference == *blob && found.bytes.len() as u64 == blob.size {
            true => Ok(found),
            false => Err(not_as_written(name)),
        }
    }

    fn log(&mut self, name: LogName) -> Result<&mut Log, StoreError> {
        self.logs.get_mut(&name).ok_or(StoreError::LogNotFound)
    }
}

impl Log {
    fn bounds(&self) -> LogBounds {
        LogBounds {
            first: self
                .entries
                .front()
                .map_or(self.next, |entry| entry.sequence),
            next: self.next,
            n_bytes: self
                .entries
                .iter()
                .map(|entry| entry.bytes.len() as u64)
                .sum(),
        }
    }

    fn trim(&mut self, retain: Retain) {
        match retain {
            Retain::From(sequence) => {
                let n = self
                    .entries
                    .partition_point(|entry| entry.sequence < sequence);
                self.entries.drain(..n);
            }
            Retain::Bytes(n_bytes) => {
                let mut left = self.bounds().n_bytes;
                while let Some(entry) = self.entries.front() {
                    left -= entry.bytes.len() as u64;
                    if left < n_bytes || self.entries.len() == 1 {
                        break;
                    }
                    self.entries.pop_front();
                }
            }
        }
    }
}

fn not_as_written(blob: BlobName) -> StoreError {
    StoreError::Damaged {
        what: "a blob",
        how: format!("{blob} is not what its reference says"),
    }
}

/// A blob that is being written to a [`MemoryStore`].
pub struct MemoryBlobWriter {
    state: Arc<Mutex<State>>,
    maker: Weak<()>,
    bytes: Vec<u8>,
}

impl BlobWriter for MemoryBlobWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self) -> Result<BlobRef, StoreError> {
        let reference = BlobRef {
            name: BlobName::random(),
            sha256: Sha256::digest(&self.bytes).into(),
            size: self.bytes.len() as u64,
        };
        let mut summing = Summing::default();
        summing.update(&self.bytes);
        let blob = Blob {
            reference: reference.clone(),
            checksums: summing.finish(),
            bytes: self.bytes.into(),
            maker: self.maker,
        };
        reach(&self.state)?.blobs.insert(reference.name, blob);
        Ok(reference)
    }
}

/// A blob of a [`MemoryStore`] that is open for reading.
pub struct MemoryBlobReader {
    bytes: Bytes,
    expected: Expected,
}

impl BlobReader for MemoryBlobReader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        self.expected.read(buffer, offset, |buffer, offset| {
            // the length was checked, so the offset fits
            let start = offset as usize;
            buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
            Ok(())
        })
    }
}

impl Store for MemoryStore {
    type BlobWriter = MemoryBlobWriter;
    type BlobReader = MemoryBlobReader;

    fn token_hasher(&self) -> &TokenHasher {
        &self.token_hasher
    }

    async fn failed(&self) -> StoreError {
        std::future::pending().await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        let state = &mut *self.reach()?;
        let records = || state.records.values().map(|stored| &stored.record);
        let blobs: HashSet<BlobName> = records()
            .flat_map(|r| r.blobs.iter().map(|blob| blob.name))
            .collect();
        let logs: HashSet<LogName> = records().flat_map(|r| r.logs.iter().copied()).collect();
        let n_before = state.blobs.len() + state.logs.len();
        state
            .blobs
            .retain(|name, blob| blobs.contains(name) || blob.maker.strong_count() > 0);
        state
            .logs
            .retain(|name, log| logs.contains(name) || log.maker.strong_count() > 0);
        Ok(n_before - state.blobs.len() - state.logs.len())
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<BlobRef, StoreError> {
        let mut writer = self.begin_blob().await?;
        writer.bytes = bytes;
        writer.finish().await
    }

    async fn get_blob(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        let bytes = self.reach()?.blob(blob)?.bytes.to_vec();
        match <[u8; 32]>::from(Sha256::digest(&bytes)) == blob.sha256 {
            true => Ok(bytes),
            false => Err(not_as_written(blob.name)),
        }
    }

    async fn begin_blob(&self) -> Result<MemoryBlobWriter, StoreError> {
        drop(self.reach()?);
        Ok(MemoryBlobWriter {
            state: Arc::clone(&self.state),
            maker: Arc::downgrade(&self.handle),
            bytes: Vec::new(),
        })
    }

    async fn open_blob(&self, blob: &BlobRef) -> Result<MemoryBlobReader, StoreError> {
        let state = self.reach()?;
        let found = state.blob(blob)?;
        Ok(MemoryBlobReader {
            bytes: found.bytes.clone(),
            expected: Expected::new(blob.name, blob.size, found.checksums.clone()),
        })
    }

    async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.reach()?.blobs.remove(&name);
        Ok(())
    }

    async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
        Ok(self.reach()?.records.get(key).map(|stored| Pointer {
            value: stored.record.value.clone(),
            revision: stored.revision,
        }))
    }

    async fn swap_pointer(&self, swap: &PointerSwap) -> Result<Swap, StoreError> {
        swap.check_size()?;
        let state = &mut *self.reach()?;
        let found = state.records.get(&swap.key);
        if found.is_some_and(|stored| stored.write == swap.id) {
            return Ok(Swap::Done);
        }
        if found.map(|stored| stored.revision) != swap.expected {
            return Ok(Swap::Lost);
        }
        state.last_revision += 1;
        match &swap.record {
            None => {
                state.records.remove(&swap.key);
            }
            Some(record) => {
                let stored = Stored {
                    record: record.clone(),
                    revision: Revision(state.last_revision),
                    write: swap.id,
                };
                state.records.insert(swap.key.clone(), stored);
            }
        }
        Ok(Swap::Done)
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let state = self.reach()?;
        let found = state.records.range::<[u8], _>((start, Bound::Unbounded));
        Ok(found
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, stored)| (key.clone(), stored.record.value.clone()))
            .collect())
    }

    async fn create_log(&self) -> Result<LogName, StoreError> {
        let name = LogName::random();
        let log = Log {
            next: 1,
            entries: VecDeque::new(),
            maker: Arc::downgrade(&self.handle),
        };
        self.reach()?.logs.insert(name, log);
        Ok(name)
    }

    async fn append(&self, log: LogName, entries: Vec<Bytes>) -> Result<Vec<u64>, StoreError> {
        let mut state = self.reach()?;
        let log = state.log(log)?;
        if let Some(entry) = entries.iter().find(|entry| entry.len() > MAX_ENTRY_BYTES) {
            return Err(StoreError::TooLarge {
                what: "an entry of a log",
                size: entry.len(),
                limit: MAX_ENTRY_BYTES,
            });
        }
        let first = log.next;
        for bytes in entries {
            let sequence = log.next;
            log.next += 1;
            log.entries.push_back(LogEntry { sequence, bytes });
        }
        Ok((first..log.next).collect())
    }

    async fn read_log(
        &self,
        log: LogName,
        from: u64,
        n_entries: usize,
        n_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut state = self.reach()?;
        let log = state.log(log)?;
        let start = log.entries.partition_point(|entry| entry.sequence < from);
        let mut entries = Vec::new();
        let mut n_read = 0;
        for entry in log.entries.range(start..).take(n_entries) {
            n_read += entry.bytes.len();
            if n_read > n_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    async fn log_bounds(&self, log: LogName) -> Result<LogBounds, StoreError> {
        Ok(self.reach()?.log(log)?.bounds())
    }

    async fn trim_log(&self, log: LogName, retain: Retain) -> Result<(), StoreError> {
        self.reach()?.log(log)?.trim(retain);
        Ok(())
    }

    async fn delete_log(&self, log: LogName) -> Result<(), StoreError> {
        self.reach()?.logs.remove(&log);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryBlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobWriter").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryBlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobReader").finish_non_exhaustive()
    }
}
