//! Stores, from outside: the contract of every implementation, and for the embedded one also what it refuses, how it fails,
//! and what survives a kill.
#![allow(missing_docs)]

mod blobs;
mod child;
mod contract;
mod kill;
mod kill_logs;
mod logs;
mod opening;
mod records;
mod write_errors;

use std::path::Path;

use anomalyd::store::{
    EmbeddedStore, Pointer, PointerSwap, Record, Revision, Store, StoreOptions, Swap,
};

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, StoreOptions::default()).expect("the store opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn get(store: &impl Store, key: &[u8]) -> Option<Pointer> {
    store.get_pointer(key).await.expect("a readable record")
}

async fn swap(store: &impl Store, key: &[u8], expected: Option<Revision>, value: &[u8]) -> Swap {
    let swap = PointerSwap::put(key, expected, Record::new(value.to_vec()));
    let outcome = store.swap_pointer(&swap).await;
    outcome.expect("a swap with an outcome")
}

async fn remove(store: &impl Store, key: &[u8], expected: Revision) -> Swap {
    let swap = PointerSwap::remove(key, expected);
    let outcome = store.swap_pointer(&swap).await;
    outcome.expect("a swap with an outcome")
}

/// Writes over whatever is there, and returns the new revision.
async fn put(store: &impl Store, key: &[u8], record: Record) -> Revision {
    let expected = get(store, key).await.map(|pointer| pointer.revision);
    let swap = PointerSwap::put(key, expected, record);
    let outcome = store.swap_pointer(&swap).await;
    assert_eq!(outcome.expect("a swap with an outcome"), Swap::Done);
    get(store, key).await.expect("just written").revision
}

/// The names of the files in a folder.
fn file_names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("a plain name")
        })
        .collect()
}
