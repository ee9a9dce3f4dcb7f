//! Records: swaps, revisions, scans, limits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anomalyd::store::{
    MAX_KEY_BYTES, MAX_RECORD_BYTES, PointerSwap, Record, Store, StoreError, Swap,
};
use proptest::prelude::*;

use super::{Embedded, Memory, Subject};
use crate::store::{get, put, remove, swap};

super::contract!(
    reopening_finds_everything,
    a_swap_needs_the_current_revision,
    a_swap_may_be_repeated,
    one_of_many_writers_wins_each_revision_and_no_write_is_lost,
    revisions_grow_over_deletions_and_restarts,
    keys_and_records_over_the_limit_are_refused,
);

async fn reopening_finds_everything(subject: impl Subject) {
    let store = subject.open();
    for i in 0..200_u32 {
        put(&store, &i.to_be_bytes(), Record::new(vec![7; i as usize])).await;
    }
    let before = store.scan(b"", None, usize::MAX).await.expect("records");
    let revision = get(&store, &7_u32.to_be_bytes())
        .await
        .expect("a record")
        .revision;
    drop(store);

    let store = subject.open();
    assert_eq!(before.len(), 200);
    assert_eq!(
        store.scan(b"", None, usize::MAX).await.expect("records"),
        before
    );
    let pointer = get(&store, &7_u32.to_be_bytes()).await.expect("a record");
    assert_eq!((pointer.revision, pointer.value), (revision, vec![7; 7]));
}

async fn a_swap_needs_the_current_revision(subject: impl Subject) {
    let store = subject.open();
    assert_eq!(swap(&store, b"k", None, b"1").await, Swap::Done);
    assert_eq!(swap(&store, b"k", None, b"2").await, Swap::Lost);
    let first = get(&store, b"k").await.expect("a record");
    assert_eq!(first.value, b"1");
    let expected = Some(first.revision);
    assert_eq!(swap(&store, b"k", expected, b"3").await, Swap::Done);
    assert_eq!(swap(&store, b"k", expected, b"4").await, Swap::Lost);
    assert_eq!(remove(&store, b"k", first.revision).await, Swap::Lost);
    let second = get(&store, b"k").await.expect("a record");
    assert_eq!(second.value, b"3");
    assert_eq!(remove(&store, b"k", second.revision).await, Swap::Done);
    assert!(get(&store, b"k").await.is_none());
    assert_eq!(remove(&store, b"k", second.revision).await, Swap::Lost);
    let expected = Some(second.revision);
    assert_eq!(swap(&store, b"k", expected, b"5").await, Swap::Lost);
}

async fn a_swap_may_be_repeated(subject: impl Subject) {
    let store = subject.open();
    let first = PointerSwap::put(b"k", None, Record::new(b"same".to_vec()));
    let equal = PointerSwap::put(b"k", None, Record::new(b"same".to_vec()));
    for _ in 0..3 {
        let outcome = store.swap_pointer(&first).await.expect("an outcome");
        assert_eq!(outcome, Swap::Done);
        let outcome = store.swap_pointer(&equal).await.expect("an outcome");
        assert_eq!(outcome, Swap::Lost, "equal, and not the same");
    }
    let revision = get(&store, b"k").await.expect("a record").revision;
    drop(store);
    // even by another process
    let store = subject.open();
    let outcome = store.swap_pointer(&first).await.expect("an outcome");
    assert_eq!(outcome, Swap::Done);
    let now = get(&store, b"k").await.expect("a record");
    assert_eq!((now.revision, &now.value[..]), (revision, &b"same"[..]));

    assert_eq!(swap(&store, b"k", Some(revision), b"2").await, Swap::Done);
    let outcome = store.swap_pointer(&first).await.expect("an outcome");
    assert_eq!(outcome, Swap::Lost, "another one came over it");
    assert_eq!(get(&store, b"k").await.expect("a record").value, b"2");
}

