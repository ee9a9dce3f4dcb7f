//! A server whose store holds up whoever opens a dataset, so that work on datasets waits until it is let go on.

use anomalyd::config::Flags;
use anomalyd::store::{
    BlobName, BlobRef, EmbeddedStore, Entry, LogBounds, LogEntry, LogName, Pointer, PointerSwap,
    Retain, Store, StoreError, StoreOptions, Swap, TokenHasher,
};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;

use super::eventually;
use crate::grpc::harness::Server;

/// What the openings of blobs pass. Open at first.
#[derive(Clone)]
pub(super) struct Gate(watch::Sender<Openings>);

#[derive(Default)]
struct Openings {
    /// How many may still pass; all if it is `None`.
    may_pass: Option<usize>,
    n_waiting: usize,
}

impl Gate {
    /// Holds up all openings from now on.
    pub(super) fn close(&self) {
        self.close_after(0);
    }

    /// Lets so many openings pass, and holds up the others.
    pub(super) fn close_after(&self, n: usize) {
        self.0.send_modify(|openings| openings.may_pass = Some(n));
    }

    /// Lets all openings pass.
    pub(super) fn open(&self) {
        self.0.send_modify(|openings| openings.may_pass = None);
    }

    /// Waits until so many openings are held up.
    pub(super) async fn until_waiting(&self, n: usize) {
        eventually(async || (self.0.borrow().n_waiting == n).then_some(())).await;
    }

    async fn pass(&self) {
        let mut openings = self.0.subscribe();
        let _waiting = Waiting::at(&self.0);
        while !self.0.send_if_modified(Openings::pass) {
            openings.changed().await.expect("the gate is still there");
        }
    }
}

impl Openings {
    /// Whether one more may pass.
    fn pass(&mut self) -> bool {
        match &mut self.may_pass {
            None => true,
            Some(0) => false,
            Some(n) => {
                *n -= 1;
                true
            }
        }
    }
}

/// Counts one who waits, until it passes or gives up.
struct Waiting<'a>(&'a watch::Sender<Openings>);

impl<'a> Waiting<'a> {
    fn at(gate: &'a watch::Sender<Openings>) -> Self {
        gate.send_modify(|openings| openings.n_waiting += 1);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|openings| openings.n_waiting -= 1);
    }
}

/// A server whose datasets are behind a gate.
pub(super) async fn server(configure: impl FnOnce(&mut Flags)) -> (Server, Gate, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gate = Gate(watch::Sender::default());
    let store = Held {
        inner: EmbeddedStore::open(folder.path(), StoreOptions::default()).expect("opens"),
        gate: gate.clone(),
    };
    (Server::over(store, configure).await, gate, folder)
}

/// A store that opens blobs only when they pass the gate.
struct Held {
    inner: EmbeddedStore,
    gate: Gate,
}

impl Store for Held {
    type BlobWriter = <EmbeddedStore as Store>::BlobWriter;
    type BlobReader = <EmbeddedStore as Store>::BlobReader;

    async fn open_blob(&self, blob: &BlobRef) -> Result<Self::BlobReader, StoreError> {
        self.gate.pass().await;
        self.inner.open_blob(blob).await
    }

    fn token_hasher(&self) -> &TokenHasher {
        self.inner.token_hasher()
    }
    async fn failed(&self) -> StoreError {
        self.inner.failed().await
    }
    async fn sweep(&self) -> Result<usize, StoreError> {
        self.inner.sweep().await
    }
    async fn put_blob(&self, bytes: Vec<u8>) -> Result<BlobRef, StoreError> {
        self.inner.put_blob(bytes).await
    }
    async fn get_blob(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        self.inner.get_blob(blob).await
    }
    async fn begin_blob(&self) -> Result<Self::BlobWriter, StoreError> {
        self.inner.begin_blob().await
    }
    async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.inner.delete_blob(name).await
    }
    async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
        self.inner.get_pointer(key).await
    }
    async fn swap_pointer(&self, swap: &PointerSwap) -> Result<Swap, StoreError> {
        self.inner.swap_pointer(swap).await
    }
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(prefix, after, limit).await
    }
    async fn create_log(&self) -> Result<LogName, StoreError> {
        self.inner.create_log().await
    }
    async fn append(&self, log: LogName, entries: Vec<Bytes>) -> Result<Vec<u64>, StoreError> {
        self.inner.append(log, entries).await
    }
    async fn read_log(
        &self,
        log: LogName,
        from: u64,
        n_entries: usize,
        n_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.inner.read_log(log, from, n_entries, n_bytes).await
    }
    async fn log_bounds(&self, log: LogName) -> Result<LogBounds, StoreError> {
        self.inner.log_bounds(log).await
    }
    async fn trim_log(&self, log: LogName, retain: Retain) -> Result<(), StoreError> {
        self.inner.trim_log(log, retain).await
    }
    async fn delete_log(&self, log: LogName) -> Result<(), StoreError> {
        self.inner.delete_log(log).await
    }
}
