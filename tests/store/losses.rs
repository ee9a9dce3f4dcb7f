//! Marks that do not fit their databases, and losses that an operator accepts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anomalyd::store::{
    Acceptance, BlobRef, EmbeddedStore, LogName, Record, Store, StoreError, StoreOptions,
    backup_stopped, check_stopped,
};

use crate::store::{copy_folder, file_names, folder, get, open, put};

/// A store with a record that refers to a blob and a log of ten entries.
async fn store(folder: &Path) -> (BlobRef, LogName) {
    let store = open(folder);
    let blob = store.put_blob(vec![1; 100]).await.expect("a blob");
    let log = store.create_log().await.expect("a log");
    let entries = vec![vec![1].into(); 10];
    store.append(log, entries).await.expect("appended");
    let record = Record {
        logs: vec![log],
        ..Record::with_blobs(vec![1], vec![blob.id()])
    };
    put(&store, b"k", record).await;
    (blob, log)
}

fn refusal(folder: &Path) -> String {
    match EmbeddedStore::open(folder, StoreOptions::default()) {
        Err(StoreError::Refused(message)) => message,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it opened"),
    }
}

fn losses(folder: &Path) -> Vec<String> {
    let checked = check_stopped(folder).expect("readable");
    checked.expect("nobody uses it").losses
}

/// The files of the databases.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for database in ["meta", "logs/heads"] {
        let mut folders = vec![folder.join(database)];
        while let Some(folder) = folders.pop() {
            for name in file_names(&folder) {
                let path = folder.join(name);
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(files.insert(path.clone(), fs::read(path).expect("readable"))),
                }
            }
        }
    }
    files
}

fn accept(folder: &Path) {
    let acceptance = Acceptance::of(folder).expect("nobody uses it");
    assert!(!acceptance.report().losses.is_empty());
    acceptance.accept().expect("written");
    assert_eq!(losses(folder), [""; 0]);
}

/// The events in the audit.
fn events(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("lines of JSON")
}

#[tokio::test]
async fn a_database_without_its_mark_is_refused() {
    for (mark, database) in [("meta.mark", "meta"), ("logs.mark", "logs/heads")] {
        let folder = folder();
        store(folder.path()).await;
        let path = folder.path().join(mark);
        let whole = fs::read(&path).expect("readable");
        for bytes in [None, Some(vec![]), Some(vec![0; whole.len()])] {
            match &bytes {
                None => fs::remove_file(&path).expect("removable"),
                Some(bytes) => fs::write(&path, bytes).expect("writable"),
            }
            let message = refusal(folder.path());
            assert!(message.contains(database), "{message}");
            assert!(message.contains("nobody knows what was acknowledged"));
            assert_eq!(losses(folder.path()).len(), 1);
        }
        // one slot is enough
        for slot in [0, 1] {
            let mut torn = whole.clone();
            torn[slot * 4096..slot * 4096 + 60].fill(0);
            fs::write(&path, torn).expect("writable");
            assert_eq!(losses(folder.path()), [""; 0]);
        }
        drop(open(folder.path()));
    }
}

#[tokio::test]
async fn the_mark_of_another_store_is_refused() {
    let (one, two) = (folder(), folder());
    store(one.path()).await;
    store(two.path()).await;
    let from = two.path().join("meta.mark");
    fs::copy(from, one.path().join("meta.mark")).expect("copied");
    let message = refusal(one.path());
    assert!(message.contains("belongs to another store"), "{message}");
}

#[tokio::test]
async fn a_whole_store_has_nothing_to_accept_and_a_check_changes_nothing() {
    let folder = folder();
    store(folder.path()).await;
    let before = fs::read(folder.path().join("meta/db")).expect("readable");
    assert_eq!(losses(folder.path()), [""; 0]);
    let acceptance = Acceptance::of(folder.path()).expect("nobody uses it");
    assert_eq!(acceptance.report().n_records, 1);
    assert_eq!(acceptance.report().n_entries, 10);
    assert_eq!(acceptance.report().blob_bytes, 100);
    drop(acceptance);
    assert!(!folder.path().join("check.tmp").exists());
    assert_eq!(
        fs::read(folder.path().join("meta/db")).expect("readable"),
        before
    );
    assert!(events(folder.path()).is_empty());

    let store = open(folder.path());
    assert!(check_stopped(folder.path()).expect("readable").is_none());
    let error = Acceptance::of(folder.path()).err().expect("it is in use");
    assert!(error.to_string().contains("stop it first"), "{error}");
    drop(store);
    let empty = self::folder();
    let error = check_stopped(empty.path()).expect_err("there is none");
    assert!(error.to_string().contains("no store"), "{error}");
}

