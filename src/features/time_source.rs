//! Where the times of rows come from: which column holds them, and in which form.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{EpochUnit, TimeFormat, detect, detect_epoch};
use crate::error::{Error, Reason, Result};
use crate::table::{ColumnView, MISSING_TIME, Table, TextColumn};

/// The form of a column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// Points in time already.
    Timestamp,
    /// Texts in a format.
    Text(TimeFormat),
    /// Numbers that count from 1970 on.
    Epoch(EpochUnit),
}

impl fmt::Display for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp => f.write_str("timestamp"),
            Self::Text(format) => format.fmt(f),
            Self::Epoch(unit) => unit.fmt(f),
        }
    }
}

impl TimeSource {
    /// The form of a column that nobody called one of times; `None` where it is none. Numbers are times only where the name
    /// says so.
    pub(super) fn detect(table: &Table, column: usize, name: &str) -> Option<Self> {
        match table.column(column) {
            ColumnView::Times(_) => Some(Self::Timestamp),
            ColumnView::Texts(texts) => Self::of_texts(texts),
            ColumnView::Numbers(numbers) => detect_epoch(name, &numbers.to_vec()).map(Self::Epoch),
            ColumnView::Booleans(_) => None,
        }
    }

    /// The form of a column that is said to hold times.
    ///
    /// # Errors
    /// [`Reason::InvalidRecords`], naming the column and the first value that is no time.
    pub(super) fn of(table: &Table, column: usize, name: &str) -> Result<Self> {
        let source = match table.column(column) {
            // told to be times, numbers need no name that says so
            ColumnView::Numbers(numbers) => {
                detect_epoch("time", &numbers.to_vec()).map(Self::Epoch)
            }
            _ => Self::detect(table, column, name),
        };
        source.ok_or_else(|| {
            let found = match table.column(column) {
                ColumnView::Texts(texts) => match first_unreadable(texts) {
                    Some((row, text)) => {
                        format!("row {row} has {}", crate::table::shortened(text))
                    }
                    None => "it has no value".to_owned(),
                },
                ColumnView::Numbers(numbers) => match numbers.iter().find(|x| !x.is_nan()) {
                    Some(number) => format!("it holds numbers such as {number}"),
                    None => "it has no value".to_owned(),
                },
                _ => "it holds booleans".to_owned(),
            };
            Error::new(
                Reason::InvalidRecords,
                format!(
                    "the time column {name:?} does not hold times: {found}; give ISO 8601 or one common form of dates in \
                     all rows, or numbers since 1970 in seconds, milli-, micro- or nanoseconds"
                ),
            )
            .at("time_column")
        })
    }

    fn of_texts(texts: &TextColumn) -> Option<Self> {
        detect(texts.dictionary().iter()).map(Self::Text)
    }

    /// The times of all rows, in nanoseconds since 1970; `None` where one is missing.
    ///
    /// # Errors
    /// [`Reason::InvalidRecords`], naming the row, for a value that is no time in this form.
    pub(super) fn read(self, table: &Table, column: usize, name: &str) -> Result<Vec<Option<i64>>> {
        let placed = |row: usize, error: Error| {
            Error::new(
                Reason::InvalidRecords,
                format!("row {row}, time column {name:?}: {}", error.message()),
            )
            .at("records")
        };
        match (table.column(column), self) {
            (ColumnView::Times(times), _) => Ok(times
                .iter()
                .map(|&time| (time != MISSING_TIME).then_some(time))
                .collect()),
            (ColumnView::Texts(texts), Self::Text(format)) => (0..texts.len())
                .map(|row| match texts.get(row) {
                    None => Ok(None),
                    Some(text) => match format.parse(text) {
                        Ok(time) => Ok(Some(time)),
                        Err(error) => Err(placed(row, error)),
                    },
                })
                .collect(),
            (ColumnView::Numbers(numbers), Self::Epoch(unit)) => numbers
                .iter()
                .enumerate()
                .map(|(row, &number)| match number.is_nan() {
                    true => Ok(None),
                    false => unit
                        .parse(number)
                        .map(Some)
                        .map_err(|error| placed(row, error)),
                })
                .collect(),
            // a column without any value is read as numbers by some forms
            (ColumnView::Numbers(numbers), _) if numbers.iter().all(|x| x.is_nan()) => {
                Ok(vec![None; numbers.len()])
            }
            _ => Err(Error::new(
                Reason::SchemaMismatch,
                format!(
                    "the time column {name:?} holds {} values; at training it held {self}",
                    table.column_type(column)
                ),
            )
            .at("records")),
        }
    }
}

/// The first text that is in none of the formats, or else not in that of the first.
fn first_unreadable(texts: &TextColumn) -> Option<(usize, &str)> {
    let mut present = (0..texts.len()).filter_map(|row| Some((row, texts.get(row)?)));
    let (row, first) = present.next()?;
    match detect([first]) {
        None => Some((row, first)),
        Some(_) => present.find(|(_, text)| detect([first, text]).is_none()),
    }
}
