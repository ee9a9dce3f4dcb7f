use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anomalyd::store::{EmbeddedStore, Record, Store, StoreError, StoreOptions, TokenKey};

use crate::store::{file_names, folder, get, open, put};

fn refusal(folder: &Path, token_key: Option<TokenKey>) -> String {
    let options = StoreOptions {
        token_key,
        ..StoreOptions::default()
    };
    match EmbeddedStore::open(folder, options) {
        Err(StoreError::Refused(message)) => message,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it opened"),
    }
}

fn key(byte: u8) -> TokenKey {
    TokenKey::from_bytes([byte; 32])
}

#[tokio::test]
async fn a_folder_is_open_in_one_store_at_a_time() {
    let folder = folder();
    let store = open(folder.path());
    let message = refusal(folder.path(), None);
    assert!(
        message.contains("in use: another process holds"),
        "{message}"
    );
    put(&store, b"k", Record::new(b"v".to_vec())).await;
    drop(store);
    assert_eq!(
        get(&open(folder.path()), b"k").await.expect("kept").value,
        b"v"
    );
}

#[test]
fn other_users_may_not_read_the_files() {
    let folder = folder();
    let inner = folder.path().join("deeper/store");
    drop(open(&inner));
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&inner.join("token.key")), 0o600);
}

#[tokio::test]
async fn a_store_opens_over_what_a_crash_left() {
    let folder = folder();
    let store = open(folder.path());
    put(&store, b"k", Record::new(b"v".to_vec())).await;
    let blob = store.put_blob(vec![1]).await.expect("a blob");
    drop(store);
    let at = |name: &str| folder.path().join(name);
    for name in [
        "meta/snap.00000000FFFFFFFF.generating",
        "meta/snap.0000000000000000.generating",
    ] {
        fs::write(at(name), "").expect("writable");
    }
    fs::write(at("blobs/0123456789abcdef0123456789abcdef.tmp"), "half").expect("writable");
    let store = open(folder.path());
    assert_eq!(get(&store, b"k").await.expect("kept").value, b"v");
    assert_eq!(file_names(&at("blobs")), [blob.name.to_string()]);
}

#[tokio::test]
async fn an_interrupted_creation_starts_over() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // a kill while sled wrote the settings of a new database, and another while the key was written
    fs::create_dir(at("meta.new")).expect("writable");
    fs::write(
        at("meta.new/conf"),
        "segment_size: 524288\nuse_compression: false\nversion: 0.34\n",
    )
    .expect("writable");
    fs::write(at("token.key.tmp"), "12").expect("writable");
    put(&open(folder.path()), b"k", Record::new(b"v".to_vec())).await;
    assert!(!at("meta.new").exists() && !at("token.key.tmp").exists());
}

#[tokio::test]
async fn a_damaged_database_is_an_error_and_no_panic() {
    let folder = folder();
    let store = open(folder.path());
    for i in 0..100_u32 {
        put(&store, &i.to_be_bytes(), Record::new(vec![1; 2000])).await;
    }
    drop(store);
    drop(open(folder.path()));
    let snapshots: Vec<_> = file_names(&folder.path().join("meta"))
        .into_iter()
        .filter(|name| name.starts_with("snap."))
        .collect();
    assert!(!snapshots.is_empty());
    for name in snapshots {
        fs::write(folder.path().join("meta").join(name), [0; 100]).expect("writable");
    }
    let message = refusal(folder.path(), None);
    assert!(
        message.contains("the database of the records, meta: the database is damaged"),
        "{message}"
    );
}

#[test]
fn a_store_without_its_key_is_refused() {
    let folder = folder();
    drop(open(folder.path()));
    let path = folder.path().join("token.key");
    let text = fs::read_to_string(&path).expect("the key");

    fs::remove_file(&path).expect("removable");
    let message = refusal(folder.path(), None);
    assert!(message.contains("token.key is missing"), "{message}");
    assert!(!path.exists(), "no new key is made");

    fs::write(&path, "ab".repeat(32)).expect("writable");
    let message = refusal(folder.path(), None);
    assert!(message.contains("is not the one"), "{message}");
    assert!(!message.contains("abab"), "the key is not printed");

    fs::write(&path, &text[..40]).expect("writable");
    let message = refusal(folder.path(), None);
    assert!(message.contains("is damaged"), "{message}");
    assert!(!message.contains(&text[..8]), "the key is not printed");

    fs::write(&path, &text).expect("writable");
    drop(open(folder.path()));
}

#[test]
fn a_configured_key_must_stay_the_same() {
    let folder = folder();
    let options = StoreOptions {
        token_key: Some(key(1)),
        ..StoreOptions::default()
    };
    let store = EmbeddedStore::open(folder.path(), options).expect("it opens");
    assert!(
        !folder.path().join("token.key").exists(),
        "a configured key is not written"
    );
    drop(store);
    assert!(refusal(folder.path(), Some(key(2))).contains("is not the one"));
    assert!(refusal(folder.path(), None).contains("token.key is missing"));
}

#[test]
fn a_damaged_key_file_does_not_matter_beside_a_configured_key() {
    let folder = folder();
    fs::write(folder.path().join("token.key"), "damaged").expect("writable");
    assert!(refusal(folder.path(), None).contains("is damaged"));
    let options = StoreOptions {
        token_key: Some(key(1)),
        ..StoreOptions::default()
    };
    EmbeddedStore::open(folder.path(), options).expect("it opens");
}

/// Otherwise a sweep would take all blobs for unreferenced ones.
#[tokio::test]
async fn blobs_without_a_database_are_refused() {
    let folder = folder();
    open(folder.path()).put_blob(vec![1]).await.expect("a blob");
    fs::remove_dir_all(folder.path().join("meta")).expect("removable");
    let message = refusal(folder.path(), None);
    assert!(message.contains("meta: it is missing"), "{message}");
    // not even if the mark is gone, too
    fs::remove_file(folder.path().join("meta.mark")).expect("removable");
    let message = refusal(folder.path(), None);
    assert!(message.contains("1 blobs are there"), "{message}");
    assert_eq!(file_names(&folder.path().join("blobs")).len(), 1);
}
