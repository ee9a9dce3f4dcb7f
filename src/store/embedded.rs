//! A store in one local folder: `lock`, `token.key`, `reserve`, `meta/` (a sled database) and its mark `meta.mark`, `blobs/`, and
//! once they are needed `logs/` with `logs.mark`, `quarantine/`, `accepted-losses` and `audit.jsonl`. A server that uses it adds
//! `control.sock`.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::blob_folder::BlobFolder;
use super::committer::{Committer, CommitterThread};
use super::deletions::Disposal;
use super::embedded_reader::EmbeddedBlobReader;
use super::embedded_writer::EmbeddedBlobWriter;
use super::files::{self, FolderLock};
use super::layout::Layout;
use super::logs::{Answer, Logs};
use super::opening::{self, Opened};
use super::quarantine::Quarantine;
use super::references::References;
use super::sled_ledger::Ledger;
use super::sled_records::SledRecords;
use super::state::StoreId;
use super::{
    BlobName, BlobRef, Entry, LogBounds, LogEntry, LogName, Pointer, PointerSwap, Retain, Store,
    StoreError, Swap, TokenHasher, TokenKey, reserve,
};

/// How to open an [`EmbeddedStore`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How much memory the database may use for its cache, in bytes.
    pub cache_bytes: u64,
    /// The key under which tokens are hashed; `None` takes the one in the folder, which is created with the store. A given
    /// key is never written to the folder, and from then on the store opens with that key alone.
    pub token_key: Option<TokenKey>,
    /// How long blobs that no record refers to are kept before a sweep deletes them.
    pub quarantine: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            token_key: None,
            quarantine: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// A store in one folder. Dropping it makes everything durable and closes it, which blocks for a moment.
pub struct EmbeddedStore {
    // dropped first: its last flush needs the database
    thread: CommitterThread,
    inner: Arc<Inner>,
    token_hasher: TokenHasher,
}

/// The state shared with work on other threads. It may outlive the store for a moment, and holds the lock until
/// that work is done.
pub(super) struct Inner {
    pub(super) layout: Layout,
    store: StoreId,
    /// The fingerprint of the token key.
    pub(super) fingerprint: [u8; 16],
    pub(super) records: SledRecords,
    blobs: BlobFolder,
    /// The blobs that existed when the store was opened and have not been swept yet. Newer ones are left alone: a record
    /// may be about to refer to them.
    unswept: Mutex<HashSet<BlobName>>,
    /// Opened with the store, or created with the first log.
    pub(super) logs: OnceCell<Logs>,
    pub(super) disposal: Disposal,
    /// How long files stay in the quarantine.
    quarantined_for: Duration,
    _lock: FolderLock,
}

impl Inner {
    fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.disposal
            .deletions
            .delete(self.blobs.path(name))
            .map_err(StoreError::io("delete a blob"))
    }

    /// Moves the blobs that existed at the opening and that no record refers to into the quarantine. Returns their number.
    fn sweep_blobs(&self, references: &References) -> Result<usize, StoreError> {
        let mut unswept = lock(&self.unswept);
        let mut n_swept = 0;
        for &name in unswept.iter().filter(|name| !references.has_blob(**name)) {
            self.disposal.quarantine.take_in(&self.blobs.path(name))?;
            n_swept += 1;
        }
        unswept.clear();
        Ok(n_swept)
    }

    /// Whether nothing is left to sweep.
    fn is_swept(&self) -> bool {
        lock(&self.unswept).is_empty() && self.logs.get().is_none_or(Logs::is_swept)
    }
}

