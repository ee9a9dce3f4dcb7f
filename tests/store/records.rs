//! Records on disk: no value spills out of the log, and the disk use is bounded.

use std::sync::Arc;

use anomalyd::store::{MAX_KEY_BYTES, MAX_RECORD_BYTES, Record, Store as _};

use crate::store::{folder, open, put};

/// Pages of the largest allowed keys and records must not spill out of the log, because such blobs of sled leak.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_largest_records_stay_in_the_log() {
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    let blob = store.put_blob(vec![1]).await.expect("a blob");
    let blobs = vec![blob.id(); MAX_RECORD_BYTES / 32];
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..400_u32 {
        let (store, blobs) = (store.clone(), blobs.clone());
        writers.spawn(async move {
            // the number comes first, so that sled cannot shorten the keys by a common prefix
            let mut key = i.to_be_bytes().repeat(MAX_KEY_BYTES / 4);
            key[0] = (i % 256) as u8;
            for round in 0..3 {
                let record = match round {
                    // what it refers to counts as well
                    1 => Record::with_blobs(Vec::new(), blobs.clone()),
                    _ => Record::new(vec![round; MAX_RECORD_BYTES]),
                };
                put(&*store, &key, record).await;
            }
        });
    }
    writers.join_all().await;
    let spilled = crate::store::file_names(&folder.path().join("meta/blobs"));
    assert!(spilled.is_empty(), "{} pages spilled", spilled.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overwriting_does_not_grow_the_disk() {
    const WRITERS: u32 = 64;
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for round in 0..20_000 / WRITERS {
                let record = Record::new(round.to_be_bytes().repeat(256));
                put(&*store, &i.to_be_bytes(), record).await;
            }
        });
    }
    writers.join_all().await;
    drop(store);
    // 20 MB were written, 64 KiB of them live
    let size = size_of_folder(&folder.path().join("meta"));
    assert!(size <= 8 << 20, "the database has {size} bytes");
}

fn size_of_folder(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                size_of_folder(&entry.path())
            } else {
                entry.metadata().expect("a size").len()
            }
        })
        .sum()
}
