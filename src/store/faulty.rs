//! A store for tests that can be held up, whose swaps can lose their outcome, and that can panic.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    BlobName, BlobRef, Entry, LogBounds, LogEntry, LogName, Pointer, PointerSwap, Retain, Store,
    StoreError, Swap, TokenHasher,
};

/// What goes wrong with a swap.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It takes effect, but its outcome is lost.
    UnknownButDone,
    /// It does not take effect, and its outcome is lost.
    UnknownAndNotDone,
    /// The store is unavailable.
    Unavailable,
    /// It panics.
    Panic,
}

/// A store in front of another one.
pub(crate) struct Faulty<S> {
    pub(crate) inner: S,
    /// The faults of the next swaps, in order.
    faults: Mutex<VecDeque<Fault>>,
    holds_reads: AtomicBool,
    panics_at_close: AtomicBool,
    reached: Notify,
    go: Notify,
}

impl<S: Store> Faulty<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            faults: Mutex::default(),
            holds_reads: AtomicBool::new(false),
            panics_at_close: AtomicBool::new(false),
            reached: Notify::new(),
            go: Notify::new(),
        }
    }

    /// Injects faults into the next swaps.
    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut queue = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(faults);
    }

    /// Holds up the reads of blobs from now on.
    pub(crate) fn hold_reads(&self) {
        self.holds_reads.store(true, Ordering::SeqCst);
    }

    /// Panics when it is dropped.
    pub(crate) fn panic_at_close(&self) {
        self.panics_at_close.store(true, Ordering::SeqCst);
    }

    /// Waits until a read is held up.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the held-up read continue.
    pub(crate) fn go(&self) {
        self.go.notify_one();
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut queue = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    }
}

impl<S> Drop for Faulty<S> {
    fn drop(&mut self) {
        assert!(!self.panics_at_close.load(Ordering::SeqCst), "as asked");
    }
}

impl<S: Store> Store for Faulty<S> {
    type BlobWriter = S::BlobWriter;
    type BlobReader = S::BlobReader;

    async fn swap_pointer(&self, swap: &PointerSwap) -> Result<Swap, StoreError> {
        let cause = "a fault".into();
        match self.next_fault() {
            None => self.inner.swap_pointer(swap).await,
            Some(Fault::UnknownButDone) => {
                self.inner.swap_pointer(swap).await?;
                Err(StoreError::Unknown { cause })
            }
            Some(Fault::UnknownAndNotDone) => Err(StoreError::Unknown { cause }),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable { cause }),
            Some(Fault::Panic) => panic!("as asked"),
        }
    }

    async fn get_blob(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        if self.holds_reads.load(Ordering::SeqCst) {
            self.reached.notify_one();
            self.go.notified().await;
        }
        self.inner.get_blob(blob).await
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
    async fn begin_blob(&self) -> Result<Self::BlobWriter, StoreError> {
        self.inner.begin_blob().await
    }
    async fn open_blob(&self, blob: &BlobRef) -> Result<Self::BlobReader, StoreError> {
        self.inner.open_blob(blob).await
    }
    async fn delete_blob(&self, name: BlobName) -> Result<(), StoreError> {
        self.inner.delete_blob(name).await
    }
    async fn get_pointer(&self, key: &[u8]) -> Result<Option<Pointer>, StoreError> {
        self.inner.get_pointer(key).await
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
