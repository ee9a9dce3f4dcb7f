use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anomalyd::store::{MAX_KEY_BYTES, MAX_RECORD_BYTES, Store, StoreError, Swap};
use proptest::prelude::*;

use crate::{folder, get, open, put, swap};

#[tokio::test]
async fn reopening_finds_everything() {
    let folder = folder();
    let store = open(folder.path());
    for i in 0..200_u32 {
        put(&store, &i.to_be_bytes(), &vec![7; i as usize]).await;
    }
    let blob = store.put_blob(vec![9; 300_000]).await.expect("a blob");
    let before = store.scan(b"", None, usize::MAX).await.expect("records");
    let revision = get(&store, &7_u32.to_be_bytes())
        .await
        .expect("a record")
        .revision;
    drop(store);

    let store = open(folder.path());
    assert_eq!(before.len(), 200);
    assert_eq!(
        store.scan(b"", None, usize::MAX).await.expect("records"),
        before
    );
    let pointer = get(&store, &7_u32.to_be_bytes()).await.expect("a record");
    assert_eq!((pointer.revision, pointer.value), (revision, vec![7; 7]));
    assert_eq!(
        store.get_blob(&blob).await.expect("the blob"),
        vec![9; 300_000]
    );
}

#[tokio::test]
async fn a_swap_needs_the_revision_that_is_there() {
    let folder = folder();
    let store = open(folder.path());
    assert_eq!(
        swap(&store, b"k", None, None).await,
        Swap::Done,
        "absent stays absent"
    );
    assert_eq!(swap(&store, b"k", None, Some(b"1")).await, Swap::Done);
    assert_eq!(swap(&store, b"k", None, Some(b"2")).await, Swap::Lost);
    let first = get(&store, b"k").await.expect("a record");
    assert_eq!(first.value, b"1");
    assert_eq!(
        swap(&store, b"k", Some(first.revision), Some(b"3")).await,
        Swap::Done
    );
    assert_eq!(
        swap(&store, b"k", Some(first.revision), Some(b"4")).await,
        Swap::Lost
    );
    assert_eq!(
        swap(&store, b"k", Some(first.revision), None).await,
        Swap::Lost
    );
    let second = get(&store, b"k").await.expect("a record");
    assert_eq!(second.value, b"3");
    assert_eq!(
        swap(&store, b"k", Some(second.revision), None).await,
        Swap::Done
    );
    assert!(get(&store, b"k").await.is_none());
    assert_eq!(
        swap(&store, b"k", Some(second.revision), Some(b"5")).await,
        Swap::Lost
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_swappers_wins_each_revision_and_none_is_lost() {
    const SWAPPERS: u64 = 8;
    const WINS: u64 = 40;
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    put(&store, b"counter", &0_u64.to_be_bytes()).await;
    let mut swappers = tokio::task::JoinSet::new();
    for _ in 0..SWAPPERS {
        let store = store.clone();
        swappers.spawn(async move {
            let mut won = Vec::new();
            while (won.len() as u64) < WINS {
                let pointer = get(&store, b"counter").await.expect("the counter");
                let count = u64::from_be_bytes(pointer.value.try_into().expect("8 bytes"));
                let next = (count + 1).to_be_bytes();
                if swap(&store, b"counter", Some(pointer.revision), Some(&next)).await == Swap::Done
                {
                    won.push(pointer.revision);
                }
            }
            won
        });
    }
    let won = swappers.join_all().await.concat();
    let distinct: HashSet<_> = won.iter().collect();
    assert_eq!(
        distinct.len() as u64,
        SWAPPERS * WINS,
        "one winner for each revision"
    );
    let last = get(&store, b"counter").await.expect("the counter").value;
    assert_eq!(last, (SWAPPERS * WINS).to_be_bytes(), "no win is lost");
}

#[tokio::test]
async fn revisions_grow_over_deletions_and_restarts() {
    let folder = folder();
    let mut last = None;
    for _ in 0..3 {
        let store = open(folder.path());
        for _ in 0..3 {
            let revision = put(&store, b"k", b"same").await;
            assert!(last < Some(revision), "{last:?} then {revision:?}");
            last = Some(revision);
            assert_eq!(swap(&store, b"k", last, None).await, Swap::Done);
        }
    }
}

#[tokio::test]
async fn keys_and_records_over_the_limit_are_refused() {
    let folder = folder();
    let store = open(folder.path());
    put(&store, &[1; MAX_KEY_BYTES], &[2; MAX_RECORD_BYTES]).await;
    let record = store.swap_pointer(b"k", None, Some(vec![0; MAX_RECORD_BYTES + 1]));
    let error = record.await.expect_err("too large").to_string();
    assert_eq!(
        error,
        "a record has 6145 bytes, but at most 6144 are allowed"
    );
    let key = store.swap_pointer(&[0; MAX_KEY_BYTES + 1], None, Some(vec![]));
    assert!(matches!(key.await, Err(StoreError::TooLarge { .. })));
    assert!(get(&store, b"k").await.is_none());
}

/// Pages of the greatest keys and records that are allowed must not spill out of the log, where they would leak.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_largest_records_stay_in_the_log() {
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..400_u32 {
        let store = store.clone();
        writers.spawn(async move {
            // the number comes first, so that sled cannot shorten the keys by what they share
            let mut key = i.to_be_bytes().repeat(MAX_KEY_BYTES / 4);
            key[0] = (i % 256) as u8;
            for round in 0..3 {
                put(&store, &key, &vec![round; MAX_RECORD_BYTES]).await;
            }
        });
    }
    writers.join_all().await;
    let spilled = crate::file_names(&folder.path().join("meta/blobs"));
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
                put(&store, &i.to_be_bytes(), &round.to_be_bytes().repeat(256)).await;
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

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Scan(Vec<u8>, Option<Vec<u8>>, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // few letters, so that keys meet and share prefixes
    let key = || prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4);
    let step = prop_oneof![
        3 => (key(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(k, v)| Step::Put(k, v)),
        1 => key().prop_map(Step::Delete),
        2 => (key(), prop::option::of(key()), 0..6_usize).prop_map(|(p, a, l)| Step::Scan(p, a, l)),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn it_behaves_like_a_sorted_map(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let folder = folder();
            let store = open(folder.path());
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Put(key, value) => {
                        put(&store, &key, &value).await;
                        model.insert(key, value);
                    }
                    Step::Delete(key) => {
                        let expected = get(&store, &key).await.map(|pointer| pointer.revision);
                        assert_eq!(expected.is_some(), model.remove(&key).is_some());
                        assert_eq!(swap(&store, &key, expected, None).await, Swap::Done);
                    }
                    Step::Scan(prefix, after, limit) => {
                        let found = store.scan(&prefix, after.as_deref(), limit).await.expect("records");
                        let expected: Vec<_> = model
                            .iter()
                            .filter(|(key, _)| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after))
                            .take(limit)
                            .map(|(key, value)| (key.clone(), value.clone()))
                            .collect();
                        assert_eq!(found, expected);
                    }
                }
            }
        });
    }
}
