//! Logs: sequences of entries, which are appended at the end and dropped from the front.

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
    /// The number of the oldest kept entry; `next` if none is kept.
    pub first: u64,
    /// The number of the next entry.
    pub next: u64,
    /// Its size in bytes, about: at least that of the kept entries.
    pub n_bytes: u64,
}

/// Which entries of a log to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retain {
    /// The entries from this number on. Earlier ones are no longer read, and their space is freed in large steps.
    From(u64),
    /// The newest entries, of about this many bytes together, and older ones of at most an eighth of that, or 1 MiB.
    Bytes(u64),
}