/// The sets above are changed by single insertions and removals, so a panic leaves none half changed.
fn lock<T>(set: &Mutex<HashSet<T>>) -> MutexGuard<'_, HashSet<T>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedStore {
    /// Opens the store in a folder, or makes a new one. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] when another process uses the folder, when the token key is missing or the wrong one, or when
    /// anything that was acknowledged is missing or behind; the message says what, and what to do.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let store = reserve::open_with_it(folder, || {
            Self::open_with(folder, options.clone(), |ledger| move || ledger.flush())
        })?;
        reserve::keep(folder);
        Ok(store)
    }

    fn open_with<F: FnMut() -> Result<(), StoreError> + Send + 'static>(
        folder: &Path,
        options: StoreOptions,
        flusher: impl FnOnce(Arc<Ledger>) -> F,
    ) -> Result<Self, StoreError> {
        files::create_folder(folder).map_err(StoreError::io("make the folder of the store"))?;
        // sled reads its own path again later
        let folder = folder
            .canonicalize()
            .map_err(StoreError::io("find the folder of the store"))?;
        let layout = Layout::new(&folder);
        let lock = files::lock(&layout.lock())?;
        layout.remove_leftovers()?;
        let blobs = BlobFolder::open(layout.blobs())?;
        let Opened {
            store,
            token_hasher,
            records,
            heads,
        } = opening::open(&layout, options.cache_bytes, options.token_key)?;

        let durable = records.turn().revision();
        let flush = flusher(Arc::clone(&records));
        let thread = CommitterThread::start(durable, None, flush)
            .map_err(StoreError::io("start the committer thread"))?;
        let committer = thread.committer();
        let unswept = blobs.list()?.into_iter().collect();
        let disposal = Disposal {
            deletions: Arc::default(),
            quarantine: Quarantine::new(layout.quarantine()),
        };
        let logs = match heads {
            Some((heads, known)) => {
                let main = Arc::clone(committer);
                Some(Logs::start(&layout.logs(), heads, known, &disposal, main)?)
            }
            None => None,
        };
        let inner = Arc::new(Inner {
            store,
            fingerprint: token_hasher.fingerprint(),
            records: SledRecords::new(records, durable, Arc::clone(committer)),
            blobs,
            unswept: Mutex::new(unswept),
            logs: OnceCell::new_with(logs),
            disposal,
            quarantined_for: options.quarantine,
            layout,
            _lock: lock,
        });
        Ok(Self {
            thread,
            inner,
            token_hasher,
        })
    }

    /// The folder of the store, as an absolute path.
    pub fn folder(&self) -> &Path {
        self.inner.layout.root()
    }

    pub(super) fn committer(&self) -> &Arc<Committer> {
        self.thread.committer()
    }

    /// The committer of the logs, if there are any.
    pub(super) fn log_committer(&self) -> Option<&Arc<Committer>> {
        self.inner.logs.get().map(Logs::committer)
    }

    /// Runs blocking work on a thread for it.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thread.committer().check()?;
        let inner = self.inner.clone();
        let worked = spawn_blocking(move || work(&inner)).await;
        worked.map_err(StoreError::panicked)?
    }

    /// Runs blocking work on the logs, and waits until what it found or changed is durable. `LogNotFound` if there are no
    /// logs at all.
    async fn on_logs<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Logs) -> Result<Answer<T>, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thread.committer().check()?;
        let Some(logs) = self.inner.logs.get() else {
            return Err(StoreError::LogNotFound);
        };
        let inner = Arc::clone(&self.inner);
        let worked = spawn_blocking(move || match inner.logs.get() {
            Some(logs) => work(logs),
            None => Err(StoreError::LogNotFound),
        });
        let answer = worked.await.map_err(StoreError::panicked)??;
        match answer.found {
            // number 0: only durable data was read
            Ok(found) if answer.number == 0 => logs.committer().check().map(|()| found),
            Ok(found) => durable(logs.committer(), answer.number)
                .await
                .map(|()| found),
            Err(error) => {
                logs.committer().durable(answer.number).await?;
                Err(error)
            }
        }
    }
}

/// Waits until an applied write is durable. A failure means that it may or may not have reached the
/// disk.
async fn durable(committer: &Committer, number: u64) -> Result<(), StoreError> {
    match committer.durable(number).await {
        Err(StoreError::Failed { cause }) => Err(StoreError::Unknown { cause }),
        result => result,
    }
}

/// For `map_err`: a write that panicked may or may not have been applied.
fn unknown_if_panicked(error: StoreError) -> StoreError {
    match error {
        StoreError::Panicked { cause } => StoreError::Unknown { cause },
        error => error,
    }
}

impl Store for EmbeddedStore {
    type BlobWriter = EmbeddedBlobWriter;
    type BlobReader = EmbeddedBlobReader;

    fn token_hasher(&self) -> &TokenHasher {
        &self.token_hasher
    }

