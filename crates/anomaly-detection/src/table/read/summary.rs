//! What a scan finds in a file.

use std::collections::HashSet;

use std::io::Read;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::arrays::ArrayColumn;
use super::compression::{self, error_of};
use super::csv::{self, CsvFile};
use super::format::{Format, START_BYTES};
use super::ipc::IpcFile;
use super::json::{JsonFile, Layout};
use super::parquet::{MAX_SIDE_BY_SIDE_BYTES, ParquetFile};
use super::source::Source;
use super::text_file::{Assembly, Purpose, TextFormat, WINDOW_BYTES, Windows};
use super::{FileOptions, Limits, names};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::table::{AbsentCell, Column, ColumnType, invalid};

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    format: Format,
    has_names: bool,
    columns: Vec<ColumnSummary>,
    n_rows: u64,
    n_bytes: u64,
    absent: Vec<AbsentCell>,
    #[serde(default)]
    page_bytes: u64,
}

/// What is in a column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// The name; `f0`, `f1`, … in a file without names.
    pub name: String,
    /// What the column holds.
    pub column_type: ColumnType,
    /// How many rows have no value in it.
    pub n_missing: u64,
}

impl FileSummary {
    /// The format that the file was given or found to have.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The columns, in the order in which tables have them.
    pub fn columns(&self) -> &[ColumnSummary] {
        &self.columns
    }

    /// The names of the columns as tables have them: `None` when the file does not name them.
    pub fn names(&self) -> Option<Vec<String>> {
        let names = || self.columns.iter().map(|column| column.name.clone());
        self.has_names.then(|| names().collect())
    }

    /// The number of rows, at least 1.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The bytes of the pages that a reader of a Parquet file holds at a time; 0 for other formats, whose readers hold little.
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// The first cell of each column whose row did not mention the column, in the order of the rows of the whole file.
    pub fn absent(&self) -> &[AbsentCell] {
        &self.absent
    }

    /// The same summary with columns of texts that were taken for something else: those of these names, in a CSV file, whose
    /// cells are all text until somebody says otherwise. How many of their values are missing stays as it was found.
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

