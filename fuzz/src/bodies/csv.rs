//! CSV in any dialect: the first [`PREFIX`] bytes say how it is read, the file follows. It is read as a whole, as a dataset, and
//! in chunks that are files of their own, as a stream.

use std::io::Cursor;

use anomaly_detection::error::Result;
use anomaly_detection::table::read::{self, CsvChunks, CsvOptions, FileOptions, Format};
use anomaly_detection::table::{ColumnView, MAX_CELLS, Table};

use super::files::{self, LIMITS};

/// How many bytes come before the file: has_header, delimiter, decimal, encoding, na_values, quote, comment, text_columns and
/// the rows of a chunk. 0 leaves an option as it is by default.
pub const PREFIX: usize = 9;

const ENCODINGS: [Option<&str>; 8] = [
    None,
    Some("utf-8"),
    Some("windows-1252"),
    Some("utf-16le"),
    Some("utf-16be"),
    Some("shift_jis"),
    Some("gb18030"),
    Some("no such encoding"),
];

/// Reads a CSV file.
pub fn run(data: &[u8]) -> bool {
    let Some((prefix, content)) = data.split_first_chunk::<PREFIX>() else {
        return false;
    };
    let [
        has_header,
        delimiter,
        decimal,
        encoding,
        na_values,
        quote,
        comment,
        text_columns,
        chunk_rows,
    ] = *prefix;
    let mark = |byte: u8| (byte != 0).then_some(byte);
    let words = |names: &[&str], bits: u8| -> Vec<String> {
        let named = names.iter().enumerate();
        let named = named.filter(|(bit, _)| bits >> bit & 1 == 1);
        named.map(|(_, name)| (*name).to_owned()).collect()
    };
    let csv = CsvOptions {
        has_header: mark(has_header).map(|byte| byte % 2 == 1),
        delimiter: mark(delimiter),
        decimal: if decimal == 0 {
            '.'
        } else {
            char::from(decimal)
        },
        encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()].map(str::to_owned),
        na_values: words(&["-", "99", "1,5", "none at all"], na_values),
        quote: mark(quote),
        comment: mark(comment),
        text_columns: words(&["a", "f0"], text_columns),
        known_text_columns: words(&["b", "f1"], text_columns >> 2),
    };
    let options = FileOptions {
        format: Some(Format::Csv),
        csv,
    };
    let chunk_rows = usize::from(chunk_rows).max(1);
    let whole = files::check(content, &options, chunk_rows);
    match (&whole, in_chunks(content, &options, chunk_rows, None)) {
        (Ok(whole), Ok(chunks)) => {
            assert_same_cells(whole, &chunks, None);
            let left_out = content.len() % whole.n_columns();
            if whole.n_columns() > 1 {
                let chunks = in_chunks(content, &options, chunk_rows, Some(left_out));
                let chunks = chunks.expect("the other columns can be read alone");
                assert_same_cells(whole, &chunks, Some(left_out));
            }
        }
        (Ok(_), Err(error)) => panic!("read as a whole, but not in chunks: {error}"),
        (Err(error), Ok(chunks)) => {
            let n_columns = chunks.first().map_or(0, Table::n_columns);
            let n_rows: usize = chunks.iter().map(Table::n_rows).sum();
            assert!(
                n_rows * n_columns > MAX_CELLS || n_rows == 0,
                "read in chunks, but not as a whole: {error}"
            );
        }
        (Err(_), Err(_)) => {}
    }
    whole.is_ok()
}

/// Reads every chunk of a file as a file of its own, without one of the columns if one is left out.
fn in_chunks(
    content: &[u8],
    options: &FileOptions,
    chunk_rows: usize,
    left_out: Option<usize>,
) -> Result<Vec<Table>> {
    let reader = Box::new(Cursor::new(content.to_vec()));
    let chunks = CsvChunks::open(reader, options, LIMITS)?;
    let mut chunks = chunks.expect("CSV, as the options say");
    if let Some(left_out) = left_out {
        let name = chunks.names()[left_out].clone();
        chunks.leave_out(|other| other == name)?;
    }
    let mut tables = Vec::new();
    while chunks.has_next()? {
        let mut n_rows = 0;
        let chunk = chunks.next_chunk(chunk_rows, 1 << 16, |_| n_rows += 1)?;
        let chunk = chunk.expect("a row was promised");
        assert_eq!(chunk.n_rows, n_rows, "rows that were shown");
        let options = FileOptions {
            format: Some(Format::Csv),
            csv: chunk.options,
        };
        let table = read::read(&chunk.content, &options, LIMITS)?;
        assert_eq!(table.n_rows(), n_rows, "rows of a chunk");
        tables.push(table);
    }
    Ok(tables)
}

/// Panics unless the tables hold the cells of the whole, without those of the column that is left out.
fn assert_same_cells(whole: &Table, parts: &[Table], left_out: Option<usize>) {
    let kept: Vec<usize> = (0..whole.n_columns())
        .filter(|column| Some(*column) != left_out)
        .collect();
    let mut first = 0;
    for part in parts {
        assert_eq!(part.n_columns(), kept.len(), "columns");
        for (place, &column) in kept.iter().enumerate() {
            for row in 0..part.n_rows() {
                let (all, alone) = (whole.column(column), part.column(place));
                assert_eq!(
                    cell(all, first + row),
                    cell(alone, row),
                    "column {column} of row {}",
                    first + row
                );
            }
        }
        first += part.n_rows();
    }
    assert_eq!(first, whole.n_rows(), "rows in chunks");
}

/// What a cell holds, to the bit.
#[derive(Debug, PartialEq)]
enum Cell<'a> {
    Missing,
    Number(u64),
    Text(&'a str),
    Time(i64),
}

fn cell(column: ColumnView<'_>, row: usize) -> Cell<'_> {
    match column {
        ColumnView::Numbers(values) | ColumnView::Booleans(values) => match values[row] {
            value if value.is_nan() => Cell::Missing,
            value => Cell::Number(value.to_bits()),
        },
        ColumnView::Texts(texts) => texts.get(row).map_or(Cell::Missing, Cell::Text),
        ColumnView::Times(times) => Cell::Time(times[row]),
    }
}
