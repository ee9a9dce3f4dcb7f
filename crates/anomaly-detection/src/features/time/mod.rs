//! Reading time: which format the texts or numbers of a column are in, and the instant that each says, as nanoseconds since
//! 1970-01-01 in UTC. That reaches from 1677-09-21 to 2262-04-11. A text without a zone is in UTC.

mod civil;
mod clock;
mod epoch;
mod format;
mod iso;

pub use epoch::{EpochSearch, EpochUnit, says_time};
pub use format::{FormatSearch, TimeFormat};

/// Why a text is not a time of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// It is not of the format, or says a day or an hour that does not exist.
    Malformed,
    /// It says a time that nanoseconds in 64 bits do not reach.
    OutOfRange,
}

/// Nanoseconds since 1970 of a day since 1970, a time of day and how far its zone is ahead of UTC, in nanoseconds.
fn instant(day: i64, nanoseconds: i64, ahead: i64) -> Result<i64, Unread> {
    const DAY: i128 = 86_400_000_000_000;
    let instant = i128::from(day) * DAY + i128::from(nanoseconds) - i128::from(ahead);
    i64::try_from(instant).map_err(|_| Unread::OutOfRange)
}
