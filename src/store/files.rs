//! Files and folders that only this user may read and that survive power loss.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::StoreError;

/// The ending of files that are being written. A file that still has it after a crash is garbage.
pub(super) const TEMPORARY: &str = ".tmp";

/// Creates a folder durably, readable by its owner alone, with its parents. One that exists is left as it is.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    // the parent of a relative path of one name is "", which stands for the current folder
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folder(parent)?;
    DirBuilder::new().mode(0o700).create(folder)?;
    sync_folder(parent)
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes `folder/name`, which does not exist yet, so that it is whole and durable, or absent. `write` gets the file.
pub(super) fn write_whole<T>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    let result = replace(folder, name, write);
    if result.is_err() {
        remove_remains(&folder.join(name));
    }
    result
}

/// Writes `folder/name` so that it is whole and durable. If that fails, a file that was there before stays. `write` gets the new
/// file.
pub(super) fn replace<T>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    let temporary = folder.join(format!("{name}{TEMPORARY}"));
    let result = (|| {
        // a crash may have left one
        remove_if_exists(&temporary)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let answer = write(&mut file)?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))?;
        sync_folder(folder)?;
        Ok(answer)
    })();
    if result.is_err() {
        remove_remains(&temporary);
    }
    result
}

fn remove_remains(path: &Path) {
    if let Err(error) = remove_if_exists(path) {
        tracing::warn!(%error, path = %path.display(), "a file that could not be written whole is left behind");
    }
}

/// Removes a file if it exists. Returns whether it did.
pub(super) fn remove_if_exists(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the files of a folder whose names satisfy `is_garbage`.
pub(super) fn remove_files(folder: &Path, is_garbage: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_garbage) && entry.file_type()?.is_file() {
            remove_if_exists(&entry.path())?;
        }
    }
    Ok(())
}

/// The lock that lets one process use a folder.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // closing is not enough: a process that is being spawned shares the open file for a moment
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the store could not be released");
        }
    }
}

/// Takes the lock of a folder; refuses if another process has it.
pub(super) fn lock(path: &Path) -> Result<FolderLock, StoreError> {
    try_lock(path)?.ok_or_else(|| {
        StoreError::Refused(format!(
            "the store is in use: another process holds {}; stop it, or give this one a folder of its own",
            path.display()
        ))
    })
}

/// Takes the lock of a folder; `None` if another process has it.
pub(super) fn try_lock(path: &Path) -> Result<Option<FolderLock>, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(StoreError::io("open the lock file of the store"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FolderLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock the store")(error)),
    }
}
