//! Blobs that nothing refers to: kept for a while, brought back if they are referred to again, and deleted at last.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anomalyd::store::{EmbeddedStore, Record, Store as _, StoreOptions};

use crate::store::{copy_folder, file_names, folder, get, open, put};

fn n_quarantined(folder: &Path) -> usize {
    match folder.join("quarantine").exists() {
        true => file_names(&folder.join("quarantine")).len(),
        false => 0,
    }
}

#[tokio::test]
async fn blobs_that_nothing_refers_to_leave_the_store_only_when_their_time_is_over() {
    let folder = folder();
    let store = open(folder.path());
    let stray = store.put_blob(vec![1; 100]).await.expect("a blob");
    let kept = store.put_blob(vec![2; 100]).await.expect("a blob");
    put(
        &store,
        b"k",
        Record::with_blobs(Vec::new(), vec![kept.id()]),
    )
    .await;
    drop(store);

    let store = open(folder.path());
    assert_eq!(store.sweep().await.expect("swept"), 1);
    assert_eq!(store.sweep().await.expect("swept"), 0);
    assert_eq!(n_quarantined(folder.path()), 1);
    store.get_blob(&stray).await.expect_err("out of the store");
    assert_eq!(store.get_blob(&kept).await.expect("kept"), [2; 100]);
    drop(store);
    let options = StoreOptions {
        quarantine: Duration::ZERO,
        ..StoreOptions::default()
    };
    let store = EmbeddedStore::open(folder.path(), options).expect("it opens");
    assert_eq!(n_quarantined(folder.path()), 1, "only a sweep deletes");
    assert_eq!(store.sweep().await.expect("swept"), 0);
    assert_eq!(n_quarantined(folder.path()), 0);
    assert_eq!(store.get_blob(&kept).await.expect("kept"), [2; 100]);
}

/// As when older records, which had been put in the place of newer ones, are replaced by the newer ones again.
#[tokio::test]
async fn a_blob_comes_back_with_the_record_that_refers_to_it() {
    let folder = folder();
    let store = open(folder.path());
    let blob = store.put_blob(vec![1; 100]).await.expect("a blob");
    put(
        &store,
        b"k",
        Record::with_blobs(Vec::new(), vec![blob.id()]),
    )
    .await;
    drop(store);
    let name = blob.name.to_string();
    let (blobs, quarantine) = (
        folder.path().join("blobs"),
        folder.path().join("quarantine"),
    );
    fs::create_dir(&quarantine).expect("writable");
    fs::rename(
        blobs.join(&name),
        quarantine.join(format!("{name}.{:016x}", 7)),
    )
    .expect("moved");

    let store = open(folder.path());
    assert_eq!(store.get_blob(&blob).await.expect("back"), [1; 100]);
    assert_eq!(n_quarantined(folder.path()), 0);
}

#[tokio::test]
async fn older_records_beside_newer_blobs_are_refused_and_no_blob_is_lost() {
    let (folder, older) = (folder(), folder());
    let store = open(folder.path());
    let first = store.put_blob(vec![1]).await.expect("a blob");
    put(&store, b"k", Record::with_blobs(vec![1], vec![first.id()])).await;
    drop(store);
    copy_folder(&folder.path().join("meta"), &older.path().join("meta"));
    let store = open(folder.path());
    let second = store.put_blob(vec![2]).await.expect("a blob");
    put(&store, b"k", Record::with_blobs(vec![2], vec![second.id()])).await;
    drop(store);
    let newer = folder.path().join("newer");
    fs::rename(folder.path().join("meta"), &newer).expect("moved");
    copy_folder(&older.path().join("meta"), &folder.path().join("meta"));

    let error = EmbeddedStore::open(folder.path(), StoreOptions::default());
    let error = error.expect_err("it is behind").to_string();
    for part in [
        "it ends at write 1 of opening 1",
        "acknowledged was write 1 of opening 2",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(file_names(&folder.path().join("blobs")).len(), 2);

    fs::remove_dir_all(folder.path().join("meta")).expect("removable");
    fs::rename(newer, folder.path().join("meta")).expect("moved");
    let store = open(folder.path());
    assert_eq!(get(&store, b"k").await.expect("there").value, [2]);
    assert_eq!(store.get_blob(&second).await.expect("there"), [2]);
}
