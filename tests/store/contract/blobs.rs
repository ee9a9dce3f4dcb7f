//! Blobs are read as they were written.

use anomalyd::store::{BlobReader, BlobRef, BlobWriter as _, Store, StoreError};

use super::Subject;

super::contract!(
    a_blob_is_read_as_it_was_written,
    equal_blobs_are_separate,
    a_reference_that_does_not_match_is_refused,
    a_streamed_blob_is_the_same_however_it_was_cut,
    an_open_blob_outlives_its_deletion,
    changed_bytes_are_never_read,
    a_blob_of_another_length_is_never_read,
);

/// The bytes of an open blob, read in small steps.
fn contents(reader: &impl BlobReader, step: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; step];
    loop {
        let n = reader.read_at(&mut buffer, bytes.len() as u64);
        match n.expect("readable") {
            0 => return bytes,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

async fn a_blob_is_read_as_it_was_written(subject: impl Subject) {
    let store = subject.open();
    for size in [0, 1, 1 << 18, (1 << 20) + 1] {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let blob = store.put_blob(bytes.clone()).await.expect("a blob");
        assert_eq!(blob.size, size);
        assert_eq!(store.get_blob(&blob).await.expect("the blob"), bytes);
        let reader = store.open_blob(&blob).await.expect("the blob");
        assert_eq!(contents(&reader, 4001), bytes);
        let mut buffer = [0; 10];
        for behind in [size, size + 1, u64::MAX] {
            assert_eq!(reader.read_at(&mut buffer, behind).expect("no error"), 0);
        }
    }
}

async fn equal_blobs_are_separate(subject: impl Subject) {
    let store = subject.open();
    let one = store.put_blob(b"same".to_vec()).await.expect("a blob");
    let two = store.put_blob(b"same".to_vec()).await.expect("a blob");
    assert_ne!(one.name, two.name);
    assert_eq!(one.sha256, two.sha256);
    store.delete_blob(one.name).await.expect("deleted");
    store
        .delete_blob(one.name)
        .await
        .expect("deleting again is no error");
    let gone = store.get_blob(&one).await;
    assert!(
        matches!(gone, Err(StoreError::BlobNotFound { .. })),
        "{gone:?}"
    );
    let gone = store.open_blob(&one).await;
    assert!(
        matches!(gone, Err(StoreError::BlobNotFound { .. })),
        "{gone:?}"
    );
    assert_eq!(store.get_blob(&two).await.expect("the other"), b"same");
}

async fn a_reference_that_does_not_match_is_refused(subject: impl Subject) {
    let store = subject.open();
    let blob = store.put_blob(vec![5; 1000]).await.expect("a blob");
    drop(store);
    let store = subject.open();
    let others = [
        BlobRef {
            sha256: [0; 32],
            ..blob.clone()
        },
        BlobRef {
            size: 999,
            ..blob.clone()
        },
        // a hostile reference cannot make it allocate
        BlobRef {
            size: u64::MAX,
            ..blob.clone()
        },
    ];
    for other in others {
        let read = store.get_blob(&other).await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
        let opened = store.open_blob(&other).await;
        assert!(
            matches!(opened, Err(StoreError::Damaged { .. })),
            "{opened:?}"
        );
    }
    assert_eq!(store.get_blob(&blob).await.expect("the blob").len(), 1000);
}

async fn a_streamed_blob_is_the_same_however_it_was_cut(subject: impl Subject) {
    let store = subject.open();
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
        let reader = store.open_blob(&blob).await.expect("the blob");
        assert_eq!(contents(&reader, cut), bytes);
    }
    let empty = store.begin_blob().await.expect("a writer");
    let empty = empty.finish().await.expect("a blob");
    assert_eq!(store.get_blob(&empty).await.expect("the blob"), b"");
}

async fn an_open_blob_outlives_its_deletion(subject: impl Subject) {
    let store = subject.open();
    let blob = store.put_blob(vec![6; 1000]).await.expect("a blob");
    let reader = store.open_blob(&blob).await.expect("the blob");
    store.delete_blob(blob.name).await.expect("deleted");
    assert_eq!(contents(&reader, 300), vec![6; 1000]);
    let again = store.open_blob(&blob).await;
    assert!(
        matches!(again, Err(StoreError::BlobNotFound { .. })),
        "{again:?}"
    );
}

/// Blobs of some chunks and a part of one, written in both ways.
async fn large_blobs(store: &impl Store) -> (Vec<u8>, [BlobRef; 2]) {
    let bytes: Vec<u8> = (0..150_001_u32).map(|i| (i % 251) as u8).collect();
    let put = store.put_blob(bytes.clone()).await.expect("a blob");
    let mut writer = store.begin_blob().await.expect("a writer");
    for part in bytes.chunks(10_007) {
        writer.write(part.to_vec().into()).await.expect("written");
    }
    let streamed = writer.finish().await.expect("a blob");
    (bytes, [put, streamed])
}

/// What a reader gives of a blob in reads of `step` bytes, each of which is right or fails: whether none failed.
fn is_sound(reader: &impl BlobReader, bytes: &[u8], step: usize) -> bool {
    let mut is_sound = true;
    let mut buffer = vec![0; step];
    let mut offset = 0;
    while offset < bytes.len() {
        match reader.read_at(&mut buffer, offset as u64) {
            Ok(n) => {
                assert!(n > 0, "more is there");
                assert_eq!(&buffer[..n], &bytes[offset..offset + n], "at {offset}");
                offset += n;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                is_sound = false;
                offset += step;
            }
        }
    }
    is_sound
}

async fn changed_bytes_are_never_read(subject: impl Subject) {
    let store = subject.open();
    let (bytes, blobs) = large_blobs(&store).await;
    for blob in blobs {
        // its first use, after which it changes
        let earlier = store.open_blob(&blob).await.expect("the blob");
        assert!(is_sound(&earlier, &bytes, 1 << 20));
        for at in [0, 16_383, 16_384, 90_000, 150_000] {
            subject.change_blob(blob.name, |bytes| bytes[at] ^= 0x10);
            for step in [1 << 20, 1 << 16, 8192, 5000] {
                is_sound(&earlier, &bytes, step);
                let reader = store.open_blob(&blob).await.expect("its length is right");
                assert!(
                    !is_sound(&reader, &bytes, step),
                    "byte {at}, steps of {step}"
                );
            }
            let whole = store.get_blob(&blob).await;
            assert!(
                matches!(whole, Err(StoreError::Damaged { .. })),
                "{whole:?}"
            );

            subject.change_blob(blob.name, |bytes| bytes[at] ^= 0x10);
            let reader = store.open_blob(&blob).await.expect("the blob");
            assert!(is_sound(&reader, &bytes, 8192), "it is as it was");
            assert_eq!(store.get_blob(&blob).await.expect("the blob"), bytes);
        }
    }
}

async fn a_blob_of_another_length_is_never_read(subject: impl Subject) {
    let store = subject.open();
    let (bytes, blobs) = large_blobs(&store).await;
    let changes: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(100_000),
        |bytes| bytes.clear(),
        |bytes| bytes.push(0),
        |bytes| bytes.extend_from_within(..40_000),
    ];
    for blob in blobs {
        let mut stored = Vec::new();
        subject.change_blob(blob.name, |bytes| stored = bytes.clone());
        for change in changes {
            let earlier = store.open_blob(&blob).await.expect("the blob");
            subject.change_blob(blob.name, change);
            is_sound(&earlier, &bytes, 8192);
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
            subject.change_blob(blob.name, |bytes| *bytes = stored.clone());
        }
    }
}
