//! Blobs that records refer to, but that lie in the quarantine. A start brings them back, so whatever reads the store before one
//! must find them there.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use super::blob_folder::BlobFolder;
use super::{BlobName, StoreError};

/// Where such blobs lie.
#[derive(Debug, Default)]
pub(super) struct Strayed(HashMap<BlobName, PathBuf>);

impl Strayed {
    pub(super) fn add(&mut self, blob: BlobName, path: PathBuf) {
        self.0.insert(blob, path);
    }

    /// Where a blob is: in the quarantine, or else in the folder, if anywhere.
    pub(super) fn path(&self, blobs: &BlobFolder, blob: BlobName) -> PathBuf {
        self.0
            .get(&blob)
            .map_or_else(|| blobs.path(blob), PathBuf::clone)
    }

    /// Moves the blobs back into the folder. A crash in between leaves each in one place or the other.
    pub(super) fn bring_back(&self, blobs: &BlobFolder) -> Result<(), StoreError> {
        for (blob, from) in &self.0 {
            fs::rename(from, blobs.path(*blob))
                .map_err(StoreError::io("move a blob back from the quarantine"))?;
        }
        if !self.0.is_empty() {
            tracing::info!(
                n_blobs = self.0.len(),
                "brought back blobs from the quarantine that records refer to"
            );
        }
        Ok(())
    }
}
