//! Reads the rows of a file in chunks of bounded size.

use std::ops::Range;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::csv::CsvFile;
use super::ipc::IpcFile;
use super::json::JsonFile;
use super::opened::Opened;
use super::parquet::ParquetFile;
use super::source::{Source, Watch};
use super::summary::FileSummary;
use super::text_file::{Purpose, WINDOW_BYTES, Windows};
use super::{FileOptions, Limits, changed};
use crate::error::Result;
use crate::table::{Column, MAX_CELLS, Table};

/// How many cells of a text file are in memory at a time, if its rows are about equally long.
const WINDOW_CELLS: usize = MAX_CELLS / 8;

/// Iterates over the chunks of a file as tables. Ends after the first error.
pub struct Chunks {
    reader: Reader,
    watch: Watch,
    summary: FileSummary,
    chunk_rows: usize,
    /// Rows that have been read but not returned yet.
    window: Option<(Table, Range<usize>)>,
    n_rows: u64,
    is_done: bool,
}

enum Reader {
    Csv(Windows, Box<CsvFile>),
    Json(Windows, Box<JsonFile>),
    Parquet(Box<ParquetFile>, Box<ParquetRecordBatchReader>),
    ArrowIpc(Box<IpcFile<Box<dyn std::io::Read + Send>>>),
}

impl Chunks {
    pub(super) fn open(
        source: &Source,
        options: &FileOptions,
        limits: Limits,
        summary: &FileSummary,
        chunk_rows: usize,
    ) -> Result<Self> {
        let (source, watch) = source.watched();
        let opened = Self::open_watched(&source, &watch, options, limits, summary, chunk_rows);
        watch.over(opened)
    }

    fn open_watched(
        source: &Source,
        watch: &Watch,
        options: &FileOptions,
        limits: Limits,
        summary: &FileSummary,
        chunk_rows: usize,
    ) -> Result<Self> {
        let n_columns = summary.columns().len().max(1);
        let chunk_rows = chunk_rows.clamp(1, (MAX_CELLS / n_columns).max(1));
        let window_rows = (WINDOW_CELLS / n_columns).max(1) as f64;
        let window_bytes = (window_rows * summary.bytes_per_row()) as usize;
        let window_bytes = window_bytes.clamp(1 << 12, WINDOW_BYTES);
        let (opened, format) = Opened::open(source, options, limits)?;
        if format != summary.format() {
            return Err(changed());
        }
        let reader = match opened {
            Opened::Csv(reader) => {
                let file = CsvFile::new(&options.csv, Purpose::Keep(MAX_CELLS), Some(summary));
                Reader::Csv(Windows::new(reader, window_bytes), Box::new(file))
            }
            Opened::Json(reader, layout) => {
                let file = JsonFile::new(layout, Purpose::Keep(MAX_CELLS), Some(summary));
                Reader::Json(Windows::new(reader, window_bytes), Box::new(file))
            }
            Opened::Parquet(file) => {
                let batches = file.batches(None, chunk_rows)?;
                Reader::Parquet(file, Box::new(batches))
            }
            Opened::ArrowIpc(file) => Reader::ArrowIpc(file),
        };
        Ok(Self {
            reader,
            watch: watch.clone(),
            summary: summary.clone(),
            chunk_rows,
            window: None,
            n_rows: 0,
            is_done: false,
        })
    }

    fn next_table(&mut self) -> Result<Option<Table>> {
        loop {
            if let Some((table, left)) = &mut self.window {
                let rows = left.start..left.end.min(left.start + self.chunk_rows);
                left.start = rows.end;
                let is_whole = rows == (0..table.n_rows());
                let is_last = left.start >= left.end;
                return Ok(match self.window.take() {
                    Some((table, _)) if is_whole => Some(table),
                    Some((table, left)) => {
                        let slice = table.slice_rows(rows);
                        self.window = (!is_last).then_some((table, left));
                        Some(slice)
                    }
                    None => None,
                });
            }
            let Some(columns) = self.reader.next_columns()? else {
                return if self.n_rows == self.summary.n_rows() {
                    Ok(None)
                } else {
                    Err(changed())
                };
            };
            if columns.iter().all(Column::is_empty) {
                continue;
            }
            let table = Table::from_columns(self.summary.names(), columns)?;
            self.check(&table)?;
            let rows = 0..table.n_rows();
            self.window = Some((table, rows));
        }
    }

    /// Checks the table against the scan.
    fn check(&mut self, table: &Table) -> Result<()> {
        self.n_rows += table.n_rows() as u64;
        let types = (0..table.n_columns()).map(|column| table.column_type(column));
        let promised = self.summary.columns().iter();
        let are_promised = types.eq(promised.map(|column| column.column_type));
        if self.n_rows > self.summary.n_rows() || !are_promised {
            return Err(changed());
        }
        Ok(())
    }
}

impl Reader {
    /// The next rows, possibly none; `None` after the last row.
    fn next_columns(&mut self) -> Result<Option<Vec<Column>>> {
        match self {
            Self::Csv(windows, file) => {
                if windows.is_done() {
                    return Ok(None);
                }
                windows.step(&mut **file)?;
                Ok(Some(file.take()))
            }
            Self::Json(windows, file) => {
                if windows.is_done() {
                    return Ok(None);
                }
                windows.step(&mut **file)?;
                Ok(Some(file.take()))
            }
            Self::Parquet(file, batches) => file.next_columns(batches),
            Self::ArrowIpc(file) => file.next_columns(),
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Table>;

    fn next(&mut self) -> Option<Result<Table>> {
        if self.is_done {
            return None;
        }
        let next = self.next_table();
        let next = self.watch.over(next).transpose();
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }
}