    /// Checks a summary that was read from outside.
    ///
    /// # Errors
    /// [`DamagedArtifact`](reason::DAMAGED_ARTIFACT) when it can be that of no file.
    pub fn validate(&self) -> Result<()> {
        let damaged = || Error::new(reason::DAMAGED_ARTIFACT, "a stored summary is not possible");
        self.check_names()
            .map_err(|error| damaged().because(error))?;
        let is_possible = self.n_rows >= 1
            && self.page_bytes <= MAX_SIDE_BY_SIDE_BYTES
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

/// A file whose format is known.
pub(super) enum Opened {
    /// CSV, decoded.
    Csv(Box<dyn Read + Send>),
    Json(Box<dyn Read + Send>, Layout),
    Parquet(Box<ParquetFile>),
    ArrowIpc(Box<IpcFile<Box<dyn Read + Send>>>),
}

impl Opened {
    pub(super) fn open(
        source: &Source,
        options: &FileOptions,
        limits: Limits,
    ) -> Result<(Self, Format)> {
        let mut reader = compression::open(source, limits)?;
        let mut start = Vec::new();
        let taken = reader
            .by_ref()
            .take(START_BYTES as u64)
            .read_to_end(&mut start);
        taken.map_err(error_of)?;
        let format = options.format.unwrap_or_else(|| Format::detect(&start));
        if matches!(format, Format::Json | Format::JsonLines) {
            start = super::without_bom(&start).to_vec();
        }
        let opened = match format {
            Format::Csv => Self::Csv(csv::decoding(start, reader, &options.csv)?),
            Format::Json => Self::Json(joined(start, reader), Layout::Array),
            Format::JsonLines => Self::Json(joined(start, reader), Layout::Lines),
            Format::ArrowIpc => {
                Self::ArrowIpc(Box::new(IpcFile::open(joined(start, reader), limits)?))
            }
            Format::Parquet => {
                if compression::compression_of(source)?.is_some() {
                    return Err(invalid(
                        "a Parquet file that is compressed as a whole cannot be read piece by piece; decompress it",
                    ));
                }
                Self::Parquet(Box::new(ParquetFile::open(source, limits)?))
            }
        };
        Ok((opened, format))
    }
}

fn joined(start: Vec<u8>, rest: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    Box::new(std::io::Cursor::new(start).chain(rest))
}

/// Reads a file once to learn what is in it.
pub(super) fn scan(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    context: &Context,
) -> Result<FileSummary> {
    let (opened, format) = Opened::open(source, options, limits)?;
    let mut summary = match opened {
        Opened::Csv(reader) => {
            let mut file = CsvFile::new(&options.csv, Purpose::Count, None);
            let n_bytes = read_all(reader, &mut file, context)?;
            let n_columns = file.assembly().n_columns();
            let names = file.names();
            let has_names = names.is_some();
            let names = names.unwrap_or_else(|| (0..n_columns).map(|i| format!("f{i}")).collect());
            let order: Vec<usize> = (0..n_columns).collect();
            FileSummary {
                has_names,
                n_bytes,
                ..of_text(names, &order, file.assembly())
            }
        }
        Opened::Json(reader, layout) => {
            let mut file = JsonFile::new(layout, Purpose::Count, None);
            let n_bytes = read_all(reader, &mut file, context)?;
            let (names, absent, order) = file.columns();
            FileSummary {
                n_bytes,
                absent,
                ..of_text(names, &order, file.assembly())
            }
        }
        Opened::Parquet(file) => scan_parquet(&file, limits, context)?,
        Opened::ArrowIpc(file) => scan_ipc(*file, context)?,
    };
    summary.format = format;
    if summary.n_rows == 0 {
        return Err(invalid("the records have no rows"));
    }
    if summary.columns.is_empty() {
        return Err(invalid("the records have no columns"));
    }
    Ok(summary)
}

fn read_all(
    reader: Box<dyn Read + Send>,
    file: &mut impl TextFormat,
    context: &Context,
) -> Result<u64> {
    let mut windows = Windows::new(reader, WINDOW_BYTES);
    while windows.step(file)? {
        context.check()?;
    }
    Ok(windows.n_bytes())
}

fn of_text(names: Vec<String>, order: &[usize], assembly: &Assembly) -> FileSummary {
    let types: Vec<ColumnType> = assembly.kinds().map(|kind| kind.column_type()).collect();
    let n_missing = assembly.n_missing();
    let types_and_missing = order.iter().map(|&id| (types[id], n_missing[id]));
    of_columns(names, types_and_missing, assembly.n_rows())
}

fn of_columns(
    names: Vec<String>,
    types_and_missing: impl Iterator<Item = (ColumnType, u64)>,
    n_rows: u64,
) -> FileSummary {
    let columns = names.into_iter().zip(types_and_missing);
    FileSummary {
        format: Format::Csv,
        has_names: true,
        columns: columns
            .map(|(name, (column_type, n_missing))| ColumnSummary {
                name,
                column_type,
                n_missing,
            })
            .collect(),
        n_rows,
        n_bytes: 0,
        absent: Vec::new(),
        page_bytes: 0,
    }
}

fn scan_parquet(file: &ParquetFile, limits: Limits, context: &Context) -> Result<FileSummary> {
    file.check_side_by_side()?;
    let n_missing = (0..file.types.len())
        .into_par_iter()
        .map(|column| {
            let mut n_missing = 0;
            file.each_batch(column, |batch| {
                context.check()?;
                let mut values = ArrayColumn::new(file.types[column], limits);
                values.append(batch.column(0))?;
                n_missing += values.take().n_missing() as u64;
                Ok(())
            })?;
            Ok(n_missing)
        })
        .collect::<Result<Vec<u64>>>()?;
    let types_and_missing = file.types.iter().copied().zip(n_missing);
    let summary = of_columns(file.names.clone(), types_and_missing, file.n_rows);
    Ok(FileSummary {
        page_bytes: file.page_bytes,
        ..summary
    })
}

fn scan_ipc(mut file: IpcFile<Box<dyn Read + Send>>, context: &Context) -> Result<FileSummary> {
    let mut n_missing = vec![0; file.types.len()];
    let mut n_rows = 0;
    while let Some(columns) = file.next_columns()? {
        context.check()?;
        n_rows += columns.first().map_or(0, Column::len) as u64;
        for (n_missing, column) in n_missing.iter_mut().zip(&columns) {
            *n_missing += column.n_missing() as u64;
        }
    }
    let types_and_missing = file.types.iter().copied().zip(n_missing);
    Ok(of_columns(file.names.clone(), types_and_missing, n_rows))
}
