use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::FileExt as _;

use anomalyd::store::{BlobRef, BlobWriter as _, Store, StoreError, sweep};

use crate::{file_names, folder, open};

#[tokio::test]
async fn a_blob_is_read_as_it_was_written() {
    let folder = folder();
    let store = open(folder.path());
    for size in [0, 1, 1 << 18, (1 << 20) + 1] {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let blob = store.put_blob(bytes.clone()).await.expect("a blob");
        assert_eq!(blob.size, size);
        assert_eq!(store.get_blob(&blob).await.expect("the blob"), bytes);
    }
}

#[tokio::test]
async fn equal_blobs_are_apart() {
    let folder = folder();
    let store = open(folder.path());
    let one = store.put_blob(b"same".to_vec()).await.expect("a blob");
    let two = store.put_blob(b"same".to_vec()).await.expect("a blob");
    assert_ne!(one.name, two.name);
    assert_eq!(one.sha256, two.sha256);
    store.delete_blob(one.name).await.expect("deleted");
    store
        .delete_blob(one.name)
        .await
        .expect("deleting again is no error");
    assert!(matches!(
        store.get_blob(&one).await,
        Err(StoreError::BlobNotFound)
    ));
    assert_eq!(store.get_blob(&two).await.expect("the other"), b"same");
    assert_eq!(store.list_blobs().await.expect("names"), [two.name]);
}

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
async fn damage_is_seen() {
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
    // a hostile reference cannot make it allocate
    let huge = BlobRef {
        size: u64::MAX,
        ..blob
    };
    assert!(matches!(
        store.get_blob(&huge).await,
        Err(StoreError::Damaged { .. })
    ));
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
fn a_blob_that_nobody_waits_for_goes_away() {
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
        // work is begun in order, so by now all of it has begun
        let wanted = store.put_blob(vec![4]).await.expect("a blob");
        store.delete_blob(wanted.name).await.expect("deleted");
    });
    // waits for the work that has begun
    drop(runtime);
    assert_eq!(file_names(&folder.path().join("blobs")), [""; 0]);
}

#[tokio::test]
async fn sweeping_deletes_what_nobody_refers_to() {
    let folder = folder();
    let store = open(folder.path());
    let mut blobs = Vec::new();
    for i in 0..6 {
        blobs.push(store.put_blob(vec![i]).await.expect("a blob"));
    }
    let kept: HashSet<_> = blobs[..2].iter().map(|blob| blob.name).collect();
    assert_eq!(sweep(&store, &kept).await.expect("swept"), 4);
    let left: HashSet<_> = store
        .list_blobs()
        .await
        .expect("names")
        .into_iter()
        .collect();
    assert_eq!(left, kept);
}

/// The bytes of a file at its beginning, wherever its cursor stands.
fn contents(file: &fs::File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().expect("metadata").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("readable");
    bytes
}

#[tokio::test]
async fn a_streamed_blob_is_what_was_streamed_however_it_was_cut() {
    let folder = folder();
    let store = open(folder.path());
    let bytes: Vec<u8> = (0..3_300_001_u32).map(|i| (i % 251) as u8).collect();
    let whole = store.put_blob(bytes.clone()).await.expect("a blob");
    for cut in [333, 1 << 16, (1 << 20) + 1, 2_000_000, bytes.len()] {
        let mut writer = store.begin_blob().await.expect("a writer");
        for part in bytes.chunks(cut) {
            writer.write(part.to_vec().into()).await.expect("written");
        }
        let blob = writer.finish().await.expect("a blob");
        assert_eq!((blob.sha256, blob.size), (whole.sha256, whole.size));
        assert_eq!(store.get_blob(&blob).await.expect("the blob"), bytes);
        let file = store.open_blob(&blob).await.expect("the file");
        assert_eq!(contents(&file), bytes);
    }
    let empty = store.begin_blob().await.expect("a writer");
    let empty = empty.finish().await.expect("a blob");
    assert_eq!(store.get_blob(&empty).await.expect("the blob"), b"");
}

#[test]
fn a_streamed_blob_that_is_not_finished_goes_away() {
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
        assert_eq!(store.list_blobs().await.expect("names"), []);
        let outside = writers.pop();
        // in the midst of a write and of the end
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
async fn an_open_blob_outlives_its_deletion_and_damage_is_seen_once_opened_anew() {
    let folder = folder();
    let store = open(folder.path());
    let kept = store.put_blob(vec![5; 1000]).await.expect("a blob");
    let deleted = store.put_blob(vec![6; 1000]).await.expect("a blob");
    let file = store.open_blob(&deleted).await.expect("the file");
    store.delete_blob(deleted.name).await.expect("deleted");
    assert_eq!(contents(&file), vec![6; 1000]);
    assert!(matches!(
        store.open_blob(&deleted).await,
        Err(StoreError::BlobNotFound)
    ));
    drop((file, store));

    let path = folder.path().join("blobs").join(kept.name.to_string());
    let mut bytes = vec![5; 1000];
    bytes[999] ^= 1;
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
