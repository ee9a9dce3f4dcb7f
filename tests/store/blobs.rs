//! The files of blobs: damage, failed writes, and futures that are dropped.

use std::fs;

use anomalyd::store::{BlobReader as _, BlobRef, BlobWriter as _, Store, StoreError};

use crate::store::{file_names, folder, open};

#[tokio::test]
async fn a_reference_survives_its_encoding() {
    let folder = folder();
    let blob = open(folder.path()).put_blob(vec![1]).await.expect("a blob");
    let packed = rmp_serde::to_vec_named(&blob).expect("encodable");
    assert_eq!(
        rmp_serde::from_slice::<BlobRef>(&packed).expect("decodable"),
        blob
    );
    assert!(
        packed.len() < 100,
        "names and hashes are bytes, not numbers"
    );
}

#[tokio::test]
async fn damage_is_detected() {
    let folder = folder();
    let store = open(folder.path());
    let blob = store.put_blob(vec![5; 1000]).await.expect("a blob");
    let path = folder.path().join("blobs").join(blob.name.to_string());
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[999] ^= 1,
        |bytes| bytes.truncate(999),
        |bytes| bytes.push(5),
        |bytes| bytes.clear(),
    ];
    for damage in damages {
        let mut bytes = vec![5; 1000];
        damage(&mut bytes);
        fs::write(&path, bytes).expect("writable");
        assert!(matches!(
            store.get_blob(&blob).await,
            Err(StoreError::Damaged { .. })
        ));
    }
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_behind() {
    let folder = folder();
    let store = open(folder.path());
    let blobs = folder.path().join("blobs");
    fs::remove_dir(&blobs).expect("an empty folder");
    assert!(matches!(
        store.put_blob(vec![1]).await,
        Err(StoreError::Io { .. })
    ));
    fs::create_dir(&blobs).expect("a folder");
    store
        .put_blob(vec![1])
        .await
        .expect("a later blob is written");
    assert_eq!(file_names(&blobs).len(), 1);
}

#[test]
fn a_blob_whose_future_is_dropped_is_deleted() {
    let folder = folder();
    let store = open(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..20 {
            // polled once, so that the work is under way, then dropped
            tokio::select! {
                biased;
                _ = store.put_blob(vec![3; 2_000_000]) => panic!("written within one poll"),
                () = std::future::ready(()) => {}
            }
        }
        // work starts in order, so all of it has started by now
        let wanted = store.put_blob(vec![4]).await.expect("a blob");
        store.delete_blob(wanted.name).await.expect("deleted");
    });
    // waits for the work that has begun
    drop(runtime);
    assert_eq!(file_names(&folder.path().join("blobs")), [""; 0]);
}

#[test]
fn a_streamed_blob_that_is_not_finished_is_deleted() {
    let folder = folder();
    let store = open(folder.path());
    let blobs = folder.path().join("blobs");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outside = runtime.block_on(async {
        let mut writers = Vec::new();
        for n_bytes in [0, 10, 1 << 20, 3 << 20] {
            let mut writer = store.begin_blob().await.expect("a writer");
            let bytes = vec![7; n_bytes].into();
            writer.write(bytes).await.expect("written");
            writers.push(writer);
        }
        assert_eq!(file_names(&blobs).len(), 4);
        assert!(file_names(&blobs).iter().all(|name| name.ends_with(".tmp")));
        let outside = writers.pop();
        // in the middle of a write, and of the finish
        for mut writer in writers {
            let is_written = tokio::select! {
                biased;
                written = writer.write(vec![7; 2 << 20].into()) => written.is_ok(),
                () = std::future::ready(()) => false,
            };
            match writer.finish().await {
                Ok(blob) if is_written => store.delete_blob(blob.name).await.expect("deleted"),
                outcome => assert!(outcome.is_err() && !is_written, "it has a gap: {outcome:?}"),
            }
        }
        let writer = store.begin_blob().await.expect("a writer");
        tokio::select! {
            biased;
            blob = writer.finish() => {
                let blob = blob.expect("a blob");
                store.delete_blob(blob.name).await.expect("deleted");
            }
            () = std::future::ready(()) => {}
        }
        outside
    });
    drop(outside);
    // waits for the work that has begun
    drop(runtime);
    assert_eq!(file_names(&blobs), [""; 0]);
}

#[tokio::test]
async fn half_of_a_streamed_blob_is_gone_after_a_crash() {
    let folder = folder();
    let store = open(folder.path());
    let blobs = folder.path().join("blobs");
    let mut writer = store.begin_blob().await.expect("a writer");
    let bytes = vec![7; 2 << 20].into();
    writer.write(bytes).await.expect("written");
    let half = file_names(&blobs).remove(0);
    let blob = writer.finish().await.expect("a blob");
    drop(store);
    // as a kill would have left it
    fs::write(blobs.join(&half), [7; 10]).expect("writable");
    drop(open(folder.path()));
    assert_eq!(file_names(&blobs), [blob.name.to_string()]);
}

#[tokio::test]
async fn damage_is_detected_when_a_blob_is_opened_after_a_restart() {
    let folder = folder();
    let store = open(folder.path());
    let kept = store.put_blob(vec![5; 1000]).await.expect("a blob");
    let reader = store.open_blob(&kept).await.expect("the blob");

    let path = folder.path().join("blobs").join(kept.name.to_string());
    let mut bytes = vec![5; 1000];
    bytes[999] ^= 1;
    fs::write(&path, &bytes[..500]).expect("writable");
    let mut buffer = [0; 100];
    let cut = reader.read_at(&mut buffer, 500).expect_err("it is cut");
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
    drop((reader, store));
    fs::write(&path, &bytes).expect("writable");
    let store = open(folder.path());
    assert!(matches!(
        store.open_blob(&kept).await,
        Err(StoreError::Damaged { .. })
    ));
    fs::write(&path, &bytes[..999]).expect("writable");
    assert!(matches!(
        store.open_blob(&kept).await,
        Err(StoreError::Damaged { .. })
    ));
}
