//! Blobs as files in one folder, each written once, under a random name: the content and its [trailer](super::blob_trailer).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sha2::{Digest as _, Sha256};

use super::blob_trailer;
use super::embedded_reader::EmbeddedBlobReader;
use super::files::{self, TEMPORARY};
use super::growing_blob::GrowingBlob;
use super::verify::go_on;
use super::{BlobId, BlobName, BlobRef, StoreError};
use crate::error::chain;

/// Bytes hashed and written at a time, few enough to stay in the processor's cache.
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

    /// The folder at a path, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Stores a blob durably. Leaves nothing behind if it fails or the blob is never claimed.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Unclaimed, StoreError> {
        let mut blob = self.begin()?;
        for chunk in bytes.chunks(CHUNK) {
            blob.write(chunk)?;
        }
        blob.finish()
    }

    /// Begins a blob that is written piece by piece.
    pub(super) fn begin(&self) -> Result<GrowingBlob, StoreError> {
        GrowingBlob::begin(self.clone(), BlobName::random())
    }

    /// Reads a blob. Checks the size of the file before it allocates.
    pub(super) fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
        let mut file = self.open_file(blob)?;
        let mut bytes = Vec::new();
        usize::try_from(blob.size)
            .map_err(io::Error::other)
            .and_then(|size| bytes.try_reserve_exact(size).map_err(io::Error::other))
            .and_then(|()| (&mut file).take(blob.size).read_to_end(&mut bytes))
            .map_err(StoreError::io("read a blob"))?;
        if bytes.len() as u64 != blob.size {
            return Err(wrong_size(blob, bytes.len() as u64));
        }
        check_hash(blob, Sha256::digest(&bytes).into())?;
        Ok(bytes)
    }

    /// Opens a blob for reading in any order.
    pub(super) fn open_blob(&self, blob: &BlobRef) -> Result<EmbeddedBlobReader, StoreError> {
        EmbeddedBlobReader::open(self.open_file(blob)?, blob)
    }

    /// Opens the file of a blob and checks its length.
    fn open_file(&self, blob: &BlobRef) -> Result<File, StoreError> {
        let file = match File::open(self.path(blob.name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = blob.name;
                return Err(StoreError::BlobNotFound { name });
            }
            Err(error) => return Err(StoreError::io("open a blob")(error)),
        };
        let size = file
            .metadata()
            .map_err(StoreError::io("read the size of a blob"))?
            .len();
        match blob_trailer::content_size(size) == Some(blob.size) {
            true => Ok(file),
            false => Err(wrong_size(blob, size)),
        }
    }

    /// Deletes a blob, if it exists. Not durable by itself: one that comes back after power loss is swept.
    pub(super) fn delete(&self, name: BlobName) -> Result<(), StoreError> {
        files::remove_if_exists(&self.path(name))
            .map(|_| ())
            .map_err(StoreError::io("delete a blob"))
    }

    /// The names of all blobs. Other files are ignored.
    pub(super) fn list(&self) -> Result<Vec<BlobName>, StoreError> {
        names(&self.folder).map_err(StoreError::io("list the blobs"))
    }

    /// The folder.
    pub(super) fn path_of_folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a blob.
    pub(super) fn path(&self, name: BlobName) -> PathBuf {
        self.folder.join(name.to_string())
    }
}

/// A finished blob that is deleted unless it is claimed: whoever wrote it may have left in the meantime.
#[derive(Debug)]
pub(super) struct Unclaimed {
    folder: BlobFolder,
    blob: Option<BlobRef>,
}

impl Unclaimed {
    /// A blob that was just written to the folder.
    pub(super) fn new(folder: BlobFolder, blob: BlobRef) -> Self {
        let blob = Some(blob);
        Self { folder, blob }
    }

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
                "a blob that was never claimed is left behind"
            );
        }
    }
}

/// Reads the file of a blob from beginning to end and checks it against what a record says of it. Returns its size.
pub(super) fn check(path: &Path, blob: &BlobId, cancelled: &AtomicBool) -> Result<u64, StoreError> {
    copy(path, blob, &mut io::sink(), cancelled)
}

/// Copies the file of a blob, and checks it against what a record says of it. Returns its size.
pub(super) fn copy(
    path: &Path,
    blob: &BlobId,
    to: &mut dyn io::Write,
    cancelled: &AtomicBool,
) -> Result<u64, StoreError> {
    let name = blob.name;
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::BlobNotFound { name });
        }
        opened => opened.map_err(StoreError::io("open a blob"))?,
    };
    let length = file
        .metadata()
        .map_err(StoreError::io("read the size of a blob"))?
        .len();
    let size = blob_trailer::content_size(length).ok_or_else(|| wrong_hash(name))?;
    let mut hash = Sha256::new();
    let mut trailer = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = size;
    loop {
        go_on(cancelled)?;
        let n = match file.read(&mut chunk) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(StoreError::io("read a blob"))?,
        };
        let n_content = usize::try_from(left).map_or(n, |left| left.min(n));
        hash.update(&chunk[..n_content]);
        trailer.extend_from_slice(&chunk[n_content..n]);
        to.write_all(&chunk[..n])
            .map_err(StoreError::io("copy a blob"))?;
        left -= n_content as u64;
    }
    let sha256: [u8; 32] = hash.finalize().into();
    if left > 0 || !sha256.starts_with(&blob.digest) {
        return Err(wrong_hash(name));
    }
    blob_trailer::decode(&trailer, &BlobRef { name, sha256, size })?;
    Ok(size)
}

/// The names of the blobs in a folder, which need not exist.
pub(super) fn names(folder: &Path) -> io::Result<Vec<BlobName>> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        entries => entries?,
    };
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(BlobName::from_hex));
    }
    Ok(names)
}

fn check_hash(blob: &BlobRef, sha256: [u8; 32]) -> Result<(), StoreError> {
    if sha256 == blob.sha256 {
        return Ok(());
    }
    Err(wrong_hash(blob.name))
}

fn wrong_hash(name: BlobName) -> StoreError {
    StoreError::Damaged {
        what: "a blob",
        how: format!("{name} does not have the SHA-256 that it was written with"),
    }
}

fn wrong_size(blob: &BlobRef, size: u64) -> StoreError {
    StoreError::Damaged {
        what: "a blob",
        how: format!(
            "the file of {} has {size} bytes instead of {}",
            blob.name,
            blob.size.saturating_add(blob_trailer::length(blob.size))
        ),
    }
}
