//! Processes that share a store, one after the other or at once.

use anomalyd::store::{MemoryStore, Record, Store as _, StoreError, TokenKey};

use super::Subject;
use crate::store::{get, put};

super::contract!(tokens_have_the_same_owners_after_a_restart);

async fn tokens_have_the_same_owners_after_a_restart(subject: impl Subject) {
    let owner = subject.open().token_hasher().owner_of(b"token");
    assert_eq!(subject.open().token_hasher().owner_of(b"token"), owner);
    assert_ne!(subject.open().token_hasher().anonymous(), owner);
}

#[tokio::test]
async fn a_store_that_is_cut_off_comes_back_with_everything() {
    let store = MemoryStore::new(&TokenKey::from_bytes([1; 32]));
    put(&store, b"k", Record::new(vec![1])).await;
    let blob = store.put_blob(vec![1]).await.expect("a blob");
    let log = store.create_log().await.expect("a log");
    let other = store.share();
    store.cut_off(true);
    let errors = [
        other.get_pointer(b"k").await.map(drop),
        other.scan(b"", None, 1).await.map(drop),
        other.get_blob(&blob).await.map(drop),
        other.put_blob(vec![2]).await.map(drop),
        other.append(log, vec![vec![1].into()]).await.map(drop),
        other.sweep().await.map(drop),
    ];
    for error in errors {
        assert!(
            matches!(error, Err(StoreError::Unavailable { .. })),
            "{error:?}"
        );
    }
    store.cut_off(false);
    assert_eq!(get(&other, b"k").await.expect("there").value, [1]);
    assert_eq!(other.get_blob(&blob).await.expect("there"), [1]);
    assert_eq!(other.log_bounds(log).await.expect("there").next, 1);
}
