//! Where the parts of a store lie in its folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::TEMPORARY;
use super::losses::Part;
use super::{StoreError, files, token_key};

/// A folder for copies of the databases, so that a look at them changes nothing.
const COPIES: &str = "check.tmp";

/// The file that names the files whose loss was accepted.
pub(super) const ACCEPTED: &str = "accepted-losses";

/// The file of the audit.
pub(super) const AUDIT: &str = "audit.jsonl";

/// The folder of a store.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
    /// Where the databases are, if they are copies.
    copies: Option<PathBuf>,
}

/// A database and its mark.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// What it is in errors.
    pub(super) part: Part,
    /// The folder that its folder is in.
    pub(super) folder: PathBuf,
    /// The name of its folder.
    pub(super) name: &'static str,
    /// The file of its mark.
    pub(super) mark: PathBuf,
}

impl Place {
    /// The folder of the database.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }
}

impl Layout {
    /// The store in a folder, whose path is absolute.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            copies: None,
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The database of the records.
    pub(super) fn records(&self) -> Place {
        Place {
            part: Part::Records,
            folder: self.copies.as_ref().unwrap_or(&self.root).clone(),
            name: "meta",
            mark: self.root.join("meta.mark"),
        }
    }

    /// The database of the heads of the logs.
    pub(super) fn heads(&self) -> Place {
        Place {
            part: Part::Heads,
            folder: self.copies.clone().unwrap_or_else(|| self.logs()),
            name: "heads",
            mark: self.root.join("logs.mark"),
        }
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The segments of the logs, and the database of their heads.
    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(super) fn accepted(&self) -> PathBuf {
        self.root.join(ACCEPTED)
    }

    pub(super) fn audit(&self) -> PathBuf {
        self.root.join(AUDIT)
    }

    pub(super) fn token_key(&self) -> PathBuf {
        self.root.join(token_key::FILE)
    }

    /// The same store with copies of its databases, which nothing else uses. The caller holds the lock of the store, and removes
    /// them with [`remove_copies`](Self::remove_copies).
    pub(super) fn with_copies(&self) -> io::Result<Self> {
        let copies = self.root.join(COPIES);
        remove_folder(&copies)?;
        files::create_folder(&copies)?;
        for place in [self.records(), self.heads()] {
            if place.path().is_dir() {
                copy_folder(&place.path(), &copies.join(place.name))?;
            }
        }
        Ok(Self {
            copies: Some(copies),
            ..self.clone()
        })
    }

    /// How many bytes the copies take.
    pub(super) fn copied_bytes(&self) -> io::Result<u64> {
        [self.records(), self.heads()]
            .iter()
            .filter(|place| place.path().is_dir())
            .try_fold(0, |sum, place| Ok(sum + folder_bytes(&place.path())?))
    }

    /// Removes the copies of the databases.
    pub(super) fn remove_copies(&self) -> io::Result<()> {
        remove_folder(&self.root.join(COPIES))
    }

    /// Removes what a crash has left: half-written files, and copies of the databases.
    pub(super) fn remove_leftovers(&self) -> Result<(), StoreError> {
        self.remove_copies()
            .and_then(|()| files::remove_files(&self.root, |name| name.ends_with(TEMPORARY)))
            .map_err(StoreError::io("remove what a crash has left behind"))
    }

    /// The parts of a store that are in the folder.
    pub(super) fn found(&self) -> Vec<PathBuf> {
        let parts = [
            self.records().path(),
            self.records().mark,
            self.heads().mark,
            self.blobs(),
            self.logs(),
            self.quarantine(),
            self.accepted(),
            self.audit(),
            self.token_key(),
        ];
        parts.into_iter().filter(|part| part.exists()).collect()
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn folder_bytes(path: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        sum += match entry.file_type()?.is_dir() {
            true => folder_bytes(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(sum)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    files::create_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
