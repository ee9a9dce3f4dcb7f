//! Tables, into which records of all formats are read before their values are used.

use std::ops::Range;

use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Place, PlacedColumn, Result, reason};

mod column;
mod matrix;
pub mod read;
mod text;
pub mod write;

pub use column::{Column, ColumnType, ColumnView, MISSING_TIME};
pub use text::{Dictionary, TextBuilder, TextColumn};

/// The most cells of a table, 256 MiB of doubles. Sparse objects and empty CSV cells cost a sender next to nothing, so that the
/// size of a message does not bound the size of its table.
pub const MAX_CELLS: usize = 1 << 25;

/// A table: a matrix of numbers, or columns with a type each. Missing numbers are NaN; infinite ones are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Option<Vec<String>>,
    values: Values,
    absent: Vec<AbsentCell>,
    labels: Option<Vec<f64>>,
    /// The column that was taken out, if one was.
    taken: Option<TakenColumn>,
}

/// A column that was taken out of a table.
#[derive(Debug, Clone, PartialEq)]
struct TakenColumn {
    index: usize,
    name: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Numbers, n x d in standard layout, for records that come as a packed matrix.
    Matrix(Array2<f64>),
    /// At least one column, and at least one row.
    Columns(Vec<Column>),
}

/// A cell that is absent: its row lacked the key of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentCell {
    /// The index of the row.
    pub row: usize,
    /// The index of the column.
    pub column: usize,
}

impl Table {
    /// A table from row-major values. `names` are the names of the columns, or `None` if they have none.
    ///
    /// Fails when the values do not divide into rows, when there are no columns or no rows, or more than [`MAX_CELLS`].
    pub fn from_row_major(
        names: Option<Vec<String>>,
        n_columns: usize,
        values: Vec<f64>,
    ) -> Result<Self> {
        check_shape(values.len(), n_columns)?;
        if !values.len().is_multiple_of(n_columns) {
            return Err(invalid(format!(
                "{} values do not divide into rows of {n_columns} columns",
                values.len()
            )));
        }
        check_cells(values.len() / n_columns, n_columns)?;
        let n_rows = values.len() / n_columns;
        let values = Array2::from_shape_vec((n_rows, n_columns), values)
            .map_err(|error| invalid(error.to_string()))?;
        Self::new(names, Values::Matrix(values))
    }

    /// A table of columns. `names` are their names, or `None` if they have none.
    ///
    /// Fails when there are no columns or no rows, when the columns differ in length, when there are not as many names as
    /// columns, or more than [`MAX_CELLS`].
    pub fn from_columns(names: Option<Vec<String>>, columns: Vec<Column>) -> Result<Self> {
        let n_rows = columns.first().map_or(0, Column::len);
        check_shape(n_rows, columns.len())?;
        if let Some(other) = columns.iter().position(|column| column.len() != n_rows) {
            let column = PlacedColumn {
                index: other,
                name: names.and_then(|names| names.get(other).cloned()),
            };
            return Err(invalid(format!(
                "column {column} has {} values, the first one has {n_rows}",
                columns[other].len()
            ))
            .in_table(Place::Column(column)));
        }
        check_cells(n_rows, columns.len())?;
        Self::new(names, Values::Columns(columns))
    }

    fn new(names: Option<Vec<String>>, values: Values) -> Result<Self> {
        let table = Self {
            names,
            values,
            absent: Vec::new(),
            labels: None,
            taken: None,
        };
        match &table.names {
            Some(names) if names.len() != table.n_columns() => Err(invalid(format!(
                "there are {} names for {} columns",
                names.len(),
                table.n_columns()
            ))),
            _ => Ok(table),
        }
    }

    /// The same table with the first absent cell of each column.
    #[must_use]
    pub fn with_absent(mut self, absent: Vec<AbsentCell>) -> Self {
        self.absent = absent;
        self
    }

    /// The same table with a label for each row: 1, 0, or NaN if it is not known.
    ///
    /// Fails when there are not as many labels as rows.
    pub fn with_labels(mut self, labels: Vec<f64>) -> Result<Self> {
        if labels.len() != self.n_rows() {
            let message = format!(
                "there are {} labels for {} rows; give one a row",
                labels.len(),
                self.n_rows()
            );
            return Err(Error::new(reason::INVALID_RECORDS, message).at("labels"));
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The labels of the rows, if there are any.
    pub fn labels(&self) -> Option<&[f64]> {
        self.labels.as_deref()
    }

    /// The names of the columns, or `None` if they have none.
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// The first absent cell of each column that has one, in the order of the rows.
    pub fn absent(&self) -> &[AbsentCell] {
        &self.absent
    }

    /// The number of rows, at least 1.
    pub fn n_rows(&self) -> usize {
        match &self.values {
            Values::Matrix(values) => values.nrows(),
            Values::Columns(columns) => columns[0].len(),
        }
    }

    /// The number of columns, at least 1.
    pub fn n_columns(&self) -> usize {
        match &self.values {
            Values::Matrix(values) => values.ncols(),
            Values::Columns(columns) => columns.len(),
        }
    }

    /// The memory of the values, labels and names, in bytes.
    pub fn n_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Matrix(values) => values.len() * size_of::<f64>(),
            Values::Columns(columns) => columns.iter().map(Column::n_bytes).sum(),
        };
        let names = self.names.iter().flatten();
        let names = names.map(|name| size_of::<String>() + name.len());
        let n_labels = self.labels.as_ref().map_or(0, Vec::len);
        values + names.sum::<usize>() + n_labels * size_of::<f64>()
    }

