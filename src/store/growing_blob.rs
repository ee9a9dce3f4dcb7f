//! A blob that is written piece by piece: durable once finished, deleted if it never is.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::blob_folder::{BlobFolder, Unclaimed};
use super::blob_trailer;
use super::checksums::Summing;
use super::files::{self, TEMPORARY};
use super::{BlobName, BlobRef, StoreError, reserve};

/// The file is synced each time this many bytes were written, so that finishing a large blob does not hold up all
/// other writes.
const SYNC_BYTES: u64 = 64 << 20;

/// A blob that is being written, under a temporary name. Its methods block. Dropping it deletes it.
#[derive(Debug)]
pub(super) struct GrowingBlob {
    folder: BlobFolder,
    name: BlobName,
    file: File,
    hash: Sha256,
    summing: Summing,
    size: u64,
    unsynced: u64,
    is_finished: bool,
}

impl GrowingBlob {
    /// Creates the file.
    pub(super) fn begin(folder: BlobFolder, name: BlobName) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary(&folder, name))
            .map_err(StoreError::io("create a blob"))?;
        Ok(Self {
            folder,
            name,
            file,
            hash: Sha256::new(),
            summing: Summing::default(),
            size: 0,
            unsynced: 0,
            is_finished: false,
        })
    }

    /// Appends bytes. After an error the blob must not be finished.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let what = "write a blob";
        reserve::check(&self.file, bytes.len()).map_err(StoreError::io(what))?;
        self.hash.update(bytes);
        self.summing.update(bytes);
        self.file.write_all(bytes).map_err(StoreError::io(what))?;
        self.size += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync_data().map_err(StoreError::io(what))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Makes the blob durable under its own name.
    pub(super) fn finish(mut self) -> Result<Unclaimed, StoreError> {
        let blob = BlobRef {
            name: self.name,
            sha256: std::mem::take(&mut self.hash).finalize().into(),
            size: self.size,
        };
        let checksums = std::mem::take(&mut self.summing).finish();
        let trailer = blob_trailer::encode(&blob, &checksums);
        let from = temporary(&self.folder, self.name);
        let to = self.folder.path(self.name);
        self.file
            .write_all(&trailer)
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(from, to))
            .and_then(|()| files::sync_folder(self.folder.path_of_folder()))
            .map_err(StoreError::io("write a blob"))?;
        self.is_finished = true;
        Ok(Unclaimed::new(self.folder.clone(), blob))
    }
}

impl Drop for GrowingBlob {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // whichever of the two exists
        for left in [
            temporary(&self.folder, self.name),
            self.folder.path(self.name),
        ] {
            if let Err(error) = files::remove_if_exists(&left) {
                tracing::warn!(%error, path = %left.display(), "a blob that was not finished is left behind");
            }
        }
    }
}

fn temporary(folder: &BlobFolder, name: BlobName) -> PathBuf {
    folder.path_of_folder().join(format!("{name}{TEMPORARY}"))
}
