//! Apache Parquet. Files are read by the `parquet` crate, after the [`guards`] have checked them.

use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use rayon::prelude::*;

use super::arrays::{ColumnBuilder, columns_of, guarded, in_column, unpanicked};
use super::source::Source;
use super::{Limits, MoreMemory, check_cells};
use crate::error::Result;
use crate::table::{Column, ColumnType, Table, invalid};

mod guards;
mod ranges;

use self::guards::GuardLimits;
use self::ranges::Ranges;

const FORMAT: &str = "Parquet";
/// The most bytes of the pages that are read at once: one page of each column, and its dictionary.
pub(super) const MAX_OPEN_PAGE_BYTES: u64 = 1 << 31;
/// How many rows are decoded at a time when all are read.
const BATCH_ROWS: usize = 1 << 14;

/// Reads a whole file, up to a number of values.
pub(super) fn read(
    source: &Source,
    limits: Limits,
    max_cells: usize,
    more: MoreMemory<'_>,
) -> Result<Table> {
    let file = ParquetFile::open(source, limits)?;
    let n_rows = usize::try_from(file.n_rows).unwrap_or(usize::MAX);
    if n_rows == 0 {
        return Err(invalid("the records have no rows"));
    }
    check_cells(n_rows, file.types.len(), max_cells)?;
    let has_texts = file.types.contains(&ColumnType::Text);
    // distinct texts may grow to all that the pages have
    let text_bytes = if has_texts { file.all_bytes } else { 0 };
    let n_bytes = file.page_bytes.saturating_add(text_bytes);
    more(usize::try_from(n_bytes).unwrap_or(usize::MAX))?;
    let columns = (0..file.types.len())
        .into_par_iter()
        .map(|column| {
            let mut values = ColumnBuilder::new(file.types[column], limits);
            file.each_batch(column, |batch| values.append(batch.column(0)))?;
            Ok(values.take())
        })
        .collect::<Result<Vec<Column>>>()?;
    Table::from_columns(Some(file.names), columns)
}

/// A Parquet file whose metadata has been read and checked.
pub(super) struct ParquetFile {
    source: Source,
    metadata: ArrowReaderMetadata,
    limits: Limits,
    pub(super) names: Vec<String>,
    pub(super) types: Vec<ColumnType>,
    pub(super) n_rows: u64,
    /// The bytes of pages that are held when all columns are read at once.
    pub(super) page_bytes: u64,
    /// The bytes of all pages, decompressed.
    all_bytes: u64,
}

impl ParquetFile {
    /// Reads the footer, and the sizes of the pages.
    pub(super) fn open(source: &Source, limits: Limits) -> Result<Self> {
        let guard_limits = GuardLimits::of(limits);
        guards::check_footer(source, guard_limits)?;
        let metadata = guarded(FORMAT, || {
            ArrowReaderMetadata::load(&Ranges(source.clone()), ArrowReaderOptions::new())
        })?;
        let (names, types) = columns_of(metadata.schema())?;
        let pages = guards::check_pages(source, metadata.metadata(), guard_limits)?;
        let n_rows = metadata
            .metadata()
            .row_groups()
            .iter()
            .try_fold(0_u64, |n_rows, group| {
                n_rows.checked_add(u64::try_from(group.num_rows()).ok()?)
            });
        let n_rows = n_rows.ok_or_else(|| invalid("a row group has a negative number of rows"))?;
        let schema = Arc::new(with_views(metadata.schema()));
        let metadata = guarded(FORMAT, || {
            let options = ArrowReaderOptions::new().with_schema(schema);
            ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
        })?;
        Ok(Self {
            source: source.clone(),
            metadata,
            limits,
            names,
            types,
            n_rows,
            page_bytes: pages.held,
            all_bytes: pages.all,
        })
    }

    /// Fails when the pages are too large for all columns to be read at once, as reading in chunks requires.
    pub(super) fn check_page_bytes(&self) -> Result<()> {
        if self.page_bytes <= MAX_OPEN_PAGE_BYTES {
            return Ok(());
        }
        Err(invalid(format!(
            "the largest pages of all columns have {} bytes together; at most {MAX_OPEN_PAGE_BYTES} can be read at once; \
             write smaller pages",
            self.page_bytes
        )))
    }

    /// Calls `each` with the values of one column, batch by batch. Fails when there are not as many as the file claims.
    pub(super) fn each_batch(
        &self,
        column: usize,
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut batches = self.batches(Some(column), BATCH_ROWS)?;
        let mut n_rows = 0_u64;
        while let Some(batch) = guarded(FORMAT, || batches.next().transpose())? {
            n_rows += batch.num_rows() as u64;
            if n_rows > self.n_rows {
                break;
            }
            unpanicked(FORMAT, || each(&batch))
                .map_err(|error| in_column(error, &self.names[column]))?;
        }
        if n_rows != self.n_rows {
            let error = invalid(format!(
                "there are not {} values, as the file says",
                self.n_rows
            ));
            return Err(in_column(error, &self.names[column]));
        }
        Ok(())
    }

    /// Reads one column or all of them.
    pub(super) fn batches(
        &self,
        column: Option<usize>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader> {
        guarded(FORMAT, || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                Ranges(self.source.clone()),
                self.metadata.clone(),
            );
            let mask = match column {
                Some(column) => ProjectionMask::roots(builder.parquet_schema(), [column]),
                None => ProjectionMask::all(),
            };
            builder
                .with_projection(mask)
                .with_batch_size(batch_rows)
                .build()
        })
    }

    /// The next rows of all columns; `None` after the last row.
    pub(super) fn next_columns(
        &self,
        batches: &mut ParquetRecordBatchReader,
    ) -> Result<Option<Vec<Column>>> {
        let Some(batch) = guarded(FORMAT, || batches.next().transpose())? else {
            return Ok(None);
        };
        let columns = self.types.par_iter().zip(batch.columns()).zip(&self.names);
        columns
            .map(|((&column_type, array), name)| {
                let mut values = ColumnBuilder::new(column_type, self.limits);
                unpanicked(FORMAT, || values.append(array))
                    .map_err(|error| in_column(error, name))?;
                Ok(values.take())
            })
            .collect::<Result<Vec<Column>>>()
            .map(Some)
    }
}

/// The schema with texts as views, so that a string that many rows share is in memory only once.
fn with_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let values = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let data_type = match values {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Schema::new(fields.collect::<Vec<Field>>())
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
