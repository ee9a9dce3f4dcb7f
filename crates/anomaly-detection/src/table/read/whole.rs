//! Reads all rows of a file on disk into one table.

use super::{FileOptions, FileSummary, Limits, Source, chunks};
use crate::context::{Context, Unit, stage};
use crate::error::{Error, Result};
use crate::table::{Column, ColumnType, ColumnView, Table, TextBuilder, check_cells, invalid};

/// The most bytes of distinct strings in all columns of a table together.
pub const MAX_TEXT_BYTES: usize = 1 << 30;

/// How many cells are read at a time, if the format allows it.
const CHUNK_CELLS: usize = 1 << 20;

/// Reads all rows, or those with the given indices, which ascend; absent cells are not recorded for these.
pub(super) fn read(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    summary: &FileSummary,
    rows: Option<&[usize]>,
    context: &Context,
) -> Result<Table> {
    let n_all = usize::try_from(summary.n_rows()).unwrap_or(usize::MAX);
    let n_rows = rows.map_or(n_all, <[usize]>::len);
    check_cells(n_rows, summary.columns().len())?;
    let columns = summary.columns().iter();
    let mut columns: Vec<Grown> = columns
        .map(|column| Grown::new(column.column_type, n_rows))
        .collect();
    let chunk_rows = (CHUNK_CELLS / columns.len()).max(1);
    context.enter(stage::READING);
    let step = context.step(Unit::Rows, n_all);
    let (mut first, mut left) = (0, rows.unwrap_or_default());
    for table in chunks(source, options, limits, summary, chunk_rows)? {
        context.check()?;
        let mut table = table?;
        step.advance(table.n_rows());
        if rows.is_some() {
            let end = first + table.n_rows();
            let (here, rest) = left.split_at(left.partition_point(|&row| row < end));
            let here: Vec<usize> = here.iter().map(|row| row - first).collect();
            (first, left) = (end, rest);
            table = table.select_rows(&here);
        }
        let mut n_bytes = 0;
        for (index, column) in columns.iter_mut().enumerate() {
            column.append(table.column(index))?;
            n_bytes += column.n_text_bytes();
        }
        if n_bytes > MAX_TEXT_BYTES {
            return Err(too_much_text());
        }
    }
    let columns = columns.into_iter().map(Grown::finish).collect();
    let table = Table::from_columns(summary.names(), columns)?;
    Ok(match rows {
        None => table.with_absent(summary.absent().to_vec()),
        Some(_) => table,
    })
}

fn too_much_text() -> Error {
    invalid(format!(
        "the text columns hold more than {MAX_TEXT_BYTES} bytes of distinct strings; leave the longest ones out"
    ))
}

/// A column that is built from the columns of chunks.
enum Grown {
    Numbers(Vec<f64>),
    Booleans(Vec<f64>),
    Texts(TextBuilder),
    Times(Vec<i64>),
}

impl Grown {
    fn new(column_type: ColumnType, n_rows: usize) -> Self {
        match column_type {
            ColumnType::Number => Self::Numbers(Vec::with_capacity(n_rows)),
            ColumnType::Boolean => Self::Booleans(Vec::with_capacity(n_rows)),
            ColumnType::Text => Self::Texts(TextBuilder::with_limit(MAX_TEXT_BYTES)),
            ColumnType::Timestamp => Self::Times(Vec::with_capacity(n_rows)),
        }
    }

    /// Appends a column of the same type, which chunks guarantee.
    fn append(&mut self, next: ColumnView<'_>) -> Result<()> {
        match (self, next) {
            (Self::Numbers(values), ColumnView::Numbers(next))
            | (Self::Booleans(values), ColumnView::Booleans(next)) => values.extend(next),
            (Self::Texts(texts), ColumnView::Texts(next)) => texts.extend(next)?,
            (Self::Times(times), ColumnView::Times(next)) => times.extend_from_slice(next),
            _ => return Err(super::changed()),
        }
        Ok(())
    }

    fn n_text_bytes(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.distinct_bytes(),
            _ => 0,
        }
    }

    fn finish(self) -> Column {
        match self {
            Self::Numbers(values) => Column::Numbers(values),
            Self::Booleans(values) => Column::Booleans(values),
            Self::Texts(texts) => Column::Texts(texts.finish()),
            Self::Times(times) => Column::Times(times),
        }
    }
}
