//! CSV (RFC 4180) with a header line, in UTF-8.

use std::str;

use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::{MAX_CELLS, Table, check_cells, shortened};
use crate::error::{Error, Reason, Result};

/// What stands for a missing value, as in pandas. Compared after white space is trimmed.
const MISSING: [&str; 18] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan",
];

/// Reads a CSV file whose first line names the columns.
///
/// A cell is a number, `true` or `false` (1 or 0), or missing; anything else is an error that names its line and column,
/// as are a wrong number of cells, a quote that is never closed, and bytes that are not UTF-8.
pub fn read(content: &[u8]) -> Result<Table> {
    check_quotes(content)?;
    let mut reader = ReaderBuilder::new().from_reader(content);
    let names = header(&mut reader)?;

    let mut values = Vec::new();
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|e| unreadable(&e))?
    {
        if values.len() + names.len() > MAX_CELLS {
            check_cells(values.len() / names.len() + 1, names.len())?;
        }
        for (name, cell) in names.iter().zip(&record) {
            values
                .push(parse_cell(cell).map_err(|problem| problem.at_cell(line_of(&record), name))?);
        }
    }
    let n_columns = names.len();
    Table::from_row_major(Some(names), n_columns, values)
}

fn header(reader: &mut csv::Reader<&[u8]>) -> Result<Vec<String>> {
    let header = reader.byte_headers().map_err(|e| unreadable(&e))?;
    if header.is_empty() {
        return Err(invalid(
            "the file is empty; its first line must name the columns".to_owned(),
        ));
    }
    header
        .iter()
        .map(|name| match str::from_utf8(name) {
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(invalid(format!(
                "line 1: the column name {} is not UTF-8",
                shortened(&String::from_utf8_lossy(name))
            ))),
        })
        .collect()
}

/// What is wrong with one cell.
enum CellProblem {
    NotUtf8(String),
    Text(String),
}

impl CellProblem {
    fn at_cell(self, line: u64, column: &str) -> Error {
        match self {
            Self::NotUtf8(value) => invalid(format!(
                "line {line}, column {column:?}: {} is not UTF-8",
                shortened(&value)
            )),
            Self::Text(value) => Error::new(
                Reason::TextValue,
                format!(
                    "line {line}, column {column:?}: {} is not a number; text columns are not supported",
                    shortened(&value)
                ),
            ),
        }
    }
}

fn parse_cell(cell: &[u8]) -> Result<f64, CellProblem> {
    let Ok(text) = str::from_utf8(cell) else {
        return Err(CellProblem::NotUtf8(
            String::from_utf8_lossy(cell).into_owned(),
        ));
    };
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return Ok(number);
    }
    if MISSING.contains(&text) || text == "null" {
        Ok(f64::NAN)
    } else if text.eq_ignore_ascii_case("true") {
        Ok(1.0)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(0.0)
    } else {
        Err(CellProblem::Text(text.to_owned()))
    }
}

/// The reader takes the rest of a file for one cell when a quote is never closed; in a well-formed file quotes come in pairs.
fn check_quotes(content: &[u8]) -> Result<()> {
    let mut line = 1;
    let mut opened_at = None;
    for &byte in content {
        match byte {
            b'\n' => line += 1,
            b'"' => {
                opened_at = if opened_at.is_some() {
                    None
                } else {
                    Some(line)
                }
            }
            _ => {}
        }
    }
    match opened_at {
        Some(line) => Err(invalid(format!(
            "line {line}: a quote is opened and never closed"
        ))),
        None => Ok(()),
    }
}

fn unreadable(error: &csv::Error) -> Error {
    match error.kind() {
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => invalid(format!(
            "line {}: {len} cells where the header has {expected_len}",
            pos.as_ref().map_or(0, csv::Position::line)
        )),
        _ => invalid(format!("the file cannot be read as CSV: {error}")),
    }
}

fn line_of(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn invalid(message: String) -> Error {
    Error::new(Reason::InvalidRecords, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> String {
        read(content)
            .expect_err("should be refused")
            .message()
            .to_owned()
    }

    #[test]
    fn reads_numbers_booleans_and_missing_values() {
        let table =
            read(b"\xef\xbb\xbfa,\"b, c\"\n1, 2.5 \ntrue,NA\n-inf,\"3e2\"\r\n").expect("valid");
        assert_eq!(
            table.names(),
            Some(&["a".to_owned(), "b, c".to_owned()][..])
        );
        let values = table.into_values();
        assert_eq!(values.row(0).to_vec(), [1.0, 2.5]);
        assert_eq!(values[[1, 0]], 1.0);
        assert!(values[[1, 1]].is_nan());
        assert_eq!(values.row(2).to_vec(), [f64::NEG_INFINITY, 300.0]);
    }

    #[test]
    fn names_the_place_of_what_is_wrong() {
        assert_eq!(
            message(b"a,b\n1,2\n3,shop\n"),
            "line 3, column \"b\": \"shop\" is not a number; text columns are not supported"
        );
        assert_eq!(
            message(b"a,b\n1,2\n3\n"),
            "line 3: 1 cells where the header has 2"
        );
        assert_eq!(
            message(b"a,b\n1,2\n3,\"4\n5,6\n"),
            "line 3: a quote is opened and never closed"
        );
        assert!(message(b"a\n1\n\xff\xfe\n").contains("line 3, column \"a\""));
        assert!(message(b"\xff,b\n1,2\n").contains("line 1"));
        assert_eq!(
            message(b""),
            "the file is empty; its first line must name the columns"
        );
        assert_eq!(message(b"a,b\n"), "the records have no rows");
    }
}
