//! Logs: entries in order, each once, with numbers that are never reused.

use std::collections::BTreeMap;
use std::sync::Arc;

use anomalyd::store::{
    LogBounds, LogEntry, LogName, MAX_ENTRY_BYTES, Record, Retain, Store, StoreError,
};
use bytes::Bytes;
use proptest::prelude::*;

use super::{Embedded, Memory, Subject};
use crate::store::put;

super::contract!(
    appended_entries_are_read_in_order,
    a_read_is_bounded_by_entries_and_by_bytes,
    dropped_entries_stay_dropped_and_numbers_continue,
    the_newest_bytes_are_kept,
    a_deleted_log_is_gone_for_everyone,
    entries_over_the_limit_are_refused_whole,
    many_writers_share_a_log_and_many_logs_a_store,
);

fn entry(sequence: u64, size: usize) -> Bytes {
    let mut bytes = sequence.to_be_bytes().to_vec();
    bytes.resize(size, sequence as u8);
    bytes.into()
}

/// A log that a record refers to.
async fn new_log(store: &impl Store, key: &[u8]) -> LogName {
    let log = store.create_log().await.expect("a log");
    let record = Record {
        logs: vec![log],
        ..Record::new(Vec::new())
    };
    put(store, key, record).await;
    log
}

/// Appends entries that contain their own numbers.
async fn append(store: &impl Store, log: LogName, n: u64, size: usize) {
    let next = bounds(store, log).await.next;
    let entries = (next..next + n).map(|sequence| entry(sequence, size));
    let numbers = store.append(log, entries.collect()).await;
    let expected: Vec<u64> = (next..next + n).collect();
    assert_eq!(numbers.expect("appended"), expected);
}

async fn bounds(store: &impl Store, log: LogName) -> LogBounds {
    store.log_bounds(log).await.expect("the log")
}

async fn read(store: &impl Store, log: LogName, from: u64) -> Vec<LogEntry> {
    let read = store.read_log(log, from, usize::MAX, usize::MAX).await;
    read.expect("readable")
}

fn numbers(entries: &[LogEntry]) -> Vec<u64> {
    for found in entries {
        assert_eq!(found.bytes, entry(found.sequence, found.bytes.len()));
    }
    entries.iter().map(|entry| entry.sequence).collect()
}

async fn appended_entries_are_read_in_order(subject: impl Subject) {
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    assert_eq!(numbers(&read(&store, log, 0).await), [0; 0]);
    let none = store.append(log, Vec::new()).await;
    assert_eq!(none.expect("nothing to do"), [0; 0]);
    append(&store, log, 3, 10).await;
    append(&store, log, 1, MAX_ENTRY_BYTES).await;
    append(&store, log, 200, 40_000).await;
    let all: Vec<u64> = (1..=204).collect();
    assert_eq!(numbers(&read(&store, log, 0).await), all);
    assert_eq!(numbers(&read(&store, log, 4).await), all[3..]);
    drop(store);

    let store = subject.open();
    assert_eq!(store.sweep().await.expect("swept"), 0);
    for from in [1, 2, 150, 204, 205, u64::MAX] {
        let found = numbers(&read(&store, log, from).await);
        assert_eq!(found, all[(from.min(205) - 1) as usize..]);
    }
    append(&store, log, 1, 8).await;
    assert_eq!(numbers(&read(&store, log, 205).await), [205]);
}

async fn a_read_is_bounded_by_entries_and_by_bytes(subject: impl Subject) {
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    append(&store, log, 10, 100).await;
    let read = async |from, n_entries, n_bytes| {
        let read = store.read_log(log, from, n_entries, n_bytes).await;
        numbers(&read.expect("readable"))
    };
    assert_eq!(read(3, 2, usize::MAX).await, [3, 4]);
    assert_eq!(read(3, 0, usize::MAX).await, [0; 0]);
    assert_eq!(read(3, 9, 300).await, [3, 4, 5]);
    assert_eq!(read(3, 9, 399).await, [3, 4, 5]);
    assert_eq!(read(3, 9, 0).await, [3], "one at least");
}

async fn dropped_entries_stay_dropped_and_numbers_continue(subject: impl Subject) {
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    append(&store, log, 100, 50_000).await;
    let trimmed = store.trim_log(log, Retain::From(30)).await;
    trimmed.expect("trimmed");
    let trimmed = store.trim_log(log, Retain::From(7)).await;
    trimmed.expect("trimmed already");
    let kept: Vec<u64> = (30..=100).collect();
    assert_eq!(numbers(&read(&store, log, 1).await), kept);
    assert_eq!(bounds(&store, log).await.first, 30);
    drop(store);

    let store = subject.open();
    assert_eq!(numbers(&read(&store, log, 1).await), kept);
    let trimmed = store.trim_log(log, Retain::From(u64::MAX)).await;
    trimmed.expect("emptied");
    let now = bounds(&store, log).await;
    assert_eq!((now.first, now.next, now.n_bytes), (101, 101, 0));
    drop(store);

    let store = subject.open();
    append(&store, log, 2, 10).await;
    assert_eq!(numbers(&read(&store, log, 1).await), [101, 102]);
}

