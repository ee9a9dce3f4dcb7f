//! Disk space that is kept back for records: a store on a full disk must still open and delete, or nothing could ever make room.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use super::StoreError;
use super::files::{self, TEMPORARY};
use crate::error::chain;

/// The file that takes the space.
const FILE: &str = "reserve";

/// How much is kept: the database grows by half a MiB at a time, and writes a snapshot of itself whenever it opens.
const BYTES: u64 = 16 << 20;

/// Keeps the space back, unless that was done before or there is little left.
pub(super) fn keep(folder: &Path) {
    let kept = (|| -> io::Result<()> {
        let unfinished = folder.join(format!("{FILE}{TEMPORARY}"));
        files::remove_if_exists(&unfinished)?;
        if folder.join(FILE).exists() || available(&File::open(folder)?)? < 2 * BYTES {
            return Ok(());
        }
        files::write_whole(folder, FILE, |file| {
            Ok(fallocate(file, FallocateFlags::empty(), 0, BYTES)?)
        })
    })();
    if let Err(error) = kept {
        tracing::warn!(
            error = chain(&error),
            "no disk space is kept back: if the disk is full at a start, the store will not open"
        );
    }
}

/// Opens a store; if the disk is too full for that, gives the space back that was kept, and tries again.
pub(super) fn open_with_it<T>(
    folder: &Path,
    open: impl Fn() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match open() {
        Err(StoreError::Io { what, source }) if is_full(&source) => {
            let given = files::remove_if_exists(&folder.join(FILE));
            if !given.map_err(StoreError::io("give back the disk space that was kept"))? {
                return Err(StoreError::Io { what, source });
            }
            tracing::warn!(
                "the disk is full: the space that was kept back is used to open the store; make room, or only reads and deletions will succeed"
            );
            open()
        }
        opened => opened,
    }
}

/// Whether there is room for this many more bytes that are needed for a moment, and for a database to open meanwhile.
pub(super) fn has_room(folder: &Path, n_bytes: u64) -> io::Result<bool> {
    Ok(available(&File::open(folder)?)? >= n_bytes.saturating_add(2 * BYTES))
}

/// Fails if this many more bytes of a blob would take the space that is left for records. `file` is on the same disk.
pub(super) fn check(file: &File, n_bytes: usize) -> io::Result<()> {
    match available(file)? < BYTES + n_bytes as u64 {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// The bytes that may still be written on the disk of a file.
fn available(file: &File) -> io::Result<u64> {
    let disk = fstatvfs(file)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn full() -> StoreError {
        StoreError::io("open the database")(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn blobs_do_not_take_what_records_need() {
        let file = tempfile::tempfile().expect("a file");
        check(&file, 1).expect("the disk of the tests is not full");
        let error = check(&file, usize::MAX >> 1).expect_err("no disk has so much");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn space_is_kept_once_and_given_back_to_open_on_a_full_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        keep(folder);
        let kept = folder.join(FILE);
        let metadata = kept.metadata().expect("a file");
        assert!(metadata.blocks() * 512 >= BYTES, "it has no holes");
        keep(folder);
        assert_eq!(kept.metadata().expect("a file").ino(), metadata.ino());

        let tries = Cell::new(0);
        let opened = open_with_it(folder, || {
            tries.set(tries.get() + 1);
            match kept.exists() {
                true => Err(full()),
                false => Ok(()),
            }
        });
        opened.expect("the space was given back");
        assert_eq!(tries.get(), 2);
        assert!(
            open_with_it(folder, || Err::<(), _>(full())).is_err(),
            "no more is left"
        );
    }

    #[test]
    fn other_failures_leave_the_space_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        keep(folder.path());
        let refused = || Err::<(), _>(StoreError::Refused("in use".to_owned()));
        assert!(open_with_it(folder.path(), refused).is_err());
        assert!(folder.path().join(FILE).exists());
    }
}
