use std::collections::HashSet;
use std::fs;

use anomalyd::store::{BlobRef, Store, StoreError, sweep};

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
