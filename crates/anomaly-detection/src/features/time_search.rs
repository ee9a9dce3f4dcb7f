//! Looking for the form of a column of times, table after table.

use super::time::{EpochSearch, FormatSearch, says_time};
use super::time_source::TimeSource;
use crate::error::{Error, Result, reason};
use crate::table::{ColumnView, Table, TextColumn, shortened};

/// The form that a column of times may have, as far as it was seen.
#[derive(Debug, Clone)]
pub(super) struct TimeSearch {
    column: usize,
    name: String,
    /// Whether somebody called it a column of times: then it is an error when it is none.
    is_told: bool,
    forms: Forms,
    n_rows: usize,
}

#[derive(Debug, Clone)]
enum Forms {
    Clock,
    Texts(FormatSearch),
    Numbers(EpochSearch),
    /// It holds no times.
    None,
}

impl TimeSearch {
    /// Before any row, for a column that may hold times, or must where `is_told`. Where nobody tells, numbers are times only
    /// if the name says so.
    pub(super) fn new(table: &Table, column: usize, name: &str, is_told: bool) -> Self {
        let forms = match table.column(column) {
            ColumnView::Times(_) => Forms::Clock,
            ColumnView::Texts(_) => Forms::Texts(FormatSearch::default()),
            ColumnView::Numbers(_) if is_told || says_time(name) => {
                Forms::Numbers(EpochSearch::default())
            }
            ColumnView::Numbers(_) | ColumnView::Booleans(_) => Forms::None,
        };
        Self {
            column,
            name: name.to_owned(),
            is_told,
            forms,
            n_rows: 0,
        }
    }

    /// The index of the column.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// Takes in the next rows.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`], naming the column and the first value that is no time, where they were told to be times.
    pub(super) fn see(&mut self, table: &Table) -> Result<()> {
        let refused = match (&mut self.forms, table.column(self.column)) {
            (Forms::Clock, ColumnView::Times(_)) => None,
            (Forms::Texts(search), ColumnView::Texts(texts)) => {
                let mut distinct = texts.dictionary().iter().zip(0_u32..);
                distinct
                    .find(|(text, _)| !search.see(text))
                    .map(|(text, code)| (row_of(texts, code), shortened(text)))
            }
            (Forms::Numbers(search), ColumnView::Numbers(numbers)) => {
                let row = numbers.iter().position(|&number| !search.see(number));
                row.map(|row| (row, numbers[row].to_string()))
            }
            // what lies between them is not said to be a time, or it was refused before
            _ => Some((0, format!("{} values", table.column_type(self.column)))),
        };
        if let Some((row, found)) = refused {
            if self.is_told {
                return Err(self.no_times(&format!("row {} has {found}", self.n_rows + row)));
            }
            self.forms = Forms::None;
        }
        self.n_rows += table.n_rows();
        Ok(())
    }

    /// The form; `None` where the column holds no times.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`] where it was told to hold times and has no value.
    pub(super) fn found(&self) -> Result<Option<TimeSource>> {
        let found = match &self.forms {
            Forms::Clock => Some(TimeSource::Timestamp),
            Forms::Texts(search) => search.found().map(TimeSource::Text),
            Forms::Numbers(search) => search.found().map(TimeSource::Epoch),
            Forms::None => None,
        };
        match found {
            None if self.is_told => Err(self.no_times("it has no value")),
            found => Ok(found),
        }
    }

    /// Whether it surely holds times.
    pub(super) fn is_found(&self) -> bool {
        matches!(self.forms, Forms::Clock)
    }

    /// Whether it surely holds none.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.forms, Forms::None)
    }

    fn no_times(&self, found: &str) -> Error {
        Error::new(
            reason::INVALID_RECORDS,
            format!(
                "the time column {:?} does not hold times: {found}; give ISO 8601 or one common form of dates in all rows, or \
                 numbers since 1970 in seconds, milli-, micro- or nanoseconds",
                self.name
            ),
        )
        .at("time_column")
    }
}

/// The first row with the text of a code.
fn row_of(texts: &TextColumn, code: u32) -> usize {
    let mut codes = texts.codes().iter();
    codes.position(|&other| other == code).unwrap_or_default()
}
