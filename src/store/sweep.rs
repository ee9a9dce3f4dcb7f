//! The clean-up at start: blobs that no record refers to, and the walk over all records that finds those that one does.

use std::collections::HashSet;

use super::{BlobName, Store, StoreError};

/// Deletes all blobs that are not among the `referenced`; how many.
///
/// For the start only, before anything is served: a blob that is being written is not referred to yet.
pub async fn sweep(
    store: &impl Store,
    referenced: &HashSet<BlobName>,
) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for name in store.list_blobs().await? {
        if !referenced.contains(&name) {
            store.delete_blob(name).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Gives every record whose key starts with `prefix`, in the order of the keys.
///
/// # Errors
/// Those of the store, and those of `each`, which end it.
pub async fn scan_all<E: From<StoreError>>(
    store: &impl Store,
    prefix: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    const PAGE: usize = 1000;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(prefix, after.as_deref(), PAGE).await?;
        for (key, value) in &page {
            each(key, value)?;
        }
        match page.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}
