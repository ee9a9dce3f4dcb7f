//! The search for the form of a column of times, table by table.

use super::forms::{EpochSearch, FormatSearch, says_time};
use super::source::TimeSource;
use crate::error::{Error, Result, reason};
use crate::table::{ColumnView, MISSING_TIME, Table, TextColumn, shortened};

/// The search for the form of a column that may hold times.
#[derive(Debug, Clone)]
pub(in crate::features) struct TimeSearch {
    column: usize,
    name: String,
    /// Whether the roles name it as the time column, so that it is an error if it does not hold times.
    is_required: bool,
    forms: Forms,
    n_rows: usize,
}

#[derive(Debug, Clone)]
enum Forms {
    /// Timestamps; whether there has been one.
    Timestamps(bool),
    Texts(FormatSearch),
    Numbers(EpochSearch),
    /// It does not hold times.
    None,
}

impl TimeSearch {
    /// A search, before any row, in a column that may hold times, or must if `is_required`. Otherwise numbers count as times
    /// only if the name of the column suggests so.
    pub(in crate::features) fn new(
        table: &Table,
        column: usize,
        name: &str,
        is_required: bool,
    ) -> Self {
        let forms = match table.column(column) {
            ColumnView::Times(_) => Forms::Timestamps(false),
            ColumnView::Texts(_) => Forms::Texts(FormatSearch::default()),
            ColumnView::Numbers(_) if is_required || says_time(name) => {
                Forms::Numbers(EpochSearch::default())
            }
            ColumnView::Numbers(_) | ColumnView::Booleans(_) => Forms::None,
        };
        Self {
            column,
            name: name.to_owned(),
            is_required,
            forms,
            n_rows: 0,
        }
    }

    /// A sort key of columns, smallest for the one most likely to hold the times of the rows.
    pub(in crate::features) fn precedence(&self) -> (bool, bool, &[u8]) {
        let name = &self.name;
        (!self.is_of_dates(), !says_time(name), name.as_bytes())
    }

    /// Whether it holds timestamps or dates, if it holds times.
    pub(in crate::features) fn is_of_dates(&self) -> bool {
        matches!(self.forms, Forms::Timestamps(_) | Forms::Texts(_))
    }

    /// The index of the column.
    pub(in crate::features) fn column(&self) -> usize {
        self.column
    }

    /// Adds the next rows.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`], naming the column and the first value that is not a time, if it is required to hold times.
    pub(in crate::features) fn add(&mut self, table: &Table) -> Result<()> {
        let refused = match (&mut self.forms, table.column(self.column)) {
            (Forms::Timestamps(has_any), ColumnView::Times(times)) => {
                *has_any = *has_any || times.iter().any(|&time| time != MISSING_TIME);
                None
            }
            (Forms::Texts(search), ColumnView::Texts(texts)) => {
                let mut distinct = texts.dictionary().iter().zip(0_u32..);
                distinct
                    .find(|(text, _)| !search.add(text))
                    .map(|(text, code)| (row_of(texts, code), shortened(text)))
            }
            (Forms::Numbers(search), ColumnView::Numbers(numbers)) => {
                let row = numbers.iter().position(|&number| !search.add(number));
                row.map(|row| (row, numbers[row].to_string()))
            }
            // a type that holds no times, or a column that was refused before
            _ => Some((0, format!("{} values", table.column_type(self.column)))),
        };
        if let Some((row, found)) = refused {
            if self.is_required {
                return Err(self.no_times(&format!("row {} has {found}", self.n_rows + row)));
            }
            self.forms = Forms::None;
        }
        self.n_rows += table.n_rows();
        Ok(())
    }

    /// The form; `None` if the column does not hold times.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`] if it is required to hold times and has no value.
    pub(in crate::features) fn found(&self) -> Result<Option<TimeSource>> {
        let found = match &self.forms {
            Forms::Timestamps(has_any) => has_any.then_some(TimeSource::Timestamp),
            Forms::Texts(search) => search.found().map(TimeSource::Text),
            Forms::Numbers(search) => search.found().map(TimeSource::Epoch),
            Forms::None => None,
        };
        match found {
            None if self.is_required => Err(self.no_times("it has no value")),
            found => Ok(found),
        }
    }

    /// Whether it holds times, whatever rows may follow.
    pub(in crate::features) fn is_found(&self) -> bool {
        matches!(self.forms, Forms::Timestamps(true))
    }

    /// Whether it does not hold times.
    pub(in crate::features) fn is_refused(&self) -> bool {
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

/// Whether all texts of a column are dates in one format.
pub fn are_dates(texts: &TextColumn) -> bool {
    let mut search = FormatSearch::default();
    let mut texts = texts.dictionary().iter();
    texts.all(|text| search.add(text)) && search.found().is_some()
}

/// The first row with the text of a code.
fn row_of(texts: &TextColumn, code: u32) -> usize {
    let mut codes = texts.codes().iter();
    codes.position(|&other| other == code).unwrap_or_default()
}
