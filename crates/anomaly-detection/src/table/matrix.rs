//! Tables as matrices of numbers.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayViewMut2, Axis};

use super::{Column, Table, Values};
use crate::error::{Error, Place, Result, reason};

/// How many rows are gathered at a time, so few that they stay in the cache while every column is written.
const CHUNK_ROWS: usize = 256;

impl Table {
    /// The values, n x d in standard layout, if the table was built as a matrix.
    pub fn as_matrix(&self) -> Option<&Array2<f64>> {
        match &self.values {
            Values::Matrix(values) => Some(values),
            Values::Columns(_) => None,
        }
    }

    /// All columns as a matrix, n x d in standard layout. Costs nothing if the table was built as one.
    ///
    /// Fails, naming the column, when one is neither of numbers nor of booleans.
    pub fn into_matrix(self) -> Result<Array2<f64>> {
        let all: Vec<usize> = (0..self.n_columns()).collect();
        self.into_numbers(&all)
    }

    /// Some columns as a matrix, as [`numbers`](Self::numbers). A table that was built as a matrix of no more columns than
    /// these is kept as it is or rearranged in place.
    ///
    /// Fails, naming the column, when one is neither of numbers nor of booleans. Panics when there is no such column.
    pub fn into_numbers(self, columns: &[usize]) -> Result<Array2<f64>> {
        match self.values {
            Values::Matrix(mut values) if values.ncols() == columns.len() => {
                if !columns.iter().copied().eq(0..columns.len()) {
                    rearrange(&mut values, columns);
                }
                Ok(values)
            }
            _ => self.numbers(columns),
        }
    }

    /// Some columns of numbers or booleans as a matrix, n x `columns.len()` in standard layout and in the given order.
    ///
    /// Fails, naming the column, when one is neither of numbers nor of booleans. Panics when there is no such column.
    pub fn numbers(&self, columns: &[usize]) -> Result<Array2<f64>> {
        let mut matrix = Array2::zeros((self.n_rows(), columns.len()));
        match &self.values {
            Values::Matrix(values) => {
                let gather =
                    |(mut to, from): (ndarray::ArrayViewMut1<f64>, ndarray::ArrayView1<f64>)| {
                        for (to, &column) in to.iter_mut().zip(columns) {
                            *to = from[column];
                        }
                    };
                let rows = matrix.axis_iter_mut(Axis(0)).into_par_iter();
                rows.zip(values.axis_iter(Axis(0)))
                    .with_min_len(CHUNK_ROWS)
                    .for_each(gather);
            }
            Values::Columns(all) => {
                let slices = columns
                    .iter()
                    .map(|&column| match &all[column] {
                        Column::Numbers(values) | Column::Booleans(values) => Ok(values.as_slice()),
                        other => Err(self.not_numbers(column, other)),
                    })
                    .collect::<Result<Vec<_>>>()?;
                matrix
                    .axis_chunks_iter_mut(Axis(0), CHUNK_ROWS)
                    .into_par_iter()
                    .enumerate()
                    .for_each(|(chunk, to)| interleave(&slices, chunk * CHUNK_ROWS, to));
            }
        }
        Ok(matrix)
    }

    fn not_numbers(&self, column: usize, values: &Column) -> Error {
        Error::new(
            reason::TEXT_VALUE,
            format!(
                "column {} holds {} values where numbers are needed",
                self.placed_column(column),
                values.column_type()
            ),
        )
        .in_table(Place::Column(self.placed_column(column)))
    }
}

/// Reorders the columns of a matrix in place, without the memory of a second one.
fn rearrange(values: &mut Array2<f64>, columns: &[usize]) {
    let rearrange = |row: &mut Vec<f64>, mut values: ndarray::ArrayViewMut1<f64>| {
        row.clear();
        row.extend(&values);
        for (to, &column) in values.iter_mut().zip(columns) {
            *to = row[column];
        }
    };
    let rows = values.axis_iter_mut(Axis(0)).into_par_iter();
    rows.with_min_len(CHUNK_ROWS)
        .for_each_with(Vec::with_capacity(columns.len()), rearrange);
}

/// Interleaves the columns: writes their rows from `first` on in row-major order.
fn interleave(columns: &[&[f64]], first: usize, mut to: ArrayViewMut2<f64>) {
    let n_columns = columns.len();
    let Some(to) = to.as_slice_mut() else {
        return;
    };
    for (column, values) in columns.iter().enumerate() {
        let cells = to[column..].iter_mut().step_by(n_columns);
        for (cell, value) in cells.zip(&values[first..]) {
            *cell = *value;
        }
    }
}
