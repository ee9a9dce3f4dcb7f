//! The store in one folder of one machine: `lock`, `token.key`, `meta/` (a sled database) and `blobs/`.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

use super::blob_folder::{self, BlobFolder};
use super::committer::CommitterThread;
use super::embedded_writer::EmbeddedBlobWriter;
use super::files::{self, FolderLock};
use super::sled_records::{OpenDatabase, SledRecords};
use super::{
    BlobName, BlobRef, Entry, Pointer, Revision, Store, StoreError, Swap, TokenHasher, TokenKey,
    token_key,
};

const LOCK: &str = "lock";
const META: &str = "meta";
const BLOBS: &str = "blobs";

/// How to open an [`EmbeddedStore`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How much memory the database may use for its cache, in bytes.
    pub cache_bytes: u64,
    /// The key under which tokens are hashed; `None` takes the one in the folder, which is made once.
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
}

/// What work on other threads shares. It may outlive the store for a moment, and keeps the lock until it is done.
pub(super) struct Inner {
    records: SledRecords,
    blobs: BlobFolder,
    /// The blobs whose hash need not be checked when they are opened: this process wrote them or has checked them.
    verified: Mutex<HashSet<BlobName>>,
    _lock: FolderLock,
}

impl Inner {
    /// Notes that a blob is what its reference says.
    pub(super) fn set_verified(&self, name: BlobName) {
        self.lock_verified().insert(name);
    }

    fn open_blob(&self, blob: &BlobRef) -> Result<File, StoreError> {
        let file = self.blobs.open_file(blob)?;
        if !self.lock_verified().contains(&blob.name) {
            self.blobs.verify(blob, &file)?;
            self.set_verified(blob.name);
        }
        Ok(file)
    }

    fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.lock_verified().remove(&name);
        self.blobs.delete(name)
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
    /// [`StoreError::Refused`] when another process uses the folder, when the token key is missing or another, or when
    /// the database is gone while the blobs are there; [`StoreError::Damaged`] when the database cannot be recovered.
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

        let thread = CommitterThread::start(last_revision, flusher(&database)?)
            .map_err(StoreError::io("start the committer thread"))?;
        let records = SledRecords::new(database, last_revision, thread.committer().clone());
        Ok(Self {
            thread,
            inner: Arc::new(Inner {
                records,
                blobs,
                verified: Mutex::default(),
                _lock: lock,
            }),
            token_hasher,
        })
    }

    /// What turns the tokens of this store into owners.
    pub fn token_hasher(&self) -> &TokenHasher {
        &self.token_hasher
    }

    /// Waits, usually for ever, until the store has failed: then nothing can be served any more, and the server stops.
    pub fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        self.thread.committer().failed()
    }

    /// Runs blocking work on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thread.committer().check()?;
        let inner = self.inner.clone();
        match spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Failed {
                cause: error.to_string().into(),
            }),
        }
    }
}

/// A new database beside old blobs would make them all unreferenced, and the sweep would delete them.
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

    async fn open_blob(&self, blob: &BlobRef) -> Result<File, StoreError> {
        let blob = blob.clone();
        self.blocking(move |inner| inner.open_blob(&blob)).await
    }

    async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.blocking(move |inner| inner.delete_blob(name)).await
    }

    async fn list_blobs(&self) -> Result<Vec<BlobName>, StoreError> {
        self.blocking(|inner| inner.blobs.list()).await
    }

    async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
        let (pointer, number) = self.inner.records.get(key)?;
        self.thread.committer().durable(number).await?;
        Ok(pointer)
    }

    async fn swap_pointer(
        &self,
        key: &[u8],
        expected: Option<Revision>,
        value: Option<Vec<u8>>,
    ) -> Result<Swap, StoreError> {
        let key = key.to_vec();
        self.thread.committer().check()?;
        let inner = self.inner.clone();
        let applied = spawn_blocking(move || inner.records.swap(&key, expected, value.as_deref()));
        let number = match applied.await {
            Ok(result) => result?,
            Err(error) => {
                return Err(StoreError::Unknown {
                    cause: error.to_string().into(),
                });
            }
        };
        let Some(number) = number else {
            return Ok(Swap::Lost);
        };
        match self.thread.committer().durable(number).await {
            Ok(()) => Ok(Swap::Done),
            // it was applied, and may have reached the disk all the same
            Err(StoreError::Failed { cause }) => Err(StoreError::Unknown { cause }),
            Err(error) => Err(error),
        }
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
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn nothing_is_acknowledged_or_shown_before_it_is_durable() {
        let folder = tempfile::tempdir().expect("a folder");
        let (begun, begins) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let store = EmbeddedStore::open_with(folder.path(), StoreOptions::default(), |database| {
            let mut flush = database.flusher()?;
            Ok(move || {
                begun.send(()).expect("the test listens");
                let result: Result<(), StoreError> = may_go.recv().expect("the test answers");
                result.and_then(|()| flush())
            })
        });
        let store = Arc::new(store.expect("it opens"));
        let swap = |expected, value| {
            let store = store.clone();
            tokio::spawn(async move { store.swap_pointer(b"k", expected, value).await })
        };
        let pending = async |read: &mut (dyn Future<Output = ()> + Unpin)| {
            tokio::time::timeout(Duration::from_millis(20), read)
                .await
                .is_err()
        };

        let write = swap(None, Some(vec![1]));
        while begins.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // applied and in the midst of its flush
        let mut read = Box::pin(async {
            let pointer = store.get_pointer(b"k").await.expect("readable");
            assert_eq!(pointer.expect("there").value, [1]);
        });
        let mut scan = Box::pin(async {
            let entries = store.scan(b"", None, 10).await.expect("readable");
            assert_eq!(entries.len(), 1);
        });
        assert!(pending(&mut read).await && pending(&mut scan).await && !write.is_finished());
        go.send(Ok(())).expect("the flush waits");
        assert_eq!(
            write.await.expect("no panic").expect("an outcome"),
            Swap::Done
        );
        read.await;
        scan.await;

        let revision = store
            .get_pointer(b"k")
            .await
            .expect("readable")
            .map(|p| p.revision);
        let delete = swap(revision, None);
        while begins.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let mut read = Box::pin(async {
            let error = store
                .get_pointer(b"k")
                .await
                .expect_err("it may still be there");
            assert!(matches!(error, StoreError::Failed { .. }));
        });
        assert!(pending(&mut read).await && !delete.is_finished());
        let error = StoreError::io("flush")(std::io::Error::other("disk gone"));
        go.send(Err(error)).expect("the flush waits");
        let outcome = delete.await.expect("no panic");
        assert!(
            matches!(outcome, Err(StoreError::Unknown { .. })),
            "{outcome:?}"
        );
        read.await;
    }
}
