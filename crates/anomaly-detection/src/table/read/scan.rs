//! Reading a file once to learn what is in it.

use std::io::Read;

use rayon::prelude::*;

use super::arrays::ColumnBuilder;
use super::csv::CsvFile;
use super::format::Format;
use super::ipc::IpcFile;
use super::json::JsonFile;
use super::opened::Opened;
use super::parquet::{MAX_OPEN_PAGE_BYTES, ParquetFile};
use super::source::Source;
use super::summary::{ColumnSummary, FileSummary};
use super::text_file::{Assembly, Purpose, TextFormat, WINDOW_BYTES, Windows};
use super::{FileOptions, Limits};
use crate::context::{Context, Unit, stage};
use crate::error::Result;
use crate::table::{Column, ColumnType, invalid};

/// Reads a file once to learn what is in it.
pub(super) fn read(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    context: &Context,
) -> Result<FileSummary> {
    context.enter(stage::SCANNING);
    let length = usize::try_from(source.len()).unwrap_or(usize::MAX);
    let source = &source.advancing(context.step(Unit::Bytes, length));
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
    file.check_page_bytes()?;
    let n_missing = (0..file.types.len())
        .into_par_iter()
        .map(|column| {
            let mut n_missing = 0;
            file.each_batch(column, |batch| {
                context.check()?;
                let mut values = ColumnBuilder::new(file.types[column], limits);
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
    let summary = of_columns(file.names.clone(), types_and_missing, n_rows);
    Ok(FileSummary {
        page_bytes: file.most_held.min(MAX_OPEN_PAGE_BYTES),
        ..summary
    })
}
