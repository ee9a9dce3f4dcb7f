//! The contract of [`Store`]: every test runs over every implementation.

mod blobs;
mod logs;
mod records;
mod sharing;
mod sweep;

use anomalyd::store::{BlobName, EmbeddedStore, MemoryStore, Store, TokenKey};

/// An implementation under test.
pub(crate) trait Subject {
    type Store: Store;

    /// An empty store.
    fn new() -> Self;

    /// Opens it like a process that starts after all others have ended.
    fn open(&self) -> Self::Store;

    /// Changes the stored bytes of a blob, which begin with its content, as a faulty disk would.
    fn change_blob(&self, blob: BlobName, change: impl FnOnce(&mut Vec<u8>));
}

/// The store in a folder.
pub(crate) struct Embedded(tempfile::TempDir);

impl Subject for Embedded {
    type Store = EmbeddedStore;

    fn new() -> Self {
        Self(crate::store::folder())
    }

    fn open(&self) -> EmbeddedStore {
        crate::store::open(self.0.path())
    }

    fn change_blob(&self, blob: BlobName, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.0.path().join("blobs").join(blob.to_string());
        let mut bytes = std::fs::read(&path).expect("the file");
        change(&mut bytes);
        // the same file, which readers may hold open
        std::fs::write(&path, bytes).expect("writable");
    }
}

/// The store in memory.
pub(crate) struct Memory(MemoryStore);

impl Subject for Memory {
    type Store = MemoryStore;

    fn new() -> Self {
        Self(MemoryStore::new(&TokenKey::from_bytes([1; 32])))
    }

    fn open(&self) -> MemoryStore {
        self.0.share()
    }

    fn change_blob(&self, blob: BlobName, change: impl FnOnce(&mut Vec<u8>)) {
        self.0.change_blob(blob, change);
    }
}

/// Makes a test for each implementation from functions that take a [`Subject`].
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(<$crate::store::contract::Embedded as $crate::store::contract::Subject>::new()).await;
            })*
        }
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(<$crate::store::contract::Memory as $crate::store::contract::Subject>::new()).await;
            })*
        }
    };
}

pub(crate) use contract;
