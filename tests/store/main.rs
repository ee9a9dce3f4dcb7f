//! The embedded store, from outside: what it keeps, what it refuses, and what survives a kill.
#![allow(missing_docs)]

mod blobs;
mod child;
mod kill;
mod opening;
mod records;
mod write_errors;

use std::path::Path;

use anomalyd::store::{EmbeddedStore, Pointer, Revision, Store, StoreOptions, Swap};

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, StoreOptions::default()).expect("the store opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn get(store: &EmbeddedStore, key: &[u8]) -> Option<Pointer> {
    store.get_pointer(key).await.expect("a readable record")
}

async fn swap(
    store: &EmbeddedStore,
    key: &[u8],
    expected: Option<Revision>,
    value: Option<&[u8]>,
) -> Swap {
    store
        .swap_pointer(key, expected, value.map(<[u8]>::to_vec))
        .await
        .expect("a swap with an outcome")
}

/// Writes whatever is there, and returns the new revision.
async fn put(store: &EmbeddedStore, key: &[u8], value: &[u8]) -> Revision {
    let expected = get(store, key).await.map(|pointer| pointer.revision);
    assert_eq!(swap(store, key, expected, Some(value)).await, Swap::Done);
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
