//! A disk that refuses to write, simulated by a limit on the size of files.

use std::path::Path;
use std::time::Duration;

use anomalyd::store::{MAX_ENTRY_BYTES, PointerSwap, Record, Store, StoreError, Swap};

use crate::store::{child, file_names, folder, get, open};

/// The work of the child, whose files must stay small.
async fn write_into_the_limit(folder: &Path) {
    let store = open(folder);

    let error = store
        .put_blob(vec![1; 16 << 20])
        .await
        .expect_err("over the limit");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(
        file_names(&folder.join("blobs")).is_empty(),
        "nothing is left behind"
    );
    store
        .put_blob(vec![1])
        .await
        .expect("the store still works");

    let log = store.create_log().await.expect("a log");
    let huge = vec![vec![1; MAX_ENTRY_BYTES].into(); 32];
    let error = store.append(log, huge).await.expect_err("over the limit");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    let numbers = store.append(log, vec![vec![2].into()]).await;
    assert_eq!(numbers.expect("the log still works"), [1]);
    let read = store.read_log(log, 0, 9, 9).await.expect("readable");
    assert_eq!((read.len(), &read[0].bytes[..]), (1, &[2][..]));

    let swap = |i: u32| {
        let record = Record::new(vec![1; 6000]);
        PointerSwap::put(&i.to_be_bytes(), None, record)
    };
    for i in 0..10_000_u32 {
        match store.swap_pointer(&swap(i)).await {
            Ok(outcome) => {
                assert_eq!(outcome, Swap::Done);
                child::send_line(&i.to_string());
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
                break;
            }
        }
    }
    let failed = tokio::time::timeout(Duration::from_secs(60), store.failed()).await;
    assert!(
        matches!(failed, Ok(StoreError::Failed { .. })),
        "{failed:?}"
    );
    assert!(matches!(
        store.get_pointer(b"k").await,
        Err(StoreError::Failed { .. })
    ));
    assert!(matches!(
        store.put_blob(vec![1]).await,
        Err(StoreError::Failed { .. })
    ));
    let swap = store.swap_pointer(&swap(20_000)).await;
    assert!(matches!(swap, Err(StoreError::Failed { .. })));
    let append = store.append(log, vec![vec![3].into()]).await;
    assert!(matches!(append, Err(StoreError::Failed { .. })));
    drop(store);
    child::send_line("closed");
}

#[tokio::test]
async fn a_failing_disk_stops_the_store_and_loses_nothing() {
    if let Some(folder) = child::folder() {
        return write_into_the_limit(&folder).await;
    }
    let folder = folder();
    // 8192 blocks of 512 bytes, or of 1024 in some shells
    let shell = "trap '' XFSZ; ulimit -f 8192;";
    let test = "store::write_errors::a_failing_disk_stops_the_store_and_loses_nothing";
    let output = child::command(test, folder.path(), shell)
        .output()
        .expect("a child");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut lines = child::received_lines(&output.stdout);
    assert_eq!(lines.pop().as_deref(), Some("closed"));
    assert!(lines.len() > 100);

    let store = open(folder.path());
    for number in lines {
        let key = number.parse::<u32>().expect("a number").to_be_bytes();
        assert_eq!(get(&store, &key).await.expect("kept").value, vec![1; 6000]);
    }
}
