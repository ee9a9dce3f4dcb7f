//! What a store has lost: which of its parts are missing, damaged or behind what was acknowledged; and those losses that an
//! operator has accepted.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::{BlobName, LogName, StoreError, files};

/// How many losses the refusal of a store names.
const NAMED: usize = 3;

/// A part of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The database of the records.
    Records,
    /// The database of the heads of the logs.
    Heads,
    /// The key under which tokens are hashed.
    TokenKey,
    /// A record, as described.
    Record(String),
    Blob(BlobName),
    Log(LogName),
    /// A segment of a log, by the number of its first entry.
    Segment(LogName, u64),
}

impl Part {
    /// Whether its loss can be noted and then lived with: whatever reads the part fails. Databases are made whole instead.
    fn is_file(&self) -> bool {
        matches!(self, Self::Blob(_) | Self::Log(_) | Self::Segment(..))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records => f.write_str("the database of the records, meta"),
            Self::Heads => f.write_str("the database of the logs, logs/heads"),
            Self::TokenKey => f.write_str("the token key"),
            Self::Record(described) => f.write_str(described),
            Self::Blob(name) => write!(f, "blob {name}"),
            Self::Log(name) => write!(f, "log {name}"),
            Self::Segment(log, first) => write!(f, "segment {log}.{first:016x}"),
        }
    }
}

/// What is wrong with a part of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) part: Part,
    /// What was found, and what would be right.
    pub(super) how: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.how)
    }
}

/// The losses of a store, without those that were accepted.
#[derive(Debug)]
pub(super) struct Losses {
    list: Vec<Loss>,
    /// The files among them.
    files: HashSet<Part>,
    accepted: Accepted,
}

impl Losses {
    /// No losses yet.
    pub(super) fn new(accepted: Accepted) -> Self {
        Self {
            list: Vec::new(),
            files: HashSet::new(),
            accepted,
        }
    }

    /// Adds a loss. Of a file, only the first one counts, and none if it was accepted.
    pub(super) fn add(&mut self, part: Part, how: impl Into<String>) {
        if part.is_file() && (self.accepted.contains(&part) || !self.files.insert(part.clone())) {
            return;
        }
        let how = how.into();
        self.list.push(Loss { part, how });
    }

    pub(super) fn list(&self) -> &[Loss] {
        &self.list
    }

    pub(super) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// How many losses are of such parts.
    pub(super) fn count(&self, is_such: impl Fn(&Part) -> bool) -> usize {
        self.list.iter().filter(|loss| is_such(&loss.part)).count()
    }

    /// Refuses a store that has lost anything, and says what to do.
    pub(super) fn refuse(&self, folder: &Path) -> Result<(), StoreError> {
        if self.list.is_empty() {
            return Ok(());
        }
        let named: Vec<String> = self.list.iter().take(NAMED).map(Loss::to_string).collect();
        let more = match self.list.len() - named.len() {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        Err(StoreError::Refused(format!(
            "what was acknowledged is not all there: {}{more}; nothing is served from {}. `anomalyd store check` lists what is \
             lost, `anomalyd store restore` brings a backup into an empty folder, and `anomalyd store accept-loss` gives up \
             what is lost and keeps the rest",
            named.join("; "),
            folder.display()
        )))
    }

    /// The names of the files that were lost, now and before.
    pub(super) fn to_accept(&self) -> Accepted {
        let now = self.files.iter().map(Part::to_string);
        Accepted(self.accepted.0.iter().cloned().chain(now).collect())
    }
}

/// The files whose loss was accepted: a start does not ask for them again, and whoever reads them gets an error.
#[derive(Debug, Default)]
pub(super) struct Accepted(HashSet<String>);

impl Accepted {
    /// Reads the list. A damaged line accepts nothing.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        match fs::read(path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Ok(Self(text.lines().map(str::to_owned).collect()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StoreError::io("read the accepted losses")(error)),
        }
    }

    /// Writes the list, if there is anything in it.
    pub(super) fn write(&self, path: &Path) -> Result<(), StoreError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let (false, Some(folder), Some(name)) = (self.0.is_empty(), path.parent(), name) else {
            return Ok(());
        };
        let mut lines: Vec<&str> = self.0.iter().map(String::as_str).collect();
        lines.sort_unstable();
        files::replace(folder, name, |file| {
            lines.iter().try_for_each(|line| writeln!(file, "{line}"))
        })
        .map_err(StoreError::io("write the accepted losses"))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the loss of a file was accepted.
    pub(super) fn contains(&self, part: &Part) -> bool {
        !self.0.is_empty() && self.0.contains(&part.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_losses_are_not_refused_again_and_others_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("accepted-losses");
        let nothing = Losses::new(Accepted::read(&path).expect("none"));
        nothing.refuse(folder.path()).expect("nothing is lost");
        nothing.to_accept().write(&path).expect("nothing to write");
        assert!(!path.exists());

        let (one, two) = (BlobName::random(), BlobName::random());
        let log = LogName::random();
        let mut losses = nothing;
        losses.add(Part::Records, "is behind");
        losses.add(Part::Blob(one), "is missing");
        losses.add(Part::Blob(one), "cannot be read");
        losses.add(Part::Segment(log, 17), "is cut");
        losses.add(Part::Log(log), "has no head");
        assert_eq!(losses.list().len(), 4);
        let refusal = losses.refuse(folder.path()).expect_err("refused");
        let refusal = refusal.to_string();
        for part in ["is behind", "and 1 more", "store restore", "accept-loss"] {
            assert!(refusal.contains(part), "{part}: {refusal}");
        }
        losses.to_accept().write(&path).expect("written");

        let mut losses = Losses::new(Accepted::read(&path).expect("a list"));
        losses.add(Part::Blob(one), "is missing");
        losses.add(Part::Segment(log, 17), "is cut");
        losses.refuse(folder.path()).expect("accepted");
        losses.add(Part::Segment(log, 18), "is cut");
        losses.add(Part::Blob(two), "is missing");
        losses.add(Part::Records, "is behind");
        assert_eq!(losses.count(|_| true), 3);
        assert_eq!(losses.count(Part::is_file), 2);
    }
}