    /// The type of a column. Panics when there is no such column.
    pub fn column_type(&self, column: usize) -> ColumnType {
        match &self.values {
            Values::Matrix(values) => {
                assert!(column < values.ncols(), "there is no column {column}");
                ColumnType::Number
            }
            Values::Columns(columns) => columns[column].column_type(),
        }
    }

    /// The values of a column. Panics when there is no such column.
    pub fn column(&self, column: usize) -> ColumnView<'_> {
        match &self.values {
            Values::Matrix(values) => ColumnView::Numbers(values.column(column)),
            Values::Columns(columns) => columns[column].view(),
        }
    }

    /// The names of the columns: their own, or `f0`, `f1`, … if they have none, which also count a column that was taken out.
    pub fn given_names(&self) -> Vec<String> {
        match &self.names {
            Some(names) => names.clone(),
            None => (0..self.n_columns())
                .map(|column| format!("f{}", self.given_index(column)))
                .collect(),
        }
    }

    /// The index that a column had before another was taken out.
    pub fn given_index(&self, column: usize) -> usize {
        let taken = self.taken.as_ref();
        column + usize::from(taken.is_some_and(|taken| column >= taken.index))
    }

    /// The name of the column that was [taken out](Self::take_column), if one was.
    pub fn taken_name(&self) -> Option<&str> {
        self.taken.as_ref().map(|taken| taken.name.as_str())
    }

    /// The place of a column in the table as it was given. Panics when columns have names and there is no such column.
    pub fn placed_column(&self, column: usize) -> PlacedColumn {
        PlacedColumn {
            index: self.given_index(column),
            name: self.names.as_ref().map(|names| names[column].clone()),
        }
    }

    /// The place of a cell in the table as it was given. Panics when columns have names and there is no such column.
    pub fn place(&self, row: usize, column: usize) -> Place {
        Place::Cell {
            row,
            column: self.placed_column(column),
        }
    }

    /// The rows of a range, with their labels but without the absent cells. Panics when there are no such rows.
    #[must_use]
    pub fn slice_rows(&self, rows: Range<usize>) -> Self {
        let values = match &self.values {
            Values::Matrix(values) => Values::Matrix(values.slice(s![rows.clone(), ..]).to_owned()),
            Values::Columns(columns) => {
                let slices = columns.iter().map(|column| column.slice(rows.clone()));
                Values::Columns(slices.collect())
            }
        };
        Self {
            names: self.names.clone(),
            values,
            absent: Vec::new(),
            labels: self.labels.as_ref().map(|labels| labels[rows].to_vec()),
            taken: self.taken.clone(),
        }
    }

    /// The rows with these indices, with their labels but without the absent cells. Panics when there is no such row.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let values = match &self.values {
            Values::Matrix(values) => Values::Matrix(values.select(Axis(0), rows)),
            Values::Columns(columns) => {
                Values::Columns(columns.iter().map(|column| column.select(rows)).collect())
            }
        };
        let chosen = |labels: &Vec<f64>| rows.iter().map(|&row| labels[row]).collect();
        Self {
            names: self.names.clone(),
            values,
            absent: Vec::new(),
            labels: self.labels.as_ref().map(chosen),
            taken: self.taken.clone(),
        }
    }

    /// Removes a column from the table and returns it. Errors and [`given_names`](Self::given_names) count the others as
    /// before; only one column can be taken. Panics when there is no such column.
    ///
    /// Fails when it is the only one.
    pub fn take_column(&mut self, column: usize) -> Result<Column> {
        if self.n_columns() == 1 {
            return Err(invalid("the records have no column but this one"));
        }
        self.taken = Some(TakenColumn {
            index: column,
            name: match &self.names {
                Some(names) => names[column].clone(),
                None => format!("f{column}"),
            },
        });
        let taken = match &mut self.values {
            Values::Matrix(values) => {
                let taken = Column::Numbers(values.column(column).to_vec());
                let others: Vec<usize> = (0..values.ncols()).filter(|&i| i != column).collect();
                *values = values.select(Axis(1), &others);
                taken
            }
            Values::Columns(columns) => columns.remove(column),
        };
        if let Some(names) = &mut self.names {
            names.remove(column);
        }
        self.absent.retain(|cell| cell.column != column);
        for cell in &mut self.absent {
            cell.column -= usize::from(cell.column > column);
        }
        Ok(taken)
    }
}

/// Fails when a table has no columns or no rows.
fn check_shape(n_rows: usize, n_columns: usize) -> Result<()> {
    if n_columns == 0 {
        return Err(invalid("the records have no columns"));
    }
    if n_rows == 0 {
        return Err(invalid("the records have no rows"));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(reason::INVALID_RECORDS, message)
}

/// Fails when a table of this shape would have more than [`MAX_CELLS`]. To be called before allocating it.
pub fn check_cells(n_rows: usize, n_columns: usize) -> Result<()> {
    match n_rows.checked_mul(n_columns) {
        Some(cells) if cells <= MAX_CELLS => Ok(()),
        _ => Err(Error::new(
            reason::INVALID_RECORDS,
            format!(
                "{n_rows} rows of {n_columns} columns are more than {MAX_CELLS} values; send fewer rows at a time"
            ),
        )),
    }
}

/// A value for an error message: quoted and, if it is long, cut.
pub fn shortened(value: &str) -> String {
    const LIMIT: usize = 40;
    match value.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests;
