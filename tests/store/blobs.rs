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
async fn a_trailer_that_changed_is_detected() {
    let folder = folder();
    let store = open(folder.path());
    let blob = store.put_blob(vec![5; 20_000]).await.expect("a blob");
    let other = store.put_blob(vec![6; 20_000]).await.expect("a blob");
    let path = |blob: &BlobRef| folder.path().join("blobs").join(blob.name.to_string());
    let bytes = fs::read(path(&blob)).expect("the file");
    for at in 20_000..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(path(&blob), changed).expect("writable");
        let opened = store.open_blob(&blob).await;
        assert!(
            matches!(opened, Err(StoreError::Damaged { .. })),
            "byte {at}: {opened:?}"
        );
        // the content is whole
        assert_eq!(store.get_blob(&blob).await.expect("the blob"), [5; 20_000]);
    }
    fs::copy(path(&other), path(&blob)).expect("writable");
    let opened = store.open_blob(&blob).await;
    assert!(
        matches!(opened, Err(StoreError::Damaged { .. })),
        "{opened:?}"
    );
    let whole = store.get_blob(&blob).await;
    assert!(
        matches!(whole, Err(StoreError::Damaged { .. })),
        "{whole:?}"
    );
}

#[tokio::test]
async fn a_file_that_becomes_shorter_while_it_is_read_is_an_error() {
    let folder = folder();
    let store = open(folder.path());
    let blob = store.put_blob(vec![5; 50_000]).await.expect("a blob");
    let reader = store.open_blob(&blob).await.expect("the blob");
    let path = folder.path().join("blobs").join(blob.name.to_string());
    fs::write(&path, [5; 40_000]).expect("writable");
    let mut buffer = [0; 1000];
    assert_eq!(reader.read_at(&mut buffer, 0).expect("still there"), 1000);
    for offset in [39_000, 40_000, 49_000] {
        let cut = reader.read_at(&mut buffer, offset);
        assert!(matches!(cut, Err(StoreError::Damaged { .. })), "{cut:?}");
    }
}
