//! Logs: endless sequences of entries that are only ever appended to and dropped from the front.

use bytes::Bytes;

/// The longest entry of a log, in bytes.
pub const MAX_ENTRY_BYTES: usize = 512 << 10;

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the log. Numbers ascend; the first is 1.
    pub sequence: u64,
    /// What was appended.
    pub bytes: Bytes,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The number of the oldest entry that is kept; that of the next one where none is kept.
    pub first: u64,
    /// The number of the next entry.
    pub next: u64,
    /// About how many bytes it takes: at least those of the kept entries.
    pub n_bytes: u64,
}

/// What a log is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// The entries from this number on. Those before it are not read any more, and their room is given back in coarse steps.
    From(u64),
    /// At least the newest entries of about so many bytes; of older ones no more than an eighth of that, or a mebibyte.
    Bytes(u64),
}
