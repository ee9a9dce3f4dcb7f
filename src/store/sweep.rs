//! The clean-up at start: blobs that no record refers to.

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