#[tokio::test]
async fn older_records_are_served_once_the_loss_is_accepted_and_newer_ones_never_again() {
    let (folder, copies) = (folder(), folder());
    let (at, meta) = (folder.path(), folder.path().join("meta"));
    let (first, _) = store(at).await;
    copy_folder(&meta, &copies.path().join("older"));
    let opened = open(at);
    let second = opened.put_blob(vec![2]).await.expect("a blob");
    put(
        &opened,
        b"k",
        Record::with_blobs(vec![2], vec![second.id()]),
    )
    .await;
    put(&opened, b"l", Record::new(vec![3])).await;
    drop(opened);
    copy_folder(&meta, &copies.path().join("newer"));
    fs::remove_dir_all(&meta).expect("removable");
    copy_folder(&copies.path().join("older"), &meta);

    let found = losses(at);
    assert!(
        found.len() == 1 && found[0].contains("it ends at"),
        "{found:?}"
    );
    accept(at);
    let [event] = &events(at)[..] else {
        panic!("one line");
    };
    assert_eq!(event["event"], "accept-loss");
    assert_eq!(event["records_acknowledged"], 2);
    assert_eq!(event["records_left"], 1);
    let opened = open(at);
    assert_eq!(get(&opened, b"k").await.expect("there").value, [1]);
    assert!(get(&opened, b"l").await.is_none());
    assert_eq!(opened.get_blob(&first).await.expect("there"), [1; 100]);
    assert_eq!(opened.sweep().await.expect("swept"), 1);
    assert_eq!(file_names(&at.join("quarantine")).len(), 1);
    put(&opened, b"k", Record::new(vec![4])).await;
    drop(opened);

    // two histories must not be mixed, however far each has come
    fs::remove_dir_all(&meta).expect("removable");
    copy_folder(&copies.path().join("newer"), &meta);
    let message = refusal(at);
    assert!(message.contains("before a loss was accepted"), "{message}");
}

#[tokio::test]
async fn a_missing_blob_is_refused_by_name_and_an_error_once_that_is_accepted() {
    let folder = folder();
    let (blob, _) = store(folder.path()).await;
    let path = folder.path().join("blobs").join(blob.name.to_string());
    let file = fs::read(&path).expect("there");
    fs::remove_file(&path).expect("removable");
    let message = refusal(folder.path());
    assert!(
        message.contains(&format!("blob {}: it is missing", blob.name)),
        "{message}"
    );
    accept(folder.path());
    let store = open(folder.path());
    let error = store.get_blob(&blob).await.expect_err("it is gone");
    assert!(
        error.to_string().contains(&blob.name.to_string()),
        "{error}"
    );
    assert_eq!(get(&store, b"k").await.expect("there").value, [1]);
    drop(store);
    assert_eq!(events(folder.path())[0]["blobs_lost"], 1);
    // if it turns up after all
    fs::write(&path, file).expect("writable");
    let store = open(folder.path());
    assert_eq!(store.get_blob(&blob).await.expect("there"), [1; 100]);
}

#[tokio::test]
async fn a_damaged_blob_and_a_damaged_entry_are_found_by_a_check() {
    let folder = folder();
    let (blob, log) = store(folder.path()).await;
    let path = folder.path().join("blobs").join(blob.name.to_string());
    fs::write(&path, [2; 100]).expect("writable");
    let segment = folder.path().join(format!("logs/{log}.{:016x}", 1));
    let mut bytes = fs::read(&segment).expect("readable");
    bytes[40] ^= 1;
    fs::write(&segment, bytes).expect("writable");

    let found = losses(folder.path());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains(&blob.name.to_string()), "{found:?}");
    assert!(
        found[0].contains("the record under the key 6b"),
        "{found:?}"
    );
    assert!(found[1].contains("entry 5"), "{found:?}");
    let store = open(folder.path());
    let read = store.get_blob(&blob).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    drop(store);
    accept(folder.path());
    let store = open(folder.path());
    let read = store.read_log(log, 0, 100, 100).await;
    assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
}

