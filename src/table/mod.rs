//! Tables: what the many forms of records are read into before anything looks at their values.

use ndarray::Array2;

use crate::error::{Error, Reason, Result};

pub mod csv;

/// The most cells that a table may have, 256 MiB of doubles. Sparse objects and empty CSV cells cost a sender next to
/// nothing, so the size of a message does not bound the size of its table.
pub const MAX_CELLS: usize = 1 << 25;

/// A table of numbers. Missing values are NaN; infinite values are kept as they came.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Option<Vec<String>>,
    values: Array2<f64>,
    absent: Vec<AbsentCell>,
    labels: Option<Vec<f64>>,
}

/// A cell whose row did not mention its column at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsentCell {
    /// The index of the row.
    pub row: usize,
    /// The index of the column.
    pub column: usize,
}

impl Table {
    /// A table from row-major values. `names` are the columns' names, or `None` when they have none.
    ///
    /// Fails when the values do not divide into rows, when there are no columns or no rows, or more than [`MAX_CELLS`].
    pub fn from_row_major(
        names: Option<Vec<String>>,
        n_columns: usize,
        values: Vec<f64>,
    ) -> Result<Self> {
        let unreadable = |message: String| Error::new(Reason::InvalidRecords, message);
        if n_columns == 0 {
            return Err(unreadable("the records have no columns".to_owned()));
        }
        if values.is_empty() {
            return Err(unreadable("the records have no rows".to_owned()));
        }
        if !values.len().is_multiple_of(n_columns) {
            return Err(unreadable(format!(
                "{} values do not divide into rows of {n_columns} columns",
                values.len()
            )));
        }
        check_cells(values.len() / n_columns, n_columns)?;
        let n_rows = values.len() / n_columns;
        let values = Array2::from_shape_vec((n_rows, n_columns), values)
            .map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            names,
            values,
            absent: Vec::new(),
            labels: None,
        })
    }

    /// The same table, with the first cell of each column whose row did not mention the column.
    #[must_use]
    pub fn with_absent(mut self, absent: Vec<AbsentCell>) -> Self {
        self.absent = absent;
        self
    }

    /// The same table with a label beside each row: 1, 0, or NaN where it is not known.
    ///
    /// Fails when there are not as many labels as rows.
    pub fn with_labels(mut self, labels: Vec<f64>) -> Result<Self> {
        if labels.len() != self.n_rows() {
            let message = format!(
                "there are {} labels for {} rows; give one a row",
                labels.len(),
                self.n_rows()
            );
            return Err(Error::new(Reason::InvalidRecords, message).at("labels"));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The labels beside the rows, if there are any.
    pub fn labels(&self) -> Option<&[f64]> {
        self.labels.as_deref()
    }

    /// The columns' names, or `None` when they have none.
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// The first cell of each column whose row did not mention the column, in the order of the rows.
    pub fn absent(&self) -> &[AbsentCell] {
        &self.absent
    }

    /// The number of rows, at least 1.
    pub fn n_rows(&self) -> usize {
        self.values.nrows()
    }

    /// The number of columns, at least 1.
    pub fn n_columns(&self) -> usize {
        self.values.ncols()
    }

    /// The values, n x d, in standard layout.
    pub fn into_values(self) -> Array2<f64> {
        self.values
    }

    /// The values, n x d, in standard layout.
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }
}

/// Fails when a table of this shape would have more than [`MAX_CELLS`]. To be called before its memory is taken.
pub fn check_cells(n_rows: usize, n_columns: usize) -> Result<()> {
    match n_rows.checked_mul(n_columns) {
        Some(cells) if cells <= MAX_CELLS => Ok(()),
        _ => Err(Error::new(
            Reason::InvalidRecords,
            format!(
                "{n_rows} rows of {n_columns} columns are more than {MAX_CELLS} values; send fewer rows at a time"
            ),
        )),
    }
}

/// The start of a value as it may be repeated in an error message.
pub fn shortened(value: &str) -> String {
    const LIMIT: usize = 40;
    match value.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}
