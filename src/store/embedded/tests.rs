use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::error::{Error, reason};
use crate::store::Record;

#[tokio::test]
async fn nothing_is_acknowledged_or_shown_before_it_is_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let (begun, begins) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let store = EmbeddedStore::open_with(folder.path(), StoreOptions::default(), |ledger| {
        move || {
            begun.send(()).expect("the test listens");
            let result: Result<(), StoreError> = may_go.recv().expect("the test answers");
            result.and_then(|()| ledger.flush())
        }
    });
    let store = Arc::new(store.expect("it opens"));
    let swap = |swap: PointerSwap| {
        let store = store.clone();
        tokio::spawn(async move { store.swap_pointer(&swap).await })
    };
    let pending = async |read: &mut (dyn Future<Output = ()> + Unpin)| {
        tokio::time::timeout(Duration::from_millis(20), read)
            .await
            .is_err()
    };

    let write = swap(PointerSwap::put(b"k", None, Record::new(vec![1])));
    while begins.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    // applied and in the midst of its flush
    let mut read = Box::pin(async {
        let pointer = store.get_pointer(b"k").await.expect("readable");
        assert_eq!(pointer.expect("there").value, [1]);
    });
    let mut scan = Box::pin(async {
        let entries = store.scan(b"", None, 10).await.expect("readable");
        assert_eq!(entries.len(), 1);
    });
    assert!(pending(&mut read).await && pending(&mut scan).await && !write.is_finished());
    go.send(Ok(())).expect("the flush waits");
    assert_eq!(
        write.await.expect("no panic").expect("an outcome"),
        Swap::Done
    );
    read.await;
    scan.await;

    let revision = store
        .get_pointer(b"k")
        .await
        .expect("readable")
        .expect("there")
        .revision;
    let delete = swap(PointerSwap::remove(b"k", revision));
    while begins.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let mut read = Box::pin(async {
        let error = store
            .get_pointer(b"k")
            .await
            .expect_err("it may still be there");
        assert!(matches!(error, StoreError::Failed { .. }));
    });
    assert!(pending(&mut read).await && !delete.is_finished());
    let error = StoreError::io("flush")(std::io::Error::other("disk gone"));
    go.send(Err(error)).expect("the flush waits");
    let outcome = delete.await.expect("no panic");
    assert!(
        matches!(outcome, Err(StoreError::Unknown { .. })),
        "{outcome:?}"
    );
    read.await;
}

#[tokio::test]
async fn a_check_in_use_lists_damaged_records_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = None;
    let store = EmbeddedStore::open_with(folder.path(), StoreOptions::default(), |used| {
        ledger = Some(Arc::clone(&used));
        move || used.flush()
    });
    let (store, ledger) = (store.expect("it opens"), ledger.expect("in use"));
    let database = ledger.database();
    let log = store.create_log().await.expect("a log");
    let blob = store.put_blob(vec![1; 100]).await.expect("a blob");
    for (key, record) in [
        (b"a", Record::new(vec![1])),
        (b"b", Record::with_blobs(vec![2], vec![blob.id()])),
    ] {
        let swap = PointerSwap::put(key, None, record);
        assert_eq!(store.swap_pointer(&swap).await.expect("put"), Swap::Done);
    }
    let check = async || {
        let report = store.check(Arc::default()).await.expect("readable");
        (report.n_records, report.n_blobs, report.losses)
    };
    assert_eq!(check().await, (2, 1, vec![]));

    let stored = database.get(b"a").expect("readable").expect("there");
    let mut damaged = stored.to_vec();
    damaged[stored.len() - 1] ^= 1;
    database.insert(b"a", damaged).expect("put");
    let (n_records, n_blobs, losses) = check().await;
    assert_eq!((n_records, n_blobs), (1, 1), "what is whole was read");
    let [first, second] = &losses[..] else {
        panic!("{losses:?}");
    };
    assert!(first.contains("1 records that are not those"), "{first}");
    assert!(second.contains("the record under the key 61"), "{second}");
    database.insert(b"a", stored.to_vec()).expect("put");
    assert_eq!(check().await.2, [""; 0]);

    // the marks are read, too
    for mark in ["meta.mark", "logs.mark"] {
        let path = folder.path().join(mark);
        let bytes = std::fs::read(&path).expect("readable");
        std::fs::write(&path, vec![0; bytes.len()]).expect("writable");
        let losses = check().await.2;
        assert!(
            losses.len() == 1 && losses[0].contains("its mark is damaged"),
            "{losses:?}"
        );
        std::fs::write(&path, bytes).expect("writable");
    }
    assert!(
        store
            .read_log(log, 0, 1, 1)
            .await
            .expect("readable")
            .is_empty()
    );
}

#[tokio::test]
async fn work_that_panics_is_a_defect_and_the_store_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(folder.path(), StoreOptions::default()).expect("it opens");
    let log = store.create_log().await.expect("a log");
    let panicked = [
        store
            .blocking(|_| -> Result<(), _> { panic!("a defect") })
            .await,
        store
            .on_logs(|_| -> Result<Answer<()>, _> { panic!("a defect") })
            .await,
    ];
    for outcome in panicked {
        let error = outcome.expect_err("it panicked");
        assert!(matches!(error, StoreError::Panicked { .. }), "{error}");
        assert_eq!(Error::from(error).reason(), reason::INTERNAL);
    }
    let swap = PointerSwap::put(b"k", None, Record::new(vec![1]));
    assert_eq!(
        store.swap_pointer(&swap).await.expect("it works"),
        Swap::Done
    );
    let appended = store.append(log, vec![Bytes::from_static(b"x")]).await;
    assert_eq!(appended.expect("it works").len(), 1);
}
