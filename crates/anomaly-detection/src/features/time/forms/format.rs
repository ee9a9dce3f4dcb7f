//! The formats of times given as texts.

use std::fmt;

use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};

use super::clock::{Cursor, clock};
use super::instant::{Unread, instant};
use super::{civil, iso};
use crate::error::{Error, Result, reason};
use crate::table::shortened;

/// The format of the times in a column of texts. In all formats years have four digits and letters may have any case. In all but
/// the first two, a time of day may follow the date after a space, a comma or `T`: `13:45`, `13:45:00`, `13:45:00.123` or `1:45
/// PM`, with or without a zone such as `Z`, `UTC` or `+05:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// ISO 8601 and RFC 3339, with dashes and colons or without: `2024-01-31`, `2024-01-31T13:45:00.5+01:00`,
    /// `20240131T134500Z`.
    Iso8601,
    /// RFC 2822: `Wed, 31 Jan 2024 13:45:00 +0000`.
    Rfc2822,
    /// `2024/01/31` or `2024.01.31`.
    YearMonthDay,
    /// `31 Jan 2024`, `31-January-2024`.
    DayMonthNameYear,
    /// `Jan 31 2024`, `January 31, 2024`.
    MonthNameDayYear,
    /// `01/31/2024` or `01-31-2024`.
    MonthDayYear,
    /// `31/01/2024`, `31-01-2024` or `31.01.2024`.
    DayMonthYear,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The search for the format of a column of texts: one that fits all of them.
///
/// If both day and month are numbers before the year, a number above 12 anywhere in the column decides which comes first. Without
/// one, the month comes first, as in pandas; between dots, the day always does.
#[derive(Debug, Clone)]
pub struct FormatSearch {
    /// The formats that fit all texts so far, in order of precedence.
    left: Vec<TimeFormat>,
    has_seen: bool,
}

/// Before any text.
impl Default for FormatSearch {
    fn default() -> Self {
        Self {
            left: TimeFormat::BY_PRECEDENCE.to_vec(),
            has_seen: false,
        }
    }
}

impl FormatSearch {
    /// Adds the next text, which must not be a missing one. Returns whether a format still fits all of them.
    pub fn add(&mut self, text: &str) -> bool {
        self.has_seen = true;
        self.left.retain(|format| format.read(text).is_ok());
        !self.left.is_empty()
    }

    /// The first format that fits all texts so far; `None` if there is no such format, or no text.
    pub fn found(&self) -> Option<TimeFormat> {
        self.left.first().copied().filter(|_| self.has_seen)
    }
}

impl TimeFormat {
    const BY_PRECEDENCE: [Self; 7] = [
        Self::Iso8601,
        Self::Rfc2822,
        Self::YearMonthDay,
        Self::DayMonthNameYear,
        Self::MonthNameDayYear,
        Self::MonthDayYear,
        Self::DayMonthYear,
    ];

    /// The nanoseconds since 1970 in UTC of a text in this format, ignoring spaces around it.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`], naming the text and what was expected, for a text in another format, a date that does not
    /// exist, and a time outside of 1677-09-21 to 2262-04-11.
    pub fn parse(self, text: &str) -> Result<i64> {
        self.read(text).map_err(|unread| {
            let text = shortened(text);
            let example = self.example();
            let message = match unread {
                Unread::Malformed => {
                    format!("{text} is not a time in the format {self}, such as {example}")
                }
                Unread::OutOfRange => {
                    format!(
                        "the time {text} is out of range: it must lie from 1677-09-21 to 2262-04-11"
                    )
                }
            };
            Error::new(reason::INVALID_RECORDS, message)
        })
    }

    fn read(self, text: &str) -> std::result::Result<i64, Unread> {
        let text = text.trim_ascii();
        match self {
            Self::Iso8601 => iso::parse(text),
            Self::Rfc2822 => rfc2822(text),
            _ => {
                let mut rest = Cursor(text.as_bytes());
                let (year, month, day) = self.date(&mut rest).ok_or(Unread::Malformed)?;
                let day = civil::day(year, month, day).ok_or(Unread::Malformed)?;
                let (nanoseconds, ahead) = time_of_day(rest).ok_or(Unread::Malformed)?;
                instant(day, nanoseconds, ahead)
            }
        }
    }

