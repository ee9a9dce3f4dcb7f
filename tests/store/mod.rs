//! Stores, from outside: the contract of every implementation, and for the embedded one also what it refuses, how it fails,
//! and what survives a kill.
#![allow(missing_docs)]

mod backups;
mod blobs;
mod child;
mod contract;
mod damage;
mod kill;
mod kill_logs;
mod logs;
mod losses;
mod opening;
mod quarantine;
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

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("copied")),
        }
    }
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
