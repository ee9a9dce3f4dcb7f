//! Files that nothing in the store refers to, kept for some days before they are deleted: if the records that referred to a blob
//! come back, the blob does, too. A segment of a log does not: one of the same name may hold other entries, which were never
//! acknowledged, and nothing in the head of its log tells them apart.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::now_ms;
use super::{StoreError, files, hex};

/// A folder of such files. The name of each is what it was, a dot, and the time of its arrival in milliseconds since 1970, as
/// 16 hexadecimal digits.
#[derive(Debug, Clone)]
pub(super) struct Quarantine(PathBuf);

impl Quarantine {
    /// The quarantine in a folder, which is made when it is needed.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Moves a file in. One that does not exist is no error.
    pub(super) fn take_in(&self, file: &Path) -> Result<(), StoreError> {
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return Ok(());
        };
        let to = self.0.join(format!("{name}.{:016x}", now_ms()));
        let moved = files::create_folder(&self.0).and_then(|()| fs::rename(file, to));
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved.map_err(StoreError::io("move a file into the quarantine")),
        }
    }

    /// The files, by the names that they had.
    pub(super) fn list(&self) -> Result<HashMap<String, PathBuf>, StoreError> {
        let entries = self
            .entries()
            .map_err(StoreError::io("list the quarantine"))?;
        let named = entries.into_iter().map(|entry| (entry.name, entry.path));
        Ok(named.collect())
    }

    /// Deletes the files that have been here for longer than that. Logs how many there were.
    pub(super) fn purge(&self, kept: Duration) -> Result<(), StoreError> {
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let newest = now_ms().saturating_sub(kept_ms);
        let (mut n_files, mut n_bytes, mut n_left) = (0_u64, 0, 0_u64);
        let mut purge = || -> io::Result<()> {
            for entry in self.entries()? {
                if entry.since_ms > newest {
                    n_left += 1;
                    continue;
                }
                let size = entry.path.metadata().map_or(0, |found| found.len());
                if files::remove_if_exists(&entry.path)? {
                    n_files += 1;
                    n_bytes += size;
                }
            }
            Ok(())
        };
        purge().map_err(StoreError::io("delete a file in the quarantine"))?;
        if n_files > 0 {
            tracing::info!(
                n_files,
                n_bytes,
                n_left,
                "deleted files from the quarantine that nothing has referred to for all its time"
            );
        }
        Ok(())
    }

    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
            files => files?,
        };
        for file in files {
            let file = file?;
            let name = file.file_name();
            let parsed = name.to_str().and_then(|name| name.rsplit_once('.'));
            let Some((name, since)) = parsed else {
                continue;
            };
            // a file of somebody else may end in other digits
            let since = hex::decode(since).map(i64::from_be_bytes);
            if let Some(since_ms) = since {
                entries.push(Entry {
                    name: name.to_owned(),
                    since_ms,
                    path: file.path(),
                });
            }
        }
        Ok(entries)
    }
}

struct Entry {
    name: String,
    since_ms: i64,
    path: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn quarantine() -> (tempfile::TempDir, Quarantine) {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine::new(folder.path().join("quarantine"));
        (folder, quarantine)
    }

    #[test]
    fn files_leave_when_their_time_is_over() {
        let (folder, quarantine) = quarantine();
        quarantine.purge(DAY).expect("nothing is there");
        for name in ["old", "a.new"] {
            let file = folder.path().join(name);
            fs::write(&file, name).expect("writable");
            quarantine.take_in(&file).expect("moved");
            assert!(!file.exists());
        }
        quarantine
            .take_in(&folder.path().join("gone"))
            .expect("no error");
        let listed = quarantine.list().expect("a list");
        let eight_days_ago = now_ms() - 8 * DAY.as_millis() as i64;
        let aged = folder
            .path()
            .join(format!("quarantine/old.{eight_days_ago:016x}"));
        fs::rename(&listed["old"], aged).expect("renamed");
        let others = ["note", "notes.bad", "notes.+00000000000001"];
        for other in others {
            let path = folder.path().join("quarantine").join(other);
            fs::write(path, "of somebody else").expect("writable");
        }

        quarantine.purge(9 * DAY).expect("too early");
        assert_eq!(quarantine.list().expect("a list").len(), 2);
        quarantine.purge(7 * DAY).expect("purged");
        let left = quarantine.list().expect("a list");
        assert_eq!(left.keys().collect::<Vec<_>>(), ["a.new"]);
        quarantine.purge(Duration::ZERO).expect("purged");
        assert!(quarantine.list().expect("a list").is_empty());
        for other in others {
            assert!(folder.path().join("quarantine").join(other).exists());
        }
    }
}
