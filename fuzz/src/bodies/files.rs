//! What holds of every file, whatever is in it: all ways to read it agree.

use anomaly_detection::context::Context;
use anomaly_detection::error::Result;
use anomaly_detection::table::read::{self, FileOptions, Format, Limits, Source};
use anomaly_detection::table::{ColumnView, MAX_CELLS, MISSING_TIME, Table};

/// What reading may cost.
pub(crate) const LIMITS: Limits = Limits {
    decompressed_bytes: 1 << 20,
};

/// Tables with more cells than this are read, but neither kept beside others nor compared: a few bytes can say 256 MiB.
const COMPARED_CELLS: u64 = 1 << 18;

/// The options that read a file as one of this format.
pub(crate) fn as_format(format: Format) -> FileOptions {
    FileOptions {
        format: Some(format),
        ..FileOptions::default()
    }
}

/// A number of rows to read at a time that follows from the content, so that no bytes of the format are taken for it.
pub(crate) fn chunk_rows(content: &[u8]) -> usize {
    1 + content.len() % 7
}

/// Reads a file in every way there is. Gives the table, where it could be read.
///
/// Panics when the ways contradict each other: in whether the file can be read, in shape, names, types or values.
pub(crate) fn check(content: &[u8], options: &FileOptions, chunk_rows: usize) -> Result<Table> {
    let table = read::read(content, options, LIMITS);
    let source = Source::from(bytes::Bytes::copy_from_slice(content));
    let summary = match read::scan(&source, options, LIMITS, &Context::new()) {
        Ok(summary) => summary,
        Err(error) => {
            let in_chunks = "cannot be read in chunks";
            assert!(
                table.is_err() || error.message().contains(in_chunks),
                "read in memory, but not by a scan: {error}"
            );
            return Err(error);
        }
    };
    summary.validate().unwrap_or_else(|error| {
        let repeated_names = summary.check_names().is_err();
        assert!(repeated_names, "a scan gave what is not possible: {error}");
    });
    let n_cells = summary.n_rows() * summary.columns().len() as u64;
    if n_cells > MAX_CELLS as u64 {
        assert!(table.is_err(), "a table of {n_cells} cells was read");
        return table;
    }
    if let Err(error) = &table {
        panic!("read by a scan, but not in memory: {error}");
    }
    let table = table.ok().filter(|_| n_cells <= COMPARED_CELLS);
    if let Some(table) = &table {
        assert_eq!(summary.n_rows(), table.n_rows() as u64, "rows");
        assert_eq!(summary.names().as_deref(), table.names(), "names");
        assert_eq!(summary.absent(), table.absent(), "absent cells");
        for (index, column) in summary.columns().iter().enumerate() {
            assert_eq!(column.column_type, table.column_type(index), "type");
            assert_eq!(column.n_missing, n_missing(table, index), "missing values");
        }
    }

    let mut n_rows = 0;
    // large tables in large chunks: many small ones would take too long
    let chunk_rows = chunk_rows.max((n_cells / COMPARED_CELLS) as usize * 1024);
    let chunks = read::chunks(&source, options, LIMITS, &summary, chunk_rows);
    for chunk in chunks.expect("a scanned file can be read in chunks") {
        let chunk = chunk.expect("a scanned file can be read to its end");
        assert!(chunk.n_rows() <= chunk_rows, "a chunk is too long");
        if let Some(table) = &table {
            assert_same_rows(table, n_rows, &chunk);
        }
        n_rows += chunk.n_rows();
    }
    assert_eq!(summary.n_rows(), n_rows as u64, "rows in chunks");

    let whole = read::whole(&source, options, LIMITS, &summary, None, &Context::new());
    let whole = whole.expect("a scanned file can be read as a whole");
    if let Some(table) = &table {
        assert_same_rows(table, 0, &whole);
        assert_eq!(whole.n_rows(), table.n_rows(), "rows of the whole");
        assert_eq!(whole.absent(), table.absent(), "absent cells of the whole");
    }
    Ok(table.unwrap_or(whole))
}

/// Panics unless `part` holds the rows of `whole` from one on.
pub(crate) fn assert_same_rows(whole: &Table, start: usize, part: &Table) {
    assert_eq!(whole.names(), part.names(), "names");
    assert_eq!(whole.n_columns(), part.n_columns(), "columns");
    let end = start + part.n_rows();
    assert!(end <= whole.n_rows(), "more rows than the whole has");
    for column in 0..whole.n_columns() {
        let same = match (whole.column(column), part.column(column)) {
            (ColumnView::Numbers(a), ColumnView::Numbers(b))
            | (ColumnView::Booleans(a), ColumnView::Booleans(b)) => {
                let a = a.iter().skip(start);
                a.zip(b)
                    .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
            }
            (ColumnView::Texts(a), ColumnView::Texts(b)) => {
                (start..end).all(|row| a.get(row) == b.get(row - start))
            }
            (ColumnView::Times(a), ColumnView::Times(b)) => a[start..end] == *b,
            _ => false,
        };
        assert!(same, "column {column} differs in rows {start} to {end}");
    }
}

fn n_missing(table: &Table, column: usize) -> u64 {
    let n = match table.column(column) {
        ColumnView::Numbers(values) | ColumnView::Booleans(values) => {
            values.iter().filter(|value| value.is_nan()).count()
        }
        ColumnView::Texts(texts) => (0..texts.len())
            .filter(|&row| texts.get(row).is_none())
            .count(),
        ColumnView::Times(times) => times.iter().filter(|&&time| time == MISSING_TIME).count(),
    };
    n as u64
}
