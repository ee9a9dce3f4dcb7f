//! Backups: of a store in use and of one that is not, what is restored from them, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anomalyd::store::{
    Acceptance, Backup, BlobRef, EmbeddedStore, LogName, Record, Store, StoreError, backup_stopped,
    check_stopped, restore,
};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::store::{file_names, folder, get, open, put};

const WRITERS: u8 = 4;

fn never() -> Arc<AtomicBool> {
    Arc::default()
}

/// A store with records, a blob for each, and a log.
async fn write(store: &EmbeddedStore) -> (Vec<BlobRef>, LogName) {
    let log = store.create_log().await.expect("a log");
    let entries = (0..50).map(|i| vec![i; 100].into()).collect();
    store.append(log, entries).await.expect("appended");
    let record = Record {
        logs: vec![log],
        ..Record::new(Vec::new())
    };
    put(store, b"log", record).await;
    let mut blobs = Vec::new();
    for i in 0..20 {
        let blob = store.put_blob(vec![i; 5000]).await.expect("a blob");
        put(store, &[i], Record::with_blobs(vec![i], vec![blob.id()])).await;
        blobs.push(blob);
    }
    (blobs, log)
}

/// Checks that a folder holds what [`write`] has written.
async fn check(folder: &Path, blobs: &[BlobRef], log: LogName) {
    let report = check_stopped(folder).expect("readable");
    assert_eq!(report.expect("nobody uses it").losses, [""; 0]);
    let store = open(folder);
    for (i, blob) in (0..).zip(blobs) {
        assert_eq!(get(&store, &[i]).await.expect("there").value, [i]);
        assert_eq!(store.get_blob(blob).await.expect("there"), [i; 5000]);
    }
    let entries = store.read_log(log, 0, 100, usize::MAX).await;
    let entries = entries.expect("readable");
    assert_eq!(entries.len(), 50);
    assert!(
        (0..)
            .zip(&entries)
            .all(|(i, entry)| entry.bytes[..] == [i; 100])
    );
}

#[tokio::test]
async fn a_backup_brings_back_everything_that_was_in_the_store() {
    let (lost, saved, target) = (folder(), folder(), folder());
    let store = open(lost.path());
    let owner = store.token_hasher().owner_of(b"token");
    let (blobs, log) = write(&store).await;
    let in_use = saved.path().join("in use");
    let summary = store.backup(&in_use, never()).await.expect("copied");
    assert_eq!(
        (summary.n_records, summary.n_blobs, summary.n_logs),
        (21, 20, 1)
    );
    assert_eq!(summary.n_bytes, 20 * 5000 + 50 * 108);
    let again = store
        .backup(&in_use, never())
        .await
        .expect_err("it is there");
    assert!(again.to_string().contains("is not empty"), "{again}");
    let error = store.backup(&lost.path().join("backup"), never()).await;
    let error = error.expect_err("within the store");
    assert!(error.to_string().contains("in the data folder"), "{error}");
    assert!(!lost.path().join("backup").exists());
    assert!(
        backup_stopped(lost.path(), &in_use)
            .expect("readable")
            .is_none()
    );
    // what was written afterwards is not in it
    put(&store, b"late", Record::new(vec![9])).await;
    let report = store.check(never()).await.expect("readable");
    assert_eq!(
        (report.n_records, report.n_blobs, report.n_entries),
        (22, 20, 50)
    );
    assert_eq!(report.losses, [""; 0]);
    drop(store);
    let stopped = saved.path().join("stopped");
    let made = backup_stopped(lost.path(), &stopped).expect("copied");
    assert_eq!(made.expect("nobody uses it").n_records, 22);

    for (name, has_late) in [("in use", false), ("stopped", true)] {
        let backup = Backup::open(&saved.path().join(name)).expect("a backup");
        let records = backup.records().expect("readable");
        let records: Vec<_> = records.map(|record| record.expect("whole")).collect();
        assert_eq!(records.len() as u64, backup.summary().n_records);
        let into = target.path().join(name);
        restore(&backup, &into).expect("restored");
        check(&into, &blobs, log).await;
        let audit = fs::read_to_string(into.join("audit.jsonl")).expect("an audit");
        assert!(audit.contains("\"restore\""), "{audit}");
        let store = open(&into);
        assert_eq!(get(&store, b"late").await.is_some(), has_late);
        assert_eq!(store.token_hasher().owner_of(b"token"), owner);
        put(&store, b"later", Record::new(vec![1])).await;
        drop(store);
        let error = restore(&backup, &into).expect_err("there is a store");
        assert!(error.to_string().contains("already holds meta"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_of_one_moment_while_writers_and_deletions_go_on() {
    let (at, saved) = (folder(), folder());
    let store = Arc::new(open(at.path()));
    let stop = Arc::new(AtomicBool::new(false));
    // each writer counts in a record, whose blob it replaces
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut old: Option<BlobRef> = None;
                for step in 0_u32.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let blob = store.put_blob(step.to_be_bytes().repeat(100)).await;
                    let blob = blob.expect("a blob");
                    let value = rmp_serde::to_vec(&(step, &blob)).expect("encodable");
                    put(
                        &*store,
                        &[writer],
                        Record::with_blobs(value, vec![blob.id()]),
                    )
                    .await;
                    if let Some(old) = old.replace(blob) {
                        store.delete_blob(old.name).await.expect("deleted");
                    }
                }
            })
        })
        .collect();
    let mut counts = vec![[0; WRITERS as usize]];
    for round in 0..5 {
        let before = count(&store).await;
        let to = saved.path().join(round.to_string());
        store.backup(&to, never()).await.expect("copied");
        let after = count(&store).await;
        let into = saved.path().join(format!("restored-{round}"));
        restore(&Backup::open(&to).expect("a backup"), &into).expect("restored");
        let restored = open(&into);
        let saved = count(&restored).await;
        for ((before, saved), after) in before.iter().zip(&saved).zip(&after) {
            assert!(
                before <= saved && saved <= after,
                "{before} {saved} {after}"
            );
        }
        counts.push(saved);
        let report = store.check(never()).await.expect("readable");
        assert_eq!(report.losses, [""; 0]);
    }
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    assert!(counts.is_sorted() && counts[0] < counts[5], "{counts:?}");
    // what was held up is deleted
    assert_eq!(
        file_names(&at.path().join("blobs")).len(),
        usize::from(WRITERS)
    );
}