async fn one_of_many_writers_wins_each_revision_and_no_write_is_lost(subject: impl Subject) {
    const SWAPPERS: u64 = 8;
    const WINS: u64 = 40;
    let store = Arc::new(subject.open());
    put(
        &*store,
        b"counter",
        Record::new(0_u64.to_be_bytes().to_vec()),
    )
    .await;
    let mut swappers = tokio::task::JoinSet::new();
    for _ in 0..SWAPPERS {
        let store = store.clone();
        swappers.spawn(async move {
            let mut won = Vec::new();
            while (won.len() as u64) < WINS {
                let pointer = get(&*store, b"counter").await.expect("the counter");
                let count = u64::from_be_bytes(pointer.value.try_into().expect("8 bytes"));
                let next = (count + 1).to_be_bytes();
                let expected = Some(pointer.revision);
                if swap(&*store, b"counter", expected, &next).await == Swap::Done {
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
    let last = get(&*store, b"counter").await.expect("the counter").value;
    assert_eq!(last, (SWAPPERS * WINS).to_be_bytes(), "no win is lost");
}

async fn revisions_grow_over_deletions_and_restarts(subject: impl Subject) {
    let mut last = None;
    for _ in 0..3 {
        let store = subject.open();
        for _ in 0..3 {
            let revision = put(&store, b"k", Record::new(b"same".to_vec())).await;
            assert!(last < Some(revision), "{last:?} then {revision:?}");
            last = Some(revision);
            assert_eq!(remove(&store, b"k", revision).await, Swap::Done);
        }
    }
}

async fn keys_and_records_over_the_limit_are_refused(subject: impl Subject) {
    let store = subject.open();
    let blob = store.put_blob(vec![1]).await.expect("a blob");
    let record = |n_bytes, n_blobs| {
        let blobs = std::iter::repeat_n(blob.id(), n_blobs).collect();
        Record::with_blobs(vec![2; n_bytes], blobs)
    };
    let longest = [1; MAX_KEY_BYTES];
    put(&store, &longest, record(MAX_RECORD_BYTES, 0)).await;
    put(&store, &longest, record(0, MAX_RECORD_BYTES / 32)).await;
    for over in [
        record(MAX_RECORD_BYTES + 1, 0),
        record(MAX_RECORD_BYTES - 31, 1),
    ] {
        let swap = PointerSwap::put(b"k", None, over);
        let error = store.swap_pointer(&swap).await.expect_err("too large");
        assert_eq!(
            error.to_string(),
            "a record has 6145 bytes, but at most 6144 are allowed"
        );
    }
    let key = PointerSwap::put(&[0; MAX_KEY_BYTES + 1], None, record(0, 0));
    let error = store.swap_pointer(&key).await.expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert!(get(&store, b"k").await.is_none());
}

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Scan(Vec<u8>, Option<Vec<u8>>, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // few letters, so that keys collide and share prefixes
    let key = || prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4);
    let step = prop_oneof![
        3 => (key(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(k, v)| Step::Put(k, v)),
        1 => key().prop_map(Step::Remove),
        2 => (key(), prop::option::of(key()), 0..6_usize).prop_map(|(p, a, l)| Step::Scan(p, a, l)),
    ];
    prop::collection::vec(step, 1..60)
}

async fn behave_like_a_sorted_map(subject: impl Subject, steps: Vec<Step>) {
    let store = subject.open();
    let mut model = BTreeMap::new();
    for step in steps {
        match step {
            Step::Put(key, value) => {
                put(&store, &key, Record::new(value.clone())).await;
                model.insert(key, value);
            }
            Step::Remove(key) => {
                let there = get(&store, &key).await;
                assert_eq!(there.is_some(), model.remove(&key).is_some());
                if let Some(there) = there {
                    assert_eq!(remove(&store, &key, there.revision).await, Swap::Done);
                }
            }
            Step::Scan(prefix, after, limit) => {
                let found = store.scan(&prefix, after.as_deref(), limit).await;
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| {
                        key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after)
                    })
                    .take(limit)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert_eq!(found.expect("records"), expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn it_behaves_like_a_sorted_map(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(behave_like_a_sorted_map(Memory::new(), steps.clone()));
        runtime.block_on(behave_like_a_sorted_map(Embedded::new(), steps));
    }
}
