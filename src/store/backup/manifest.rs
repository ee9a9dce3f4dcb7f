//! The manifest of a backup: a line of JSON, and a line with the SHA-256 of the first one.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{BackupSummary, refused};
use crate::store::audit::rfc3339;
use crate::store::state::State;
use crate::store::totals::Totals;
use crate::store::{StoreError, files, hex};

const FILE: &str = "manifest";

const FORMAT: u32 = 1;

/// What a backup is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// When it was made, in milliseconds since 1970.
    made_ms: i64,
    records: Database,
    /// Absent if there was never a log.
    heads: Option<Database>,
    /// The fingerprint of the token key, in hexadecimal digits.
    fingerprint: Option<String>,
    pub(super) n_blobs: u64,
    pub(super) n_bytes: u64,
    pub(super) has_token_key: bool,
}

/// The state of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Database {
    revision: u64,
    n_records: u64,
    /// The totals, in hexadecimal digits.
    totals: String,
}

impl From<State> for Database {
    fn from(state: State) -> Self {
        Self {
            revision: state.revision,
            n_records: state.totals.n_records,
            totals: hex::encode(&state.totals.to_bytes()),
        }
    }
}

impl Database {
    /// The state that it stands for; `None` if the digits are none.
    fn state(&self) -> Option<State> {
        Some(State {
            revision: self.revision,
            totals: Totals::from_bytes(&hex::decode(&self.totals)?),
        })
    }
}

impl Manifest {
    pub(super) fn new(
        made_ms: i64,
        records: State,
        heads: Option<State>,
        fingerprint: Option<[u8; 16]>,
    ) -> Self {
        Self {
            format: FORMAT,
            made_ms,
            records: records.into(),
            heads: heads.map(Database::from),
            fingerprint: fingerprint.map(|fingerprint| hex::encode(&fingerprint)),
            n_blobs: 0,
            n_bytes: 0,
            has_token_key: false,
        }
    }

    /// Writes the manifest, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            let line = serde_json::to_string(self)?;
            let checksum = checksum(&line);
            files::write_whole(folder, FILE, |file| writeln!(file, "{line}\n{checksum}"))
        };
        write().map_err(StoreError::io("write the manifest of a backup"))
    }

    /// Reads and checks the manifest.
    pub(super) fn read(folder: &Path) -> Result<Self, StoreError> {
        let text = match fs::read_to_string(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(refused(
                    folder,
                    "is no backup, or one that was not finished: it has no manifest",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
            Err(error) => return Err(StoreError::io("read the manifest of a backup")(error)),
        };
        let damaged = || refused(folder, "is a backup whose manifest is damaged");
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default();
        if lines.next() != Some(checksum(line).as_str()) {
            return Err(damaged());
        }
        let manifest: Self = serde_json::from_str(line).map_err(|_| damaged())?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            let why =
                format!("is a backup in format {format}, and this program reads format {FORMAT}");
            return Err(refused(folder, &why));
        }
        match manifest.states() {
            Some(_) => Ok(manifest),
            None => Err(damaged()),
        }
    }

    /// The states of the records and of the heads; `None` if a value in it is malformed.
    pub(super) fn states(&self) -> Option<(State, Option<State>)> {
        let heads = match &self.heads {
            Some(heads) => Some(heads.state()?),
            None => None,
        };
        Some((self.records.state()?, heads))
    }

    /// The fingerprint of the token key.
    pub(super) fn fingerprint(&self) -> Option<[u8; 16]> {
        self.fingerprint.as_deref().and_then(hex::decode)
    }

    pub(super) fn summary(&self) -> BackupSummary {
        BackupSummary {
            made: rfc3339(self.made_ms),
            last_write: self.records.state().unwrap_or_default().to_string(),
            n_records: self.records.n_records,
            n_blobs: self.n_blobs,
            n_logs: self.heads.as_ref().map_or(0, |heads| heads.n_records),
            n_bytes: self.n_bytes,
            has_token_key: self.has_token_key,
        }
    }
}

fn checksum(line: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(line).into();
    hex::encode(&hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_its_round_trip_and_any_damage_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let missing = Manifest::read(folder).expect_err("there is none");
        assert!(missing.to_string().contains("no backup"), "{missing}");
        let state = State {
            revision: 7,
            totals: Totals::default(),
        };
        let manifest = Manifest::new(5, state, Some(state), Some([3; 16]));
        manifest.write(folder).expect("written");
        let read = Manifest::read(folder).expect("whole");
        assert_eq!(read, manifest);
        assert_eq!(read.states(), Some((state, Some(state))));
        assert_eq!(read.fingerprint(), Some([3; 16]));

        let whole = fs::read(folder.join(FILE)).expect("readable");
        for at in 0..whole.len() - 1 {
            let mut turned = whole.clone();
            turned[at] ^= 0x11;
            for bad in [&turned[..], &whole[..at]] {
                fs::write(folder.join(FILE), bad).expect("writable");
                assert!(Manifest::read(folder).is_err(), "byte {at}");
            }
        }
    }
}
