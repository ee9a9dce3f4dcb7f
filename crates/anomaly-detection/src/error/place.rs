//! Places in a table, which errors name.

use std::fmt;

/// A place in the table of the records. Rows and columns are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A row.
    Row(usize),
    /// A column.
    Column(PlacedColumn),
    /// A cell.
    Cell {
        /// The index of its row.
        row: usize,
        /// Its column.
        column: PlacedColumn,
    },
    /// The label of a row that is given beside the columns.
    Label(usize),
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedColumn {
    /// Its index.
    pub index: usize,
    /// Its name, if the columns have names.
    pub name: Option<String>,
}

impl Place {
    /// The same place with its row further down by so many rows.
    pub(super) fn moved_down(mut self, by: usize) -> Self {
        if let Self::Row(row) | Self::Cell { row, .. } | Self::Label(row) = &mut self {
            *row = row.saturating_add(by);
        }
        self
    }
}

/// Names the row and the cell; a column alone, which messages name in their own words, is an empty text.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) | Self::Label(row) => write!(f, "row {row}"),
            Self::Cell { row, column } => write!(f, "row {row}, column {column}"),
            Self::Column(_) => Ok(()),
        }
    }
}

/// Its name as in `"amount"`, or `"f0"`, `"f1"`, … if columns have no names.
impl fmt::Display for PlacedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name:?}"),
            None => write!(f, "\"f{}\"", self.index),
        }
    }
}