async fn the_newest_bytes_are_kept(subject: impl Subject) {
    const KEPT: u64 = 4 << 20;
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    for _ in 0..60 {
        append(&store, log, 10, 20_000).await;
        let trimmed = store.trim_log(log, Retain::Bytes(KEPT)).await;
        trimmed.expect("trimmed");
    }
    let now = bounds(&store, log).await;
    assert!(now.first > 1 && now.next == 601);
    assert!((KEPT..KEPT * 13 / 10).contains(&now.n_bytes), "{now:?}");
    let kept: Vec<u64> = (now.first..601).collect();
    assert_eq!(numbers(&read(&store, log, 1).await), kept);
}

async fn a_deleted_log_is_gone_for_everyone(subject: impl Subject) {
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    let other = new_log(&store, b"l").await;
    append(&store, log, 5, 10).await;
    append(&store, other, 5, 10).await;
    store.delete_log(log).await.expect("deleted");
    store
        .delete_log(log)
        .await
        .expect("deleting again is no error");
    for _ in 0..2 {
        let errors = [
            store.append(log, vec![entry(6, 10)]).await.map(drop),
            store.read_log(log, 1, 1, 1).await.map(drop),
            store.log_bounds(log).await.map(drop),
            store.trim_log(log, Retain::From(2)).await,
        ];
        for error in errors {
            assert!(matches!(error, Err(StoreError::LogNotFound)), "{error:?}");
        }
    }
    assert_eq!(read(&store, other, 1).await.len(), 5);
    drop(store);
    let store = subject.open();
    let gone = store.log_bounds(log).await;
    assert!(matches!(gone, Err(StoreError::LogNotFound)), "{gone:?}");
    assert_eq!(read(&store, other, 1).await.len(), 5);
}

async fn entries_over_the_limit_are_refused_whole(subject: impl Subject) {
    let store = subject.open();
    let log = new_log(&store, b"k").await;
    let entries = vec![entry(1, 8), vec![0; MAX_ENTRY_BYTES + 1].into()];
    let refused = store.append(log, entries).await;
    assert!(
        matches!(refused, Err(StoreError::TooLarge { .. })),
        "{refused:?}"
    );
    assert_eq!(bounds(&store, log).await.next, 1);
    append(&store, log, 1, 8).await;
}

async fn many_writers_share_a_log_and_many_logs_a_store(subject: impl Subject) {
    const LOGS: usize = 40;
    const WRITERS: usize = 3;
    const APPENDS: usize = 12;
    let store = Arc::new(subject.open());
    let mut writers = tokio::task::JoinSet::new();
    for l in 0..LOGS {
        let log = new_log(&*store, &[l as u8]).await;
        for writer in 0..WRITERS {
            let store = store.clone();
            writers.spawn(async move {
                let mut mine = BTreeMap::new();
                for i in 0..APPENDS {
                    let text = format!("{l}/{writer}/{i}");
                    let entries = vec![text.clone().into(), text.clone().into()];
                    let numbers = store.append(log, entries).await.expect("appended");
                    let [first, second] = numbers[..] else {
                        panic!("two entries, {numbers:?}");
                    };
                    assert!(first < second);
                    mine.insert(first, text.clone());
                    mine.insert(second, text);
                }
                (log, mine)
            });
        }
    }
    let mut expected: BTreeMap<LogName, BTreeMap<u64, String>> = BTreeMap::new();
    for (log, mine) in writers.join_all().await {
        let of_log = expected.entry(log).or_default();
        for (number, text) in mine {
            assert_eq!(of_log.insert(number, text), None, "a number given twice");
        }
    }
    drop(store);
    let store = subject.open();
    for (log, expected) in expected {
        assert_eq!(expected.len(), 2 * WRITERS * APPENDS);
        let found = read(&store, log, 1).await.into_iter().map(|entry| {
            let text = String::from_utf8(entry.bytes.to_vec());
            (entry.sequence, text.expect("a text"))
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize, usize),
    Trim(u64),
    Read(u64, usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..5_usize, 8..300_000_usize).prop_map(|(n, size)| Step::Append(n, size)),
        1 => (0..40_u64).prop_map(Step::Trim),
        4 => (0..40_u64, 0..9_usize).prop_map(|(from, n)| Step::Read(from, n)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

async fn behave_like_a_list(subject: impl Subject, steps: Vec<Step>) {
    let mut store = subject.open();
    let log = new_log(&store, b"k").await;
    let (mut first, mut next) = (1, 1);
    for step in steps {
        match step {
            Step::Append(n, size) => {
                append(&store, log, n as u64, size).await;
                next += n as u64;
            }
            Step::Trim(from) => {
                let trimmed = store.trim_log(log, Retain::From(from)).await;
                trimmed.expect("trimmed");
                first = first.max(from.min(next));
            }
            Step::Read(from, n) => {
                let read = store.read_log(log, from, n, usize::MAX).await;
                let expected: Vec<u64> = (from.max(first)..next).take(n).collect();
                assert_eq!(numbers(&read.expect("readable")), expected);
            }
            Step::Reopen => {
                drop(store);
                store = subject.open();
            }
        }
        let now = bounds(&store, log).await;
        assert_eq!((now.first, now.next), (first, next));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn it_behaves_like_a_list(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(behave_like_a_list(Memory::new(), steps.clone()));
        runtime.block_on(behave_like_a_list(Embedded::new(), steps));
    }
}
