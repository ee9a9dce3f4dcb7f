//! The result of a scan of a file.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::format::Format;
use super::names;
use super::parquet::MAX_OPEN_PAGE_BYTES;
use crate::error::{Error, Result, reason};
use crate::table::{AbsentCell, ColumnType};

/// The result of a scan of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    pub(super) format: Format,
    pub(super) has_names: bool,
    pub(super) columns: Vec<ColumnSummary>,
    pub(super) n_rows: u64,
    pub(super) n_bytes: u64,
    pub(super) absent: Vec<AbsentCell>,
    #[serde(default)]
    pub(super) page_bytes: u64,
}

/// The result of a scan for a column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// Its name; `f0`, `f1`, … in a file without names.
    pub name: String,
    /// The type of the column.
    pub column_type: ColumnType,
    /// How many rows have no value in it.
    pub n_missing: u64,
}

impl FileSummary {
    /// The format of the file, which was given or detected.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The columns, in the order in which tables have them.
    pub fn columns(&self) -> &[ColumnSummary] {
        &self.columns
    }

    /// The names of the columns as tables have them: `None` if the file does not name them.
    pub fn names(&self) -> Option<Vec<String>> {
        let names = || self.columns.iter().map(|column| column.name.clone());
        self.has_names.then(|| names().collect())
    }

    /// The number of rows, at least 1.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The bytes of the pages that a reader of a Parquet file holds at a time, or of the batch and the dictionaries that one of an
    /// Arrow file does; 0 for other formats, whose readers hold little.
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// The first absent cell of each column that has one, in the order of the rows of the whole file.
    pub fn absent(&self) -> &[AbsentCell] {
        &self.absent
    }

    /// The same summary with the columns of these names as text, in a CSV file, where any cell can be read as text. The number
    /// of their missing values stays the same.
    #[must_use]
    pub fn with_text_columns(mut self, names: &[String]) -> Self {
        if self.format == Format::Csv {
            let names: HashSet<&String> = names.iter().collect();
            for column in &mut self.columns {
                if names.contains(&column.name) {
                    column.column_type = ColumnType::Text;
                }
            }
        }
        self
    }

    /// Fails when a column has an empty name, as keys of JSON may be, or a repeated one.
    pub fn check_names(&self) -> Result<()> {
        names::check("", self.columns.iter().map(|column| column.name.as_str()))
    }

    /// Checks a summary that was read from storage.
    ///
    /// # Errors
    /// [`DamagedArtifact`](reason::DAMAGED_ARTIFACT) when no file can have this summary.
    pub fn validate(&self) -> Result<()> {
        let damaged = || {
            Error::new(
                reason::DAMAGED_ARTIFACT,
                "the stored summary of a table is invalid",
            )
        };
        self.check_names()
            .map_err(|error| damaged().because(error))?;
        let is_possible = self.n_rows >= 1
            && self.page_bytes <= MAX_OPEN_PAGE_BYTES
            && self.columns.iter().all(|c| c.n_missing <= self.n_rows)
            && self
                .absent
                .iter()
                .all(|cell| cell.column < self.columns.len() && (cell.row as u64) < self.n_rows);
        if is_possible { Ok(()) } else { Err(damaged()) }
    }

    /// How many bytes a row takes on average in a text format, decompressed.
    pub(super) fn bytes_per_row(&self) -> f64 {
        self.n_bytes as f64 / self.n_rows as f64
    }
}
