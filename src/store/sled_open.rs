//! Opening a sled 0.34.7 database with the guards that make it safe against crashes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{StoreError, files};
use crate::error::panic_message;

/// How long to wait for a database that this process has just closed: sled's threads still hold its file for a
/// moment.
const CLOSING: Duration = Duration::from_secs(5);

/// Opens the database in `folder/name`, which exists.
///
/// The caller holds the lock of the store, so no other process is at work here.
pub(super) fn open(folder: &Path, name: &str, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let path = folder.join(name);
    // a kill during an earlier open leaves one of these, empty, and sled would take it for its newest snapshot
    files::remove_files(&path, |file| {
        file.starts_with("snap.") && file.ends_with(".generating")
    })
    .map_err(StoreError::io(
        "remove unfinished snapshots of the database",
    ))?;
    let db = open_existing(&path, cache_bytes)?;
    // sled renames its snapshots but never makes the names durable
    files::sync_folder(&path).map_err(StoreError::io("make the database's folder durable"))?;
    Ok(db)
}

/// Makes a new database under another name, fills it, and renames it: sled writes its settings in two steps, and a kill between
/// them would leave a database that never opens.
pub(super) fn create(
    folder: &Path,
    name: &str,
    cache_bytes: u64,
    fill: impl FnOnce(&sled::Db) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let unfinished = folder.join(format!("{name}.new"));
    empty_folder(&unfinished).map_err(StoreError::io("make a folder for a new database"))?;
    let db = open_existing(&unfinished, cache_bytes)?;
    let filled = fill(&db).and_then(|()| guarded("flush the database", || db.flush()));
    close(db);
    filled?;
    put_in_place(&unfinished, folder, name)
        .map_err(StoreError::io("put a new database in its place"))
}

fn empty_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => files::create_folder(path),
    }
}

fn put_in_place(unfinished: &Path, folder: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(unfinished)? {
        File::open(entry?.path())?.sync_all()?;
    }
    files::sync_folder(unfinished)?;
    fs::rename(unfinished, folder.join(name))?;
    files::sync_folder(folder)
}

fn open_existing(path: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .mode(sled::Mode::LowSpace)
        .use_compression(false)
        // the committer alone flushes
        .flush_every_ms(None);
    let deadline = Instant::now() + CLOSING;
    loop {
        match guarded("open the database", || config.open()) {
            Err(StoreError::Io { source, .. })
                if source.to_string().contains("could not acquire lock")
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// A handle of our own on the database's file: `flush` hands the bytes to the operating system, but only `sync_data`
/// on the file makes them survive power loss.
pub(super) fn data_file(folder: &Path, name: &str) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join(name).join("db"))
        .map_err(StoreError::io("open the file of the database"))
}

/// Makes everything applied before the call survive power loss.
pub(super) fn flush(db: &sled::Db, file: &File) -> Result<(), StoreError> {
    guarded("flush the database", || db.flush())?;
    file.sync_data()
        .map_err(StoreError::io("sync the file of the database"))
}

/// Closes the database, if this is its last handle. sled panics where the file cannot be synced; by then everything
/// acknowledged is durable.
pub(super) fn close(db: sled::Db) {
    if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
        tracing::error!("the database panicked while it was closed");
    }
}

/// Calls sled, and turns its errors and its panics into ours.
pub(super) fn guarded<T>(
    what: &'static str,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(answer)) => Ok(answer),
        // a file that is shorter than another one says
        Ok(Err(sled::Error::Io(source))) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Err(damaged(what, &source.to_string()))
        }
        Ok(Err(sled::Error::Io(source))) => Err(StoreError::Io { what, source }),
        // corruption, or settings that cannot be its own
        Ok(Err(error)) => Err(damaged(what, &error.to_string())),
        Err(panic) => Err(damaged(what, panic_message(panic.as_ref()))),
    }
}

fn damaged(what: &'static str, how: &str) -> StoreError {
    StoreError::Damaged {
        what: "the database",
        how: format!("cannot {what}: {how}"),
    }
}
