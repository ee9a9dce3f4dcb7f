//! ISO 8601 and RFC 3339: a fast parser for the usual forms, and a library for all others.

use jiff::fmt::temporal::Pieces;

use super::civil;
use super::clock::{Cursor, fraction, zone};
use super::instant::{Unread, instant};

/// Reads a date, or a date and a time of day after `T` or a space, with a zone or without.
pub(super) fn parse(text: &str) -> Result<i64, Unread> {
    match usual(text.as_bytes()) {
        Some((day, nanoseconds, ahead)) => instant(day, nanoseconds, ahead),
        None => general(text),
    }
}

/// `2024-01-31`, and then `T13:45`, `T13:45:00` or `T13:45:00.123456789`, and then a zone.
fn usual(text: &[u8]) -> Option<(i64, i64, i64)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *date else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let day = civil::day(year, two(m0, m1)?, two(d0, d1)?)?;
    let [b'T' | b't' | b' ', h0, h1, b':', m0, m1, ref rest @ ..] = *rest else {
        return rest.is_empty().then_some((day, 0, 0));
    };
    let (hour, minute) = (two(h0, h1)?, two(m0, m1)?);
    let (second, rest) = match *rest {
        [b':', s0, s1, ref rest @ ..] => (two(s0, s1)?, rest),
        _ => (0, rest),
    };
    // a leap second is left to the library
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = Cursor(rest);
    let fraction = if rest.take(b'.') {
        fraction(&mut rest)?
    } else {
        0
    };
    let nanoseconds = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction;
    rest.spaces();
    Some((day, nanoseconds, zone(rest)?))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then_some(i64::from(tens) * 10 + i64::from(ones))
}

fn general(text: &str) -> Result<i64, Unread> {
    let pieces = Pieces::parse(text).map_err(|_| Unread::Malformed)?;
    // a named zone would need a database, and a time may contradict it
    if pieces.time_zone_annotation().is_some() {
        return Err(Unread::Malformed);
    }
    let date = pieces.date();
    let day = civil::day(date.year().into(), date.month().into(), date.day().into())
        .ok_or(Unread::Malformed)?;
    let nanoseconds = pieces.time().map_or(0, |time| {
        let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60;
        (seconds + i64::from(time.second())) * 1_000_000_000 + i64::from(time.subsec_nanosecond())
    });
    let ahead = pieces
        .to_numeric_offset()
        .map_or(0, |offset| i64::from(offset.seconds()));
    instant(day, nanoseconds, ahead * 1_000_000_000)
}