    /// Year, month and day.
    fn date(self, text: &mut Cursor<'_>) -> Option<(i64, i64, i64)> {
        match self {
            Self::Iso8601 | Self::Rfc2822 => None,
            Self::YearMonthDay => {
                let year = text.digits(4, 4)?;
                let (month, day) = (part(text, b"/.")?, part(text, b"/.")?);
                Some((year, month, day))
            }
            Self::MonthDayYear | Self::DayMonthYear => {
                let day_first = self == Self::DayMonthYear;
                let separators: &[u8] = if day_first { b"/.-" } else { b"/-" };
                let first = text.digits(1, 2)?;
                let second = part(text, separators)?;
                if !separator(text, separators) {
                    return None;
                }
                let year = text.digits(4, 4)?;
                Some(if day_first {
                    (year, second, first)
                } else {
                    (year, first, second)
                })
            }
            Self::DayMonthNameYear => {
                let day = text.digits(1, 2)?;
                gap(text);
                let month = month_name(text)?;
                gap(text);
                Some((text.digits(4, 4)?, month, day))
            }
            Self::MonthNameDayYear => {
                let month = month_name(text)?;
                gap(text);
                let day = text.digits(1, 2)?;
                if !gap(text) {
                    return None;
                }
                Some((text.digits(4, 4)?, month, day))
            }
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Iso8601 => "2024-01-31T13:45:00Z",
            Self::Rfc2822 => "Wed, 31 Jan 2024 13:45:00 +0000",
            Self::YearMonthDay => "2024/01/31 13:45:00",
            Self::DayMonthNameYear => "31 Jan 2024 13:45:00",
            Self::MonthNameDayYear => "Jan 31 2024 13:45:00",
            Self::MonthDayYear => "01/31/2024 13:45:00",
            Self::DayMonthYear => "31/01/2024 13:45:00",
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iso8601 => "ISO 8601",
            Self::Rfc2822 => "RFC 2822",
            Self::YearMonthDay => "year/month/day",
            Self::DayMonthNameYear => "day month-name year",
            Self::MonthNameDayYear => "month-name day year",
            Self::MonthDayYear => "month/day/year",
            Self::DayMonthYear => "day/month/year",
        })
    }
}

fn separator(text: &mut Cursor<'_>, allowed: &[u8]) -> bool {
    allowed.iter().any(|&byte| text.take(byte))
}

/// A separator and a number of one or two digits.
fn part(text: &mut Cursor<'_>, separators: &[u8]) -> Option<i64> {
    if !separator(text, separators) {
        return None;
    }
    text.digits(1, 2)
}

/// Skips separators and spaces between a day, the name of a month and a year. Returns whether there were any.
fn gap(text: &mut Cursor<'_>) -> bool {
    let before = text.0.len();
    let _ = separator(text, b"-,./");
    text.spaces();
    text.0.len() < before
}

/// The number of a month by its name or the first three letters of it, or `sept`.
fn month_name(text: &mut Cursor<'_>) -> Option<i64> {
    let start = text.0;
    let n = text.letters();
    let name = &start[..n];
    let index = MONTHS.iter().position(|month| {
        let short = n == 3 || n == 4 && *month == "september";
        let length = if short { n } else { month.len() };
        name.eq_ignore_ascii_case(&month.as_bytes()[..length])
    })?;
    Some(index as i64 + 1)
}

/// Reads the rest of a text after its date: nothing, or a separator and a time of day.
fn time_of_day(mut text: Cursor<'_>) -> Option<(i64, i64)> {
    if text.0.is_empty() {
        return Some((0, 0));
    }
    let before = text.0.len();
    let _ = text.take(b',') || text.take(b'T');
    text.spaces();
    if text.0.len() == before {
        return None;
    }
    clock(text)
}

fn rfc2822(text: &str) -> std::result::Result<i64, Unread> {
    static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new();
    let instant = PARSER
        .parse_timestamp(text)
        .map_err(|_| Unread::Malformed)?;
    i64::try_from(instant.as_nanosecond()).map_err(|_| Unread::OutOfRange)
}

#[cfg(test)]
mod tests;
