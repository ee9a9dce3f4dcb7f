//! A store in one local folder: `lock`, `token.key`, `meta/` (a sled database), `blobs/`, and `logs/` once there is a log.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::blob_folder::{self, BlobFolder};
use super::committer::{Committer, CommitterThread};
use super::embedded_reader::EmbeddedBlobReader;
use super::embedded_writer::EmbeddedBlobWriter;
use super::files::{self, FolderLock};
use super::logs::{Answer, Logs};
use super::sled_records::{OpenDatabase, SledRecords};
use super::{
    BlobName, BlobRef, Entry, LogBounds, LogEntry, LogName, Pointer, PointerSwap, Retain, Store,
    StoreError, Swap, TokenHasher, TokenKey, token_key,
};

const LOCK: &str = "lock";
const META: &str = "meta";
const BLOBS: &str = "blobs";
const LOGS: &str = "logs";

/// How to open an [`EmbeddedStore`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How much memory the database may use for its cache, in bytes.
    pub cache_bytes: u64,
    /// The key under which tokens are hashed; `None` takes the one in the folder, which is created with the store. A given
    /// key is never written to the folder, and from then on the store opens with that key alone.
    pub token_key: Option<TokenKey>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            token_key: None,
        }
    }
}

/// A store in one folder. Dropping it makes everything durable and closes it, which blocks for a moment.
pub struct EmbeddedStore {
    // dropped first: its last flush needs the database
    thread: CommitterThread,
    inner: Arc<Inner>,
    token_hasher: TokenHasher,
    folder: PathBuf,
}

/// The state shared with work on other threads. It may outlive the store for a moment, and holds the lock until
/// that work is done.
pub(super) struct Inner {
    records: SledRecords,
    blobs: BlobFolder,
    /// The blobs whose hash need not be checked when they are opened: this process wrote them or has checked them.
    verified: Mutex<HashSet<BlobName>>,
    /// The blobs that existed when the store was opened and have not been swept yet. Newer ones are left alone: a record
    /// may be about to refer to them.
    unswept: Mutex<HashSet<BlobName>>,
    /// Opened with the store, or created with the first log.
    logs: OnceCell<Logs>,
    _lock: FolderLock,
}

impl Inner {
    /// Notes that a blob matches its reference.
    pub(super) fn set_verified(&self, name: BlobName) {
        self.lock_verified().insert(name);
    }

    fn open_blob(&self, blob: &BlobRef) -> Result<EmbeddedBlobReader, StoreError> {
        let file = self.blobs.open_file(blob)?;
        if !self.lock_verified().contains(&blob.name) {
            self.blobs.verify(blob, &file)?;
            self.set_verified(blob.name);
        }
        Ok(EmbeddedBlobReader::new(file, blob.size))
    }

    fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.lock_verified().remove(&name);
        self.blobs.delete(name)
    }

    /// Deletes the blobs that existed at the opening and are not `referenced`. Returns their number.
    fn sweep_blobs(&self, referenced: &HashSet<BlobName>) -> Result<usize, StoreError> {
        let mut unswept = self.unswept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut n_deleted = 0;
        for &name in unswept.difference(referenced) {
            self.delete_blob(name)?;
            n_deleted += 1;
        }
        unswept.clear();
        Ok(n_deleted)
    }

    fn lock_verified(&self) -> std::sync::MutexGuard<'_, HashSet<BlobName>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EmbeddedStore {
    /// Opens the store in a folder, or makes a new one. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] when another process uses the folder, when the token key is missing or the wrong one,
    /// or when the database is gone while the blobs are there; [`StoreError::Damaged`] when the database cannot be
    /// recovered.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::open_with(folder, options, OpenDatabase::flusher)
    }

    fn open_with<F: FnMut() -> Result<(), StoreError> + Send + 'static>(
        folder: &Path,
        options: StoreOptions,
        flusher: impl FnOnce(&OpenDatabase) -> Result<F, StoreError>,
    ) -> Result<Self, StoreError> {
        files::create_folder(folder).map_err(StoreError::io("make the folder of the store"))?;
        // sled reads its own path again later
        let folder = &folder
            .canonicalize()
            .map_err(StoreError::io("find the folder of the store"))?;
        let lock = files::lock(&folder.join(LOCK))?;
        let blobs = BlobFolder::open(folder.join(BLOBS))?;
        refuse_orphans(folder)?;
        let database = OpenDatabase::open(folder, META, options.cache_bytes)?;

        let recorded = database.fingerprint()?;
        let key = token_key::find(folder, options.token_key, recorded.as_deref())?;
        let token_hasher = TokenHasher::new(&key);
        let last_revision = database.begin(&token_hasher.fingerprint())?;

        let thread = CommitterThread::start(last_revision, None, flusher(&database)?)
            .map_err(StoreError::io("start the committer thread"))?;
        let records = SledRecords::new(database, last_revision, thread.committer().clone());
        let unswept = Mutex::new(blobs.list()?.into_iter().collect());
        let logs = folder.join(LOGS);
        let logs = match logs.exists() {
            true => Some(Logs::open(&logs, thread.committer().clone())?),
            false => None,
        };
        Ok(Self {
            thread,
            inner: Arc::new(Inner {
                records,
                blobs,
                verified: Mutex::default(),
                unswept,
                logs: OnceCell::new_with(logs),
                _lock: lock,
            }),
            token_hasher,
            folder: folder.clone(),
        })
    }

    /// Runs blocking work on a thread for it.
    async fn blocking<T: Send + 'static>(
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

/// Refuses to make a new database beside old blobs: nothing would refer to them, and a sweep would
/// delete them.
fn refuse_orphans(folder: &Path) -> Result<(), StoreError> {
    if folder.join(META).exists() {
        return Ok(());
    }
    let names =
        blob_folder::names(&folder.join(BLOBS)).map_err(StoreError::io("list the blobs"))?;
    if names.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "{} is missing, but {} blobs are there: put it back from a backup, or give this server an empty folder",
        folder.join(META).display(),
        names.len()
    )))
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
        let (references, number) = self.blocking(|inner| inner.records.references()).await?;
        // until the records are durable, a crash may bring back older ones and what they refer to
        self.thread.committer().durable(number).await?;
        let sweep = self.blocking(move |inner| {
            let n_blobs = inner.sweep_blobs(&references.blobs)?;
            let logs = inner.logs.get().map(|logs| logs.sweep(&references.logs));
            let (n_logs, number) = logs.transpose()?.unwrap_or_default();
            Ok((n_blobs + n_logs, number))
        });
        let (n_deleted, number) = sweep.await?;
        if let Some(logs) = self.inner.logs.get() {
            logs.committer().durable(number).await?;
        }
        Ok(n_deleted)
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
        self.blocking(move |inner| inner.open_blob(&blob)).await
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
        let open = || {
            let (folder, main) = (self.folder.join(LOGS), self.thread.committer().clone());
            self.blocking(move |_| Logs::open(&folder, main))
        };
        self.inner.logs.get_or_try_init(open).await?;
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
