//! Restores a backup into an empty folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::entries::EntryReader;
use super::{BLOBS, Backup, BackupSummary, HEADS, LOGS, RECORDS, refused};
use crate::store::blob_folder::BlobFolder;
use crate::store::layout::{ACCEPTED, AUDIT, Layout, Place};
use crate::store::log_head::Head;
use crate::store::losses::{Accepted, Losses};
use crate::store::references::References;
use crate::store::sealed::{Sealed, unseal};
use crate::store::sled_heads::{self, CACHE_BYTES};
use crate::store::sled_ledger::{self, Origin};
use crate::store::state::{State, StoreId};
use crate::store::strayed::Strayed;
use crate::store::totals::Totals;
use crate::store::verify::{verify, verify_token_key};
use crate::store::{LogName, StoreError, audit, files, log_segment, token_key};

/// Restores a backup into a folder that holds no store. Everything is checked against what the backup says it is, and the
/// databases come last: a restore that was broken off leaves a folder that no server starts from.
///
/// # Errors
/// [`StoreError::Refused`] when the folder holds a part of a store already, or the backup is not whole.
pub fn restore(backup: &Backup, into: &Path) -> Result<BackupSummary, StoreError> {
    files::create_folder(into).map_err(StoreError::io("make the folder of the store"))?;
    let into = &into
        .canonicalize()
        .map_err(StoreError::io("find the folder of the store"))?;
    let layout = Layout::new(into);
    let _lock = files::lock(&layout.lock())?;
    if let Some(found) = layout.found().first() {
        let why = format!(
            "already holds {}; give a folder without a store, and move this one aside if need be",
            found.file_name().unwrap_or_default().display()
        );
        return Err(refused(into, &why));
    }
    let damaged = || refused(&backup.folder, "is a backup that is damaged");
    let (records, heads) = backup.manifest.states().ok_or_else(damaged)?;

    let mut references = References::default();
    check_entries(&backup.folder.join(RECORDS), records, |key, sealed| {
        references.add(key, sealed);
        Ok(())
    })?;
    let mut logs = Vec::new();
    if let Some(heads) = heads {
        check_entries(&backup.folder.join(HEADS), heads, |key, sealed| {
            logs.push(sled_heads::decode(key, sealed)?);
            Ok(())
        })?;
    }
    copy_files(backup, &layout, &references, &logs)?;
    let mut losses = Losses::new(Accepted::read(&layout.accepted())?);
    let never = AtomicBool::new(false);
    verify(
        &layout,
        &references,
        &Strayed::default(),
        &logs,
        &mut losses,
        &never,
    )?;
    verify_token_key(&layout, backup.manifest.fingerprint(), &mut losses)?;
    if let Some(loss) = losses.list().first() {
        return Err(refused(
            &backup.folder,
            &format!("is a backup that is not whole: {loss}"),
        ));
    }

    let summary = backup.summary();
    audit::append(
        &layout.audit(),
        "restore",
        [
            ("backup_made", summary.made.clone().into()),
            ("records", summary.n_records.into()),
            ("blobs", summary.n_blobs.into()),
            ("logs", summary.n_logs.into()),
            ("bytes", summary.n_bytes.into()),
        ],
    )?;
    // what the lost store wrote after the backup does not go with what this one will write
    let store = StoreId::random();
    if let Some(heads) = heads {
        let origin = Origin {
            store,
            fingerprint: None,
        };
        import(&layout.heads(), &backup.folder.join(HEADS), origin, heads)?;
    }
    let origin = Origin {
        store,
        fingerprint: backup.manifest.fingerprint(),
    };
    import(
        &layout.records(),
        &backup.folder.join(RECORDS),
        origin,
        records,
    )?;
    Ok(summary)
}

/// Checks that a file holds exactly the entries of a state.
fn check_entries(
    path: &Path,
    state: State,
    mut visit: impl FnMut(&[u8], &Sealed<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut totals = Totals::default();
    for entry in EntryReader::open(path)? {
        let (key, stored) = entry?;
        let sealed = unseal(&key, &stored)?;
        totals.add(sealed.hash(&key));
        visit(&key, &sealed)?;
    }
    if totals == state.totals {
        return Ok(());
    }
    let why = format!(
        "holds {} entries that are not those of {state}",
        totals.n_records
    );
    Err(refused(path, &why))
}

fn import(place: &Place, from: &Path, origin: Origin, state: State) -> Result<(), StoreError> {
    files::create_folder(&place.folder).map_err(StoreError::io("make the folder of the logs"))?;
    let entries = EntryReader::open(from)?;
    sled_ledger::import(place, CACHE_BYTES, entries, origin, state)
}

fn copy_files(
    backup: &Backup,
    layout: &Layout,
    references: &References,
    logs: &[(LogName, Head)],
) -> Result<(), StoreError> {
    let what = "copy a file of a backup";
    for folder in [layout.blobs(), layout.logs()] {
        files::create_folder(&folder).map_err(StoreError::io(what))?;
    }
    let copy = |from: &Path, to: &Path| {
        match copy(from, to) {
            // whether it must be there is checked afterwards
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            copied => copied.map_err(StoreError::io(what)),
        }
    };
    let blobs = BlobFolder::new(backup.folder.join(BLOBS));
    for (blob, _) in references.blobs() {
        let to = layout.blobs().join(blob.name.to_string());
        copy(&blobs.path(blob.name), &to)?;
    }
    let segments = backup.folder.join(LOGS);
    for (log, head) in logs {
        for segment in head.segments() {
            let to = log_segment::path(&layout.logs(), *log, segment.first);
            copy(&log_segment::path(&segments, *log, segment.first), &to)?;
        }
    }
    for (name, to) in [
        (token_key::FILE, layout.token_key()),
        (ACCEPTED, layout.accepted()),
        (AUDIT, layout.audit()),
    ] {
        copy(&backup.folder.join(name), &to)?;
    }
    for folder in [layout.blobs(), layout.logs(), layout.root().to_owned()] {
        files::sync_folder(&folder).map_err(StoreError::io(what))?;
    }
    Ok(())
}

/// Copies a file durably, for its owner alone.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}
