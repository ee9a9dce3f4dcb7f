//! Where the times of rows come from: which column holds them, and in which form.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{EpochUnit, TimeFormat};
use crate::error::{Error, Result, reason};
use crate::table::{ColumnView, MISSING_TIME, Table};

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
    /// The times of all rows, in nanoseconds since 1970; `None` where one is missing.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`], naming the row, for a value that is no time in this form.
    pub(super) fn read(self, table: &Table, column: usize, name: &str) -> Result<Vec<Option<i64>>> {
        let placed = |row: usize, error: Error| {
            Error::new(
                reason::INVALID_RECORDS,
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
                reason::SCHEMA_MISMATCH,
                format!(
                    "the time column {name:?} holds {} values; at training it held {self}",
                    table.column_type(column)
                ),
            )
            .at("records")),
        }
    }
}