/// How far each writer has counted; its blob must go with that.
async fn count(store: &EmbeddedStore) -> [u32; WRITERS as usize] {
    let mut counts = [0; WRITERS as usize];
    for (writer, count) in (0..).zip(&mut counts) {
        loop {
            let Some(pointer) = get(store, &[writer]).await else {
                break;
            };
            let (step, blob): (u32, BlobRef) =
                rmp_serde::from_slice(&pointer.value).expect("whole");
            match store.get_blob(&blob).await {
                Ok(bytes) => {
                    assert_eq!(bytes, step.to_be_bytes().repeat(100));
                    *count = step;
                    break;
                }
                // replaced meanwhile
                Err(StoreError::BlobNotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    counts
}

#[tokio::test]
async fn a_store_that_is_not_whole_gives_no_backup() {
    let (at, saved) = (folder(), folder());
    let store = open(at.path());
    let (blobs, _) = write(&store).await;
    let path = at.path().join("blobs").join(blobs[7].name.to_string());
    let to = saved.path().join("backup");
    fs::write(&path, [0; 5000]).expect("writable");
    let error = store.backup(&to, never()).await.expect_err("damaged");
    assert!(
        error.to_string().contains(&blobs[7].name.to_string()),
        "{error}"
    );
    assert_eq!(file_names(&to), [""; 0], "nothing is left behind");
    let report = store.check(never()).await.expect("readable");
    assert!(
        report.losses.len() == 1 && report.n_blobs == 19,
        "{report:?}"
    );

    let cancelled = Arc::new(AtomicBool::new(true));
    let error = store.backup(&to, cancelled).await.expect_err("cancelled");
    assert!(error.to_string().contains("broken off"), "{error}");
    assert_eq!(file_names(&to), [""; 0], "nothing is left behind");
    drop(store);
    fs::remove_file(&path).expect("removable");
    let error = backup_stopped(at.path(), &to).expect_err("incomplete");
    assert!(error.to_string().contains("it is missing"), "{error}");
    let error = Backup::open(&to).expect_err("there is none");
    assert!(error.to_string().contains("no backup"), "{error}");
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_never_restored() {
    let (at, saved, target) = (folder(), folder(), folder());
    let store = open(at.path());
    write(&store).await;
    let whole = saved.path().join("whole");
    store.backup(&whole, never()).await.expect("copied");
    let mut rng = SmallRng::seed_from_u64(1);
    let mut files: Vec<PathBuf> = ["manifest", "records", "heads", "token.key"]
        .into_iter()
        .map(PathBuf::from)
        .collect();
    for inner in ["blobs", "logs"] {
        let names = file_names(&whole.join(inner));
        files.extend(
            names
                .into_iter()
                .take(2)
                .map(|name| Path::new(inner).join(name)),
        );
    }
    for file in files {
        for way in 0..3 {
            let damaged = saved.path().join("damaged");
            crate::store::copy_folder(&whole, &damaged);
            let path = damaged.join(&file);
            let mut bytes = fs::read(&path).expect("readable");
            // not the end of a line, which may be missing
            let at = rng.random_range(0..bytes.len() - 1);
            match way {
                // a letter of a key in another case would be the same key
                0 => bytes[at] ^= 0x11,
                1 => bytes.truncate(at),
                _ => bytes.clear(),
            }
            fs::write(&path, bytes).expect("writable");
            let into = target.path().join("restored");
            let restored = Backup::open(&damaged).and_then(|backup| restore(&backup, &into));
            restored.expect_err("damaged");
            // nothing that a server would start with, if anything
            if into.join("blobs").exists() {
                let error = EmbeddedStore::open(&into, Default::default());
                assert!(error.is_err(), "{}, {way}", file.display());
            }
            fs::remove_dir_all(&damaged).expect("removable");
            if into.exists() {
                fs::remove_dir_all(&into).expect("removable");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_was_given_up_is_backed_up_if_it_is_there_again() {
    let (at, saved, target) = (folder(), folder(), folder());
    let (blobs, log) = write(&open(at.path())).await;
    let path = |blob: &BlobRef| at.path().join("blobs").join(blob.name.to_string());
    let bytes = fs::read(path(&blobs[3])).expect("there");
    for blob in &blobs[3..6] {
        fs::remove_file(path(blob)).expect("removable");
    }
    let acceptance = Acceptance::of(at.path()).expect("nobody uses it");
    acceptance.accept().expect("written");
    fs::write(path(&blobs[3]), &bytes).expect("writable");
    // this one is of no use
    fs::write(path(&blobs[4]), [0; 100]).expect("writable");

    let (stopped, in_use) = (saved.path().join("stopped"), saved.path().join("in use"));
    let made = backup_stopped(at.path(), &stopped).expect("copied");
    assert_eq!(made.expect("nobody uses it").n_blobs, 18);
    let store = open(at.path());
    let made = store.backup(&in_use, never()).await.expect("copied");
    assert_eq!(made.n_blobs, 18);
    for backup in [stopped, in_use] {
        let into = target.path().join(backup.file_name().expect("a name"));
        restore(&Backup::open(&backup).expect("a backup"), &into).expect("restored");
        let restored = open(&into);
        for (i, blob) in (0..).zip(&blobs) {
            let read = restored.get_blob(blob).await;
            match i {
                4 | 5 => assert!(matches!(read, Err(StoreError::BlobNotFound { .. }))),
                i => assert_eq!(read.expect("there"), [i; 5000]),
            }
        }
        let entries = restored.read_log(log, 0, 100, usize::MAX).await;
        assert_eq!(entries.expect("readable").len(), 50);
    }
}

/// As when older records, which had been put in the place of newer ones, are replaced by the newer ones again.
#[tokio::test]
async fn what_a_start_would_bring_back_is_not_lost_to_those_who_come_before_one() {
    let (at, saved, target) = (folder(), folder(), folder());
    let (blobs, log) = write(&open(at.path())).await;
    let quarantine = at.path().join("quarantine");
    fs::create_dir(&quarantine).expect("writable");
    for blob in &blobs[..5] {
        let from = at.path().join("blobs").join(blob.name.to_string());
        let to = quarantine.join(format!("{}.{:016x}", blob.name, 7));
        fs::rename(from, to).expect("moved");
    }
    let report = check_stopped(at.path()).expect("readable");
    let report = report.expect("nobody uses it");
    assert_eq!((report.losses, report.n_blobs), (vec![], 20));
    let acceptance = Acceptance::of(at.path()).expect("nobody uses it");
    assert_eq!(acceptance.report().losses, [""; 0]);
    drop(acceptance);

    let to = saved.path().join("backup");
    let made = backup_stopped(at.path(), &to).expect("copied");
    assert_eq!(made.expect("nobody uses it").n_blobs, 20);
    let into = target.path().join("restored");
    restore(&Backup::open(&to).expect("a backup"), &into).expect("restored");
    check(&into, &blobs, log).await;
    assert_eq!(file_names(&quarantine).len(), 5, "only a start moves them");
    check(at.path(), &blobs, log).await;
}

#[tokio::test]
async fn no_backup_is_made_with_another_token_key() {
    let (at, saved) = (folder(), folder());
    let store = open(at.path());
    write(&store).await;
    let to = saved.path().join("backup");
    fs::write(at.path().join("token.key"), "ab".repeat(32)).expect("writable");
    let error = store.backup(&to, never()).await.expect_err("no use");
    assert!(error.to_string().contains("is not the one"), "{error}");
    drop(store);
    let error = backup_stopped(at.path(), &to).expect_err("no use");
    assert!(error.to_string().contains("is not the one"), "{error}");
    assert!(!to.exists(), "nothing was begun");
}