#[tokio::test]
async fn lost_databases_are_replaced_once_that_is_accepted() {
    // missing or unreadable; of the records or of the logs
    for (database, is_there) in [
        ("meta", false),
        ("meta", true),
        ("logs/heads", false),
        ("logs/heads", true),
    ] {
        let folder = folder();
        let (blob, log) = store(folder.path()).await;
        let path = folder.path().join(database);
        match is_there {
            false => fs::remove_dir_all(&path).expect("removable"),
            true => fs::write(path.join("snap.00000000FFFFFFFF"), [0; 100]).expect("writable"),
        }
        let message = refusal(folder.path());
        assert!(message.contains(database), "{message}");
        accept(folder.path());
        let aside = file_names(folder.path());
        let n_aside = aside
            .iter()
            .filter(|name| name.contains("unreadable"))
            .count();
        assert_eq!(n_aside, usize::from(is_there));

        let store = open(folder.path());
        let record = get(&store, b"k").await;
        let read = store.read_log(log, 0, 100, 100).await;
        if database == "meta" {
            assert!(record.is_none());
            // the blob waits in the quarantine
            assert_eq!(store.sweep().await.expect("swept"), 2);
            assert_eq!(file_names(&folder.path().join("quarantine")).len(), 1);
        } else {
            assert!(matches!(read, Err(StoreError::LogNotFound)), "{read:?}");
            assert_eq!(record.expect("there").value, [1]);
            assert_eq!(store.get_blob(&blob).await.expect("there"), [1; 100]);
        }
        put(&store, b"new", Record::new(vec![5])).await;
        store.create_log().await.expect("a log");
    }
}

/// Of the logs, nothing is left that could be repaired.
#[tokio::test]
async fn segments_without_heads_and_mark_can_be_given_up() {
    let folder = folder();
    let (blob, log) = store(folder.path()).await;
    fs::remove_dir_all(folder.path().join("logs/heads")).expect("removable");
    fs::remove_file(folder.path().join("logs.mark")).expect("removable");
    let message = refusal(folder.path());
    assert!(
        message.contains("1 segments of logs are there"),
        "{message}"
    );
    accept(folder.path());
    let store = open(folder.path());
    let read = store.read_log(log, 0, 100, 100).await;
    assert!(matches!(read, Err(StoreError::LogNotFound)), "{read:?}");
    assert_eq!(store.get_blob(&blob).await.expect("there"), [1; 100]);
    store.create_log().await.expect("a log");
}

#[tokio::test]
async fn a_refusal_leaves_the_databases_as_they_are() {
    let (folder, saved) = (folder(), folder());
    let at = folder.path();
    store(at).await;
    let opened = open(at);
    for i in 0..200_u32 {
        put(&opened, &i.to_be_bytes(), Record::new(vec![1; 2000])).await;
    }
    drop(opened);
    // everything behind the hole looks like free space to sled
    for (database, share) in [("meta", 4), ("logs/heads", 2)] {
        let path = at.join(database).join("db");
        let mut bytes = fs::read(&path).expect("there");
        let hole = bytes.len() / share;
        bytes[hole..hole + 100].fill(0);
        fs::write(path, bytes).expect("writable");
    }
    let before = contents(at);
    refusal(at);
    let to = saved.path().join("backup");
    backup_stopped(at, &to).expect_err("refused");
    assert!(!losses(at).is_empty());
    assert!(contents(at) == before, "a refusal has changed a database");
}

#[tokio::test]
async fn a_wrong_token_key_is_found_and_cannot_be_given_up() {
    let folder = folder();
    store(folder.path()).await;
    fs::write(folder.path().join("token.key"), "ab".repeat(32)).expect("writable");
    let found = losses(folder.path());
    assert!(
        found.len() == 1 && found[0].contains("is not the one"),
        "{found:?}"
    );
    let error = Acceptance::of(folder.path()).err().expect("impossible");
    assert!(error.to_string().contains("cannot be given up"), "{error}");
}
