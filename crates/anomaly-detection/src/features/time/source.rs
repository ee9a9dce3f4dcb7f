//! Reads the times of rows from a column whose form is known.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::forms::{EpochUnit, TimeFormat};
use crate::error::{Error, Place, Result, reason};
use crate::table::{ColumnView, MISSING_TIME, Table};

/// The form of a column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// Timestamps.
    Timestamp,
    /// Texts in a format.
    Text(TimeFormat),
    /// Numbers since 1970.
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
    /// The times of all rows, in nanoseconds since 1970; `None` for a missing one.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`], naming the row, for a value that is a time neither in this form nor in ISO 8601 nor as a
    /// number since 1970.
    pub(in crate::features) fn read(
        self,
        table: &Table,
        column: usize,
    ) -> Result<Vec<Option<i64>>> {
        let placed = |row: usize, error: Error| {
            Error::new(reason::INVALID_RECORDS, error.message()).in_table(table.place(row, column))
        };
        match table.column(column) {
            ColumnView::Times(times) => Ok(times
                .iter()
                .map(|&time| (time != MISSING_TIME).then_some(time))
                .collect()),
            ColumnView::Texts(texts) => (0..texts.len())
                .map(|row| texts.get(row).map(|text| self.of_text(text)).transpose())
                .enumerate()
                .map(|(row, time)| time.map_err(|error| placed(row, error)))
                .collect(),
            ColumnView::Numbers(numbers) => numbers
                .iter()
                .map(|&number| match number.is_nan() {
                    true => Ok(None),
                    false => self.of_number(number).map(Some),
                })
                .enumerate()
                .map(|(row, time)| time.map_err(|error| placed(row, error)))
                .collect(),
            ColumnView::Booleans(_) => Err(Error::new(
                reason::SCHEMA_MISMATCH,
                format!(
                    "the time column {} holds true and false; a time is a timestamp, an ISO 8601 text or a number since 1970",
                    table.placed_column(column)
                ),
            )
            .in_table(Place::Column(table.placed_column(column)))),
        }
    }

    /// The time of a text: in the form of the training, or else in ISO 8601 or as a number.
    fn of_text(self, text: &str) -> Result<i64> {
        let format = match self {
            Self::Text(format) => format,
            Self::Timestamp | Self::Epoch(_) => TimeFormat::Iso8601,
        };
        format.parse(text).or_else(|error| {
            let number = || self.of_number(text.trim_ascii().parse().ok()?).ok();
            let time = TimeFormat::Iso8601.parse(text).ok().or_else(number);
            time.ok_or(error)
        })
    }

    /// The time of a number: in the unit of the training, or else in the one in which it is plausible.
    fn of_number(self, number: f64) -> Result<i64> {
        let unit = match self {
            Self::Epoch(unit) => Some(unit),
            Self::Timestamp | Self::Text(_) => EpochUnit::plausible(number),
        };
        let unit = unit.ok_or_else(|| {
            let message = format!(
                "{number} is not a time: where the model has learned {self}, a number must count seconds, milli-, micro- or \
                 nanoseconds since 1970 and lie from 1980 to 2100"
            );
            Error::new(reason::INVALID_RECORDS, message)
        })?;
        unit.parse(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;

    /// 2024-01-31T13:45:00Z.
    const SECONDS: i64 = 1_706_708_700;
    const SOURCES: [TimeSource; 4] = [
        TimeSource::Timestamp,
        TimeSource::Text(TimeFormat::Iso8601),
        TimeSource::Text(TimeFormat::DayMonthYear),
        TimeSource::Epoch(EpochUnit::Seconds),
    ];

    fn read(source: TimeSource, column: Column) -> Result<Vec<Option<i64>>> {
        let names = Some(vec!["when".to_owned()]);
        let table = Table::from_columns(names, vec![column]).expect("a table");
        source.read(&table, 0)
    }

    fn texts(text: &str) -> Column {
        Column::Texts([Some(text), None].into_iter().collect())
    }

    #[test]
    fn times_are_read_in_any_form_whatever_the_form_of_the_training() {
        let expected = vec![Some(SECONDS * 1_000_000_000), None];
        for source in SOURCES {
            for text in [
                "2024-01-31T13:45:00Z",
                "2024-01-31T14:45:00+01:00",
                "1706708700",
            ] {
                let times = read(source, texts(text)).expect("a time");
                assert_eq!(times, expected, "{source} {text}");
            }
            let numbers = Column::Numbers(vec![SECONDS as f64, f64::NAN]);
            assert_eq!(read(source, numbers).expect("a time"), expected, "{source}");
            let times = Column::Times(vec![SECONDS * 1_000_000_000, MISSING_TIME]);
            assert_eq!(read(source, times).expect("a time"), expected, "{source}");
        }
        let milliseconds = Column::Numbers(vec![SECONDS as f64 * 1000.0, f64::NAN]);
        let times = read(TimeSource::Timestamp, milliseconds).expect("a time");
        assert_eq!(times, expected);
        let of_training = read(
            TimeSource::Text(TimeFormat::DayMonthYear),
            texts("31.01.2024 13:45"),
        );
        assert_eq!(of_training.expect("a time"), expected);
    }

    #[test]
    fn errors_name_the_row_of_a_value_that_is_not_a_time() {
        for source in SOURCES {
            for text in ["soon", "12", "nan", ""] {
                // 12 is a time if the training had seconds since 1970
                if (source, text) == (TimeSource::Epoch(EpochUnit::Seconds), "12") {
                    continue;
                }
                let error = read(source, texts(text)).expect_err("no time");
                assert!(
                    error.message().contains("row 0"),
                    "{source} {text:?}: {error}"
                );
            }
            assert!(read(source, Column::Booleans(vec![1.0])).is_err());
            assert!(read(source, Column::Numbers(vec![f64::INFINITY])).is_err());
        }
        assert!(read(TimeSource::Timestamp, Column::Numbers(vec![12.0])).is_err());
    }
}
