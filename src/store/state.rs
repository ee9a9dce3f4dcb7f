//! The state of a database after a write, as its newest entry and its mark say it; and revisions, by which states are ordered.

use std::fmt;

use super::StoreError;
use super::totals::Totals;

/// How many revisions each opening of a store has, so that none is ever reused, whatever a crash undid. 2^40 writes take years,
/// and there can be 2^24 openings.
const REVISIONS_PER_OPENING: u64 = 1 << 40;

/// The state of a database after a write. The default stands for the time before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The revision of the write.
    pub(super) revision: u64,
    /// All records, once it was made.
    pub(super) totals: Totals,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "write {} of opening {}, with {} records",
            self.revision % REVISIONS_PER_OPENING,
            self.revision / REVISIONS_PER_OPENING,
            self.totals.n_records
        )
    }
}

/// The first revision of the opening after the one with the revision `last`.
pub(super) fn next_opening(last: u64) -> Result<u64, StoreError> {
    (last / REVISIONS_PER_OPENING + 1)
        .checked_mul(REVISIONS_PER_OPENING)
        .ok_or_else(|| StoreError::Refused("the store has no revisions left".to_owned()))
}

/// The revision after `last` in the same opening.
pub(super) fn next_revision(last: u64) -> Result<u64, StoreError> {
    let next = last.wrapping_add(1);
    match next % REVISIONS_PER_OPENING {
        0 => Err(StoreError::Failed {
            cause: "the revisions of this opening are used up; restart the server".into(),
        }),
        _ => Ok(next),
    }
}

/// Tells a store from all others, and from what it was before a loss was accepted or a backup restored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreId([u8; 16]);

impl StoreId {
    /// The length in bytes.
    pub(super) const SIZE: usize = 16;

    /// A new id.
    pub(super) fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }

    /// The id with these bytes.
    pub(super) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({:032x})", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_and_writes_are_counted_and_never_overlap() {
        let first = next_opening(0).expect("the first");
        let write = next_revision(first).expect("a write");
        let state = State {
            revision: next_revision(write).expect("another"),
            totals: Totals::default(),
        };
        assert_eq!(state.to_string(), "write 2 of opening 1, with 0 records");
        let second = next_opening(write).expect("the second");
        assert!(second > write);
        assert!(next_revision(second - 1).is_err(), "the first is used up");
        assert!(next_opening(u64::MAX).is_err());
    }
}
