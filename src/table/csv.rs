//! CSV of numbers alone.

use super::Table;
use super::read::{FileOptions, Format, Limits, read as read_file};
use crate::error::Result;

/// Reads a CSV file whose first line names the columns, all of them numbers, as a matrix.
///
/// Fails on what [`read`](super::read::read) fails on, and on a column of text.
pub fn read(content: &[u8]) -> Result<Table> {
    let options = FileOptions {
        format: Some(Format::Csv),
        ..FileOptions::default()
    };
    let table = read_file(content, &options, Limits::default())?;
    let names = table.names().map(<[String]>::to_vec);
    let n_columns = table.n_columns();
    let values = table.into_matrix()?.into_raw_vec_and_offset().0;
    Table::from_row_major(names, n_columns, values)
}
