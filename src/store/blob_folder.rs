//! Blobs as files in one folder, each written once, under a random name.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::files::{self, TEMPORARY};
use super::{BlobName, BlobRef, StoreError};
use crate::error::chain;

/// How much is hashed and written at a time, so that the bytes are still in the processor's cache.
const CHUNK: usize = 256 * 1024;

/// A folder of blobs. Its methods block.
#[derive(Debug, Clone)]
pub(super) struct BlobFolder {
    folder: PathBuf,
}

impl BlobFolder {
    /// Opens or creates the folder and removes what a crash left half written.
    pub(super) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        files::create_folder(&folder)
            .and_then(|()| files::remove_files(&folder, |name| name.ends_with(TEMPORARY)))
            .map_err(StoreError::io("open the folder of blobs"))?;
        Ok(Self { folder })
    }

    /// Stores a blob durably; leaves nothing behind when it fails, or when nobody claims it.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Unclaimed, StoreError> {
        let name = BlobName::random();
        let sha256 = files::write_whole(&self.folder, &name.to_string(), |file| {
            let mut hash = Sha256::new();
            for chunk in bytes.chunks(CHUNK) {
                hash.update(chunk);
                file.write_all(chunk)?;
            }
            Ok(hash.finalize().into())
        })
        .map_err(StoreError::io("write a blob"))?;
        Ok(Unclaimed {
            folder: self.clone(),
            blob: Some(BlobRef {
                name,
                sha256,
                size: bytes.len() as u64,
            }),
        })
    }

    /// Reads a blob. Allocates only once the file has the size that the reference tells.
    pub(super) fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        let mut file = match File::open(self.path(blob.name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::BlobNotFound);
            }
            Err(error) => return Err(StoreError::io("open a blob")(error)),
        };
        let size = file
            .metadata()
            .map_err(StoreError::io("read the size of a blob"))?
            .len();
        if size != blob.size {
            return Err(wrong_size(blob, size));
        }
        let mut bytes = Vec::new();
        usize::try_from(size)
            .map_err(io::Error::other)
            .and_then(|size| bytes.try_reserve_exact(size).map_err(io::Error::other))
            .and_then(|()| (&mut file).take(size).read_to_end(&mut bytes))
            .map_err(StoreError::io("read a blob"))?;
        if bytes.len() as u64 != blob.size {
            return Err(wrong_size(blob, bytes.len() as u64));
        }
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if sha256 != blob.sha256 {
            return Err(StoreError::Damaged {
                what: "a blob",
                how: format!(
                    "{} does not have the SHA-256 that it was written with",
                    blob.name
                ),
            });
        }
        Ok(bytes)
    }

    /// Deletes a blob, if it exists. Not durable by itself: one that comes back after power loss is swept at the next start.
    pub(super) fn delete(&self, name: BlobName) -> Result<(), StoreError> {
        files::remove_if_exists(&self.path(name))
            .map(|_| ())
            .map_err(StoreError::io("delete a blob"))
    }

    /// The names of all blobs. Files that are none are left alone.
    pub(super) fn list(&self) -> Result<Vec<BlobName>, StoreError> {
        names(&self.folder).map_err(StoreError::io("list the blobs"))
    }

    fn path(&self, name: BlobName) -> PathBuf {
        self.folder.join(name.to_string())
    }
}

/// A blob that has been written, and is deleted unless it is claimed: its writer may have left meanwhile.
#[derive(Debug)]
pub(super) struct Unclaimed {
    folder: BlobFolder,
    blob: Option<BlobRef>,
}

impl Unclaimed {
    /// The blob, which stays.
    pub(super) fn claim(mut self) -> BlobRef {
        self.blob.take().expect("claimed once")
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(blob) = &self.blob
            && let Err(error) = self.folder.delete(blob.name)
        {
            tracing::warn!(
                error = chain(&error),
                "a blob that nobody claimed is left behind"
            );
        }
    }
}

/// The names of the blobs in a folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<BlobName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().to_str().and_then(BlobName::from_hex));
    }
    Ok(names)
}

fn wrong_size(blob: &BlobRef, size: u64) -> StoreError {
    StoreError::Damaged {
        what: "a blob",
        how: format!("{} has {size} bytes instead of {}", blob.name, blob.size),
    }
}
