//! Instants as nanoseconds since 1970.

/// Why a text is not a time of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not of the format, or says a day or an hour that does not exist.
    Malformed,
    /// It says a time that nanoseconds in 64 bits do not reach.
    OutOfRange,
}

/// Nanoseconds since 1970 of a day since 1970, a time of day and how far its zone is ahead of UTC, in nanoseconds.
pub(super) fn instant(day: i64, nanoseconds: i64, ahead: i64) -> Result<i64, Unread> {
    const DAY: i128 = 86_400_000_000_000;
    let instant = i128::from(day) * DAY + i128::from(nanoseconds) - i128::from(ahead);
    i64::try_from(instant).map_err(|_| Unread::OutOfRange)
}
