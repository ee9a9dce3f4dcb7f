//! Instants as nanoseconds since 1970.

/// Why a text cannot be read as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not in the format, or names a day or an hour that does not exist.
    Malformed,
    /// Its time does not fit in 64 bits as nanoseconds.
    OutOfRange,
}

/// The nanoseconds since 1970 of a day since 1970 and a time of day in a zone with an offset from UTC, both in nanoseconds.
pub(super) fn instant(day: i64, nanoseconds: i64, ahead: i64) -> Result<i64, Unread> {
    const DAY: i128 = 86_400_000_000_000;
    let instant = i128::from(day) * DAY + i128::from(nanoseconds) - i128::from(ahead);
    i64::try_from(instant).map_err(|_| Unread::OutOfRange)
}
