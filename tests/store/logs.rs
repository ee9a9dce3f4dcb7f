//! The files of logs: crashes and damage.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anomalyd::store::{EmbeddedStore, LogName, Record, Retain, Store, StoreError, StoreOptions};

use crate::store::{file_names, folder, open, put};

/// A store with a log of `n_entries` entries of a kilobyte each.
async fn with_log(folder: &Path, n_entries: usize) -> LogName {
    let store = open(folder);
    let log = store.create_log().await.expect("a log");
    let record = Record {
        logs: vec![log],
        ..Record::new(Vec::new())
    };
    put(&store, b"k", record).await;
    append(&store, log, n_entries).await;
    log
}

async fn append(store: &EmbeddedStore, log: LogName, n_entries: usize) {
    let entries = (0..n_entries).map(|i| vec![i as u8; 1000].into());
    store
        .append(log, entries.collect())
        .await
        .expect("appended");
}

async fn n_entries(store: &EmbeddedStore, log: LogName) -> usize {
    let read = store.read_log(log, 1, usize::MAX, usize::MAX).await;
    read.expect("readable").len()
}

/// The files of the segments, oldest first.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let logs = folder.join("logs");
    let mut names = file_names(&logs);
    names.retain(|name| name != "heads");
    names.sort();
    names.into_iter().map(|name| logs.join(name)).collect()
}

fn refusal(folder: &Path) -> String {
    match EmbeddedStore::open(folder, StoreOptions::default()) {
        Err(error @ (StoreError::Damaged { .. } | StoreError::Refused(_))) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn a_store_without_logs_has_no_files_for_them() {
    let folder = folder();
    let store = open(folder.path());
    store.put_blob(vec![1]).await.expect("a blob");
    assert!(!folder.path().join("logs").exists());
}

#[tokio::test]
async fn bytes_that_were_never_acknowledged_are_cut_off() {
    let folder = folder();
    let log = with_log(folder.path(), 10).await;
    // as left by a kill during an append, and during the first one to a new segment
    let [segment] = &segments(folder.path())[..] else {
        panic!("one segment");
    };
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(segment)
        .expect("there");
    file.write_all(&[7; 500]).expect("writable");
    let stray = folder.path().join(format!("logs/{log}.{:016x}", 11));
    fs::write(&stray, [7; 500]).expect("writable");

    let store = open(folder.path());
    assert!(!stray.exists());
    assert_eq!(n_entries(&store, log).await, 10);
    append(&store, log, 1).await;
    assert_eq!(n_entries(&store, log).await, 11);
    let length = fs::metadata(segment).expect("there").len();
    assert_eq!(length, 11 * 1008);
}

#[tokio::test]
async fn lost_entries_are_reported_as_damage() {
    let folder = folder();
    let log = with_log(folder.path(), 2500).await;
    let store = open(folder.path());
    append(&store, log, 2500).await;
    drop(store);
    let files = segments(folder.path());
    assert_eq!(files.len(), 2);
    for file in files {
        let whole = fs::read(&file).expect("readable");
        fs::write(&file, &whole[..whole.len() - 1]).expect("writable");
        let message = refusal(folder.path());
        assert!(message.contains("were acknowledged"), "{message}");
        fs::remove_file(&file).expect("removable");
        let message = refusal(folder.path());
        assert!(message.contains("is missing"), "{message}");

        let mut turned = whole.clone();
        turned[whole.len() / 2] ^= 1;
        fs::write(&file, turned).expect("writable");
        let store = open(folder.path());
        let read = store.read_log(log, 1, usize::MAX, usize::MAX).await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        drop(store);
        fs::write(&file, &whole).expect("writable");
    }
    assert_eq!(n_entries(&open(folder.path()), log).await, 5000);

    fs::remove_dir_all(folder.path().join("logs/heads")).expect("removable");
    let message = refusal(folder.path());
    assert!(
        message.contains("logs/heads: it is missing; acknowledged was write"),
        "{message}"
    );
    // not even if the mark is gone, too
    fs::remove_file(folder.path().join("logs.mark")).expect("removable");
    let message = refusal(folder.path());
    assert!(
        message.contains("2 segments of logs are there"),
        "{message}"
    );
    assert_eq!(segments(folder.path()).len(), 2, "nothing is deleted");
}

#[tokio::test]
async fn dropped_and_deleted_entries_free_their_space() {
    let folder = folder();
    let log = with_log(folder.path(), 0).await;
    let store = open(folder.path());
    for _ in 0..40 {
        append(&store, log, 500).await;
        let trimmed = store.trim_log(log, Retain::Bytes(3 << 20)).await;
        trimmed.expect("trimmed");
    }
    let size: u64 = segments(folder.path())
        .iter()
        .map(|file| fs::metadata(file).expect("there").len())
        .sum();
    assert!((3 << 20..5 << 20).contains(&size), "{size}");
    store.delete_log(log).await.expect("deleted");
    assert!(segments(folder.path()).is_empty());
}

/// More logs than stay open, each used in turn.
#[tokio::test]
async fn a_store_holds_more_logs_than_it_keeps_open() {
    const LOGS: usize = 600;
    let folder = folder();
    let store = std::sync::Arc::new(open(folder.path()));
    let mut making = tokio::task::JoinSet::new();
    for _ in 0..LOGS {
        let store = store.clone();
        making.spawn(async move { store.create_log().await.expect("a log") });
    }
    let logs = making.join_all().await;
    for round in 1..=2 {
        let mut appending = tokio::task::JoinSet::new();
        for &log in &logs {
            let store = store.clone();
            appending.spawn(async move { store.append(log, vec![vec![round].into()]).await });
        }
        for numbers in appending.join_all().await {
            assert_eq!(numbers.expect("appended"), [u64::from(round)]);
        }
        for &log in &logs {
            assert_eq!(n_entries(&store, log).await, usize::from(round));
        }
    }
    let n_open = file_names(Path::new("/proc/self/fd")).len();
    assert!(n_open < LOGS, "{n_open} open files");
}
