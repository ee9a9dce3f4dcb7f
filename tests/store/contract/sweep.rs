//! The sweep: removes what nothing refers to, once no process can be about to refer to it.

use anomalyd::store::{PointerSwap, Record, Store, StoreError, Swap};

use super::Subject;
use crate::store::{get, put};

super::contract!(
    a_sweep_deletes_what_a_crash_left_and_nothing_else,
    a_sweep_keeps_what_a_process_may_be_about_to_refer_to,
);

async fn a_sweep_deletes_what_a_crash_left_and_nothing_else(subject: impl Subject) {
    let store = subject.open();
    let mut blobs = Vec::new();
    let mut logs = Vec::new();
    for i in 0..6_u8 {
        blobs.push(store.put_blob(vec![i]).await.expect("a blob"));
        let log = store.create_log().await.expect("a log");
        let entry = vec![vec![i].into()];
        store.append(log, entry).await.expect("appended");
        logs.push(log);
    }
    let record = Record {
        value: Vec::new(),
        blobs: vec![blobs[0].id(), blobs[1].id()],
        logs: vec![logs[0]],
    };
    put(&store, b"a", record).await;
    let record = Record {
        logs: vec![logs[1]],
        ..Record::with_blobs(Vec::new(), vec![blobs[2].id()])
    };
    put(&store, b"b", record).await;
    put(
        &store,
        b"a",
        Record::with_blobs(Vec::new(), vec![blobs[1].id()]),
    )
    .await;
    drop(store);

    let store = subject.open();
    assert_eq!(store.sweep().await.expect("swept"), 4 + 5);
    assert_eq!(store.sweep().await.expect("swept"), 0);
    for (i, blob) in blobs.iter().enumerate() {
        let read = store.get_blob(blob).await;
        match [1, 2].contains(&i) {
            true => assert_eq!(read.expect("kept"), [i as u8]),
            false => assert!(
                matches!(read, Err(StoreError::BlobNotFound { .. })),
                "{read:?}"
            ),
        }
    }
    for (i, &log) in logs.iter().enumerate() {
        let bounds = store.log_bounds(log).await;
        match i {
            1 => assert_eq!(bounds.expect("kept").next, 2),
            _ => assert!(matches!(bounds, Err(StoreError::LogNotFound)), "{bounds:?}"),
        }
    }
}

async fn a_sweep_keeps_what_a_process_may_be_about_to_refer_to(subject: impl Subject) {
    let store = subject.open();
    let blob = store.put_blob(vec![1]).await.expect("a blob");
    let log = store.create_log().await.expect("a log");
    assert_eq!(store.sweep().await.expect("swept"), 0);
    let record = Record {
        logs: vec![log],
        ..Record::with_blobs(Vec::new(), vec![blob.id()])
    };
    put(&store, b"k", record).await;
    drop(store);

    let store = subject.open();
    assert_eq!(store.sweep().await.expect("swept"), 0);
    assert_eq!(store.get_blob(&blob).await.expect("kept"), [1]);
    // what is no longer referred to is deleted by the writer, or swept by a later process
    let there = get(&store, b"k").await.expect("there");
    let removal = PointerSwap::remove(b"k", there.revision);
    let outcome = store.swap_pointer(&removal).await.expect("an outcome");
    assert_eq!(outcome, Swap::Done);
    drop(store);
    let store = subject.open();
    assert_eq!(store.sweep().await.expect("swept"), 2);
}
