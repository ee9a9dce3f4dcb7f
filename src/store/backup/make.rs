//! Makes a backup: the entries of the databases first, under the lock of their writers, then the files that they refer to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::entries::EntryWriter;
use super::manifest::Manifest;
use super::{BLOBS, BackupSummary, HEADS, LOGS, RECORDS, refused};
use crate::store::blob_folder::{self, BlobFolder};
use crate::store::layout::{ACCEPTED, AUDIT, Layout};
use crate::store::log_head::Head;
use crate::store::losses::{Accepted, Part};
use crate::store::record::now_ms;
use crate::store::references::References;
use crate::store::sealed::Sealed;
use crate::store::state::State;
use crate::store::strayed::Strayed;
use crate::store::verify::{check_segment, go_on};
use crate::store::{LogName, StoreError, files, log_segment, sled_heads, token_key};

/// Receives each entry of a database: its key, its stored bytes, and what they hold.
pub(in crate::store) type Receive<'a> =
    &'a mut dyn FnMut(&[u8], &[u8], &Sealed<'_>) -> Result<(), StoreError>;

/// The databases that a backup is made of. Both must stand still until their entries are written, and no file that they refer to
/// may be deleted until the backup is made.
pub(in crate::store) trait Source {
    /// Hands out the records, and returns their state.
    fn records(&self, receive: Receive<'_>) -> Result<State, StoreError>;

    /// Hands out the heads of the logs, and returns their state; `None` if there was never a log.
    fn heads(&self, receive: Receive<'_>) -> Result<Option<State>, StoreError>;
}

/// A backup whose entries are written, but none of the files that they refer to.
pub(in crate::store) struct Begun {
    target: Target,
    manifest: Manifest,
    references: References,
    logs: Vec<(LogName, Head)>,
    /// The files of the entries, which are not durable yet.
    writers: [EntryWriter; 2],
    /// The revision of the last write in it.
    pub(in crate::store) revision: u64,
}

/// Begins a backup of a store into a folder that is empty or does not exist. The fingerprint is that of the token key.
pub(in crate::store) fn make(
    layout: &Layout,
    to: &Path,
    source: &impl Source,
    fingerprint: Option<[u8; 16]>,
) -> Result<Begun, StoreError> {
    // a restore would refuse it
    token_key::check(layout.root(), fingerprint)?;
    let target = Target::create(layout, to)?;
    let mut references = References::default();
    let mut writer = EntryWriter::create(&target.path(RECORDS))?;
    let made_ms = now_ms();
    let records = source.records(&mut |key, stored, sealed| {
        references.add(key, sealed);
        writer.write(key, stored)
    })?;
    let mut logs = Vec::new();
    let mut head_writer = EntryWriter::create(&target.path(HEADS))?;
    let heads = source.heads(&mut |key, stored, sealed| {
        logs.push(sled_heads::decode(key, sealed)?);
        head_writer.write(key, stored)
    })?;
    Ok(Begun {
        manifest: Manifest::new(made_ms, records, heads, fingerprint),
        target,
        references,
        logs,
        writers: [writer, head_writer],
        revision: records.revision,
    })
}

impl Begun {
    /// Copies the files, checks each against what the databases say of it, and writes the manifest. A file that is missing or
    /// damaged is an error, unless its loss was accepted; one that is there again is copied all the same. What was copied is
    /// removed after an error, and when `cancelled` is set.
    pub(in crate::store) fn finish(
        self,
        layout: &Layout,
        strayed: &Strayed,
        cancelled: &AtomicBool,
    ) -> Result<BackupSummary, StoreError> {
        let Self {
            target,
            mut manifest,
            references,
            logs,
            writers,
            ..
        } = self;
        writers.into_iter().try_for_each(EntryWriter::finish)?;
        let accepted = Accepted::read(&layout.accepted())?;
        target.create_folder(BLOBS)?;
        let blobs = BlobFolder::new(layout.blobs());
        for (blob, _) in references.blobs() {
            let name = format!("{BLOBS}/{}", blob.name);
            let mut file = target.create_file(&name)?;
            let from = strayed.path(&blobs, blob.name);
            let n_bytes = match blob_folder::copy(&from, &blob, &mut file, cancelled) {
                Err(StoreError::BlobNotFound { .. } | StoreError::Damaged { .. })
                    if accepted.contains(&Part::Blob(blob.name)) =>
                {
                    target.remove_file(&name)?;
                    continue;
                }
                copied => copied?,
            };
            manifest.n_bytes += n_bytes;
            sync(&file)?;
            manifest.n_blobs += 1;
        }
        target.create_folder(LOGS)?;
        for (log, head) in &logs {
            for segment in head.segments() {
                go_on(cancelled)?;
                let is_lost = accepted.contains(&Part::Segment(*log, segment.first));
                if !is_lost {
                    check_segment(layout, *log, head, segment)?;
                }
                let from = log_segment::path(&layout.logs(), *log, segment.first);
                if let Some(bytes) = open_if_exists(&from)? {
                    let to = log_segment::path(Path::new(LOGS), *log, segment.first);
                    let mut file = target.create_file(&to.to_string_lossy())?;
                    manifest.n_bytes += io::copy(&mut bytes.take(segment.n_bytes), &mut file)
                        .map_err(StoreError::io("copy a segment of a log"))?;
                    sync(&file)?;
                }
            }
        }
        for (from, name) in [
            (layout.token_key(), token_key::FILE),
            (layout.accepted(), ACCEPTED),
            (layout.audit(), AUDIT),
        ] {
            let Some(mut bytes) = open_if_exists(&from)? else {
                continue;
            };
            let mut file = target.create_file(name)?;
            io::copy(&mut bytes, &mut file).map_err(StoreError::io("copy a file of the store"))?;
            sync(&file)?;
            manifest.has_token_key |= name == token_key::FILE;
        }
        target.finish(&manifest)?;
        Ok(manifest.summary())
    }
}

/// The absolute path of a folder, which need not exist, but whose parent must.
fn resolve(folder: &Path) -> io::Result<PathBuf> {
    let folder = std::path::absolute(folder)?;
    match (folder.exists(), folder.parent(), folder.file_name()) {
        (false, Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => folder.canonicalize(),
    }
}

fn sync(file: &File) -> Result<(), StoreError> {
    file.sync_all()
        .map_err(StoreError::io("write a file of a backup"))
}

fn open_if_exists(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened
            .map(Some)
            .map_err(StoreError::io("open a file of the store")),
    }
}

/// The folder that a backup is made in. What is in it is removed again unless it is finished.
struct Target {
    folder: PathBuf,
    is_finished: bool,
}

impl Target {
    fn create(layout: &Layout, to: &Path) -> Result<Self, StoreError> {
        let what = "make the folder of a backup";
        let folder = resolve(to).map_err(StoreError::io(what))?;
        if folder.starts_with(layout.root()) {
            return Err(refused(
                to,
                "is in the data folder, and would be lost with it; name another folder",
            ));
        }
        files::create_folder(&folder).map_err(StoreError::io(what))?;
        let mut entries = fs::read_dir(&folder).map_err(StoreError::io(what))?;
        if entries.next().is_some() {
            return Err(refused(
                to,
                "is not empty; name a folder that is, or that does not exist yet",
            ));
        }
        Ok(Self {
            folder,
            is_finished: false,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn create_folder(&self, name: &str) -> Result<(), StoreError> {
        files::create_folder(&self.path(name)).map_err(StoreError::io("make a folder of a backup"))
    }

    fn create_file(&self, name: &str) -> Result<File, StoreError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name))
            .map_err(StoreError::io("begin a file of a backup"))
    }

    fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        fs::remove_file(self.path(name)).map_err(StoreError::io("remove a file of a backup"))
    }

    fn finish(mut self, manifest: &Manifest) -> Result<(), StoreError> {
        [BLOBS, LOGS]
            .into_iter()
            .try_for_each(|name| files::sync_folder(&self.path(name)))
            .map_err(StoreError::io("write a folder of a backup"))?;
        manifest.write(&self.folder)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // the folder was empty, so all of this is ours
        let empty = || -> io::Result<()> {
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => fs::remove_dir_all(entry.path())?,
                    false => fs::remove_file(entry.path())?,
                }
            }
            Ok(())
        };
        if let Err(error) = empty() {
            tracing::warn!(%error, folder = %self.folder.display(), "an unfinished backup is left behind");
        }
    }
}