    async fn failed(&self) -> StoreError {
        self.thread.committer().failed().await
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        self.blocking(|inner| inner.disposal.quarantine.purge(inner.quarantined_for))
            .await?;
        if self.inner.is_swept() {
            return Ok(0);
        }
        let (references, number) = self.blocking(|inner| inner.records.references()).await?;
        // until the records are durable, a crash may bring back older ones and what they refer to
        self.thread.committer().durable(number).await?;
        let sweep = self.blocking(move |inner| {
            let n_blobs = inner.sweep_blobs(&references)?;
            let logs = inner.logs.get().map(|logs| logs.sweep(&references));
            let (n_logs, number) = logs.transpose()?.unwrap_or_default();
            Ok((n_blobs + n_logs, number))
        });
        let (n_swept, number) = sweep.await?;
        if let Some(logs) = self.inner.logs.get() {
            logs.committer().durable(number).await?;
        }
        Ok(n_swept)
    }

    async fn put_blob(&self, bytes: Vec<u8>) -> Result<BlobRef, StoreError> {
        let put = self.blocking(move |inner| inner.blobs.put(&bytes));
        Ok(put.await?.claim())
    }

    async fn get_blob(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        let blob = blob.clone();
        self.blocking(move |inner| inner.blobs.get(&blob)).await
    }

    async fn begin_blob(&self) -> Result<EmbeddedBlobWriter, StoreError> {
        let blob = self.blocking(|inner| inner.blobs.begin()).await?;
        let committer = Arc::clone(self.thread.committer());
        Ok(EmbeddedBlobWriter::new(
            committer,
            Arc::clone(&self.inner),
            blob,
        ))
    }

    async fn open_blob(&self, blob: &BlobRef) -> Result<EmbeddedBlobReader, StoreError> {
        let blob = blob.clone();
        self.blocking(move |inner| inner.blobs.open_blob(&blob))
            .await
    }

    async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.delete_blob(name)).await
    }

    async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
        let (pointer, number) = self.inner.records.get(key)?;
        self.thread.committer().durable(number).await?;
        Ok(pointer)
    }

    async fn swap_pointer(&self, swap: &PointerSwap) -> Result<Swap, StoreError> {
        let swap = swap.clone();
        let swap = self.blocking(move |inner| inner.records.swap(&swap));
        let Some(number) = swap.await.map_err(unknown_if_panicked)? else {
            return Ok(Swap::Lost);
        };
        durable(self.thread.committer(), number).await?;
        Ok(Swap::Done)
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let prefix = prefix.to_vec();
        let after = after.map(<[u8]>::to_vec);
        let (records, number) = self
            .blocking(move |inner| inner.records.scan(&prefix, after.as_deref(), limit))
            .await?;
        self.thread.committer().durable(number).await?;
        Ok(records)
    }

    async fn create_log(&self) -> Result<LogName, StoreError> {
        let create = || {
            let main = Arc::clone(self.thread.committer());
            self.blocking(move |inner| {
                let heads = opening::create_heads(&inner.layout, inner.store)?;
                let folder = inner.layout.logs();
                Logs::start(&folder, heads, Vec::new(), &inner.disposal, main)
            })
        };
        self.inner.logs.get_or_try_init(create).await?;
        self.on_logs(|logs| Ok(logs.create())).await
    }

    async fn append(&self, log: LogName, entries: Vec<Bytes>) -> Result<Vec<u64>, StoreError> {
        let appended = self.on_logs(move |logs| logs.append(log, &entries));
        appended.await.map_err(unknown_if_panicked)
    }

    async fn read_log(
        &self,
        log: LogName,
        from: u64,
        n_entries: usize,
        n_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.on_logs(move |logs| logs.read(log, from, n_entries, n_bytes))
            .await
    }

    async fn log_bounds(&self, log: LogName) -> Result<LogBounds, StoreError> {
        self.on_logs(move |logs| logs.bounds(log)).await
    }

    async fn trim_log(&self, log: LogName, retain: Retain) -> Result<(), StoreError> {
        self.on_logs(move |logs| logs.trim(log, retain)).await
    }

    async fn delete_log(&self, log: LogName) -> Result<(), StoreError> {
        let deleted = self.on_logs(move |logs| logs.delete(log)).await;
        match deleted {
            Err(StoreError::LogNotFound) => Ok(()),
            result => result,
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
