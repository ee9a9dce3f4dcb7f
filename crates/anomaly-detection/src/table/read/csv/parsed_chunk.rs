//! Parses a chunk of CSV records into columns.

use std::str;

use super::super::cells::{Cells, Kind};
use super::super::text_file::Problem;
use super::dialect::shown;
use super::layout::Layout;
use crate::error::{Error, reason};
use crate::table::invalid;

/// The records of a chunk.
pub(in crate::table::read) struct ParsedChunk {
    pub(super) columns: Vec<Cells>,
    pub(super) n_rows: usize,
    /// Whether the type of a column had to be guessed from this chunk.
    pub(super) guessed: bool,
    pub(super) problem: Option<Problem>,
}

/// Parses whole records into columns that are of these kinds so far.
pub(super) fn parse(
    bytes: &[u8],
    layout: &Layout,
    kinds: impl Iterator<Item = Kind>,
) -> ParsedChunk {
    let mut columns: Vec<Cells> = kinds.map(Cells::new).collect();
    let guessed = columns.iter().any(|cells| cells.kind() == Kind::Unknown);
    let marks = &layout.dialect.marks;
    let mut n_rows = 0;
    let mut problem = None;
    let mut start = marks.skip_blank(bytes, 0);
    while start < bytes.len() {
        match parse_record(bytes, start, layout, &mut columns) {
            Ok(next) => start = marks.skip_blank(bytes, next),
            Err(found) => {
                problem = Some(found);
                break;
            }
        }
        n_rows += 1;
    }
    ParsedChunk {
        columns,
        n_rows,
        guessed,
        problem,
    }
}

/// Parses the record at `start` and returns where it ends.
fn parse_record(
    bytes: &[u8],
    start: usize,
    layout: &Layout,
    columns: &mut [Cells],
) -> Result<usize, Problem> {
    let n_columns = columns.len();
    let mut at = start;
    for (column, cells) in columns.iter_mut().enumerate() {
        let (next, ends_record) = match fast_number(bytes, at, layout, cells) {
            Some(end) => end,
            None => parse_cell(bytes, at, layout, column, cells)?,
        };
        let is_last = column + 1 == n_columns;
        if ends_record != is_last {
            return Err(ragged(bytes, start, layout, n_columns));
        }
        at = next;
    }
    Ok(at)
}

/// The fast path for nearly all numeric cells, which are parsed in place and end at a delimiter or a line end.
#[inline]
fn fast_number(
    bytes: &[u8],
    start: usize,
    layout: &Layout,
    cells: &mut Cells,
) -> Option<(usize, bool)> {
    let dialect = &layout.dialect;
    // other cells do not start like a number, except infinite ones
    let may_be_number = matches!(bytes.get(start), Some(b'0'..=b'9' | b'+' | b'-' | b'.'));
    if !may_be_number || cells.kind() == Kind::Text || dialect.decimal != b'.' {
        return None;
    }
    let (number, length) = fast_float2::parse_partial::<f64, _>(&bytes[start..]).ok()?;
    let end = start + length;
    let after = match bytes.get(end) {
        Some(&byte) if byte == dialect.marks.delimiter => (end + 1, false),
        Some(b'\n') => (end + 1, true),
        Some(b'\r') if bytes.get(end + 1) == Some(&b'\n') => (end + 2, true),
        None => (end, true),
        Some(_) => return None,
    };
    if dialect.missing.numbers.contains(&number) {
        cells.push_missing(1);
    } else {
        cells.push_number(number);
    }
    Some(after)
}

fn parse_cell(
    bytes: &[u8],
    start: usize,
    layout: &Layout,
    column: usize,
    cells: &mut Cells,
) -> Result<(usize, bool), Problem> {
    let problem = |error: Error| Problem {
        at: start,
        column: format!(", column {}", layout.display_name(column)),
        error,
    };
    let dialect = &layout.dialect;
    let token = dialect.marks.token(bytes, start)?;
    let cell = token.content.trim_ascii();
    let end = (token.next, token.ends_record);
    if dialect.missing.contains(cell) {
        cells.push_missing(1);
        return Ok(end);
    }
    let is_text = cells.kind() == Kind::Text;
    // also among texts, since cells before the first text would otherwise be read differently from those after it
    if !is_text || !dialect.missing.numbers.is_empty() {
        match number(cell, dialect.decimal) {
            Some(number) if dialect.missing.numbers.contains(&number) => {
                cells.push_missing(1);
                return Ok(end);
            }
            Some(number) if !is_text => {
                cells.push_number(number);
                return Ok(end);
            }
            _ => {}
        }
    }
    let is_boolean = cell.eq_ignore_ascii_case(b"true") || cell.eq_ignore_ascii_case(b"false");
    if is_boolean && !is_text {
        cells.push_boolean(cell.len() == 4);
        return Ok(end);
    }
    let Ok(text) = str::from_utf8(&token.content) else {
        return Err(problem(invalid(format!(
            "{} is not {}",
            shown(&token.content),
            layout.encoding
        ))));
    };
    match cells.kind() {
        Kind::Unknown | Kind::Text => cells.push_text(text).map_err(problem)?,
        Kind::Number | Kind::Boolean => {
            let message = format!(
                "{} is not a number, as the values before it are; correct it, list it in na_values if it is missing, or read texts by text_columns",
                shown(text.as_bytes())
            );
            return Err(problem(Error::new(reason::TEXT_VALUE, message)));
        }
    }
    Ok(end)
}

/// The number in a trimmed cell.
fn number(cell: &[u8], decimal: u8) -> Option<f64> {
    /// Longer than any number that programs write.
    const LONGEST: usize = 400;
    if decimal == b'.' {
        return fast_float2::parse(cell).ok();
    }
    if cell.len() > LONGEST || cell.contains(&b'.') {
        return None;
    }
    let mut copy = [0; LONGEST];
    let copy = &mut copy[..cell.len()];
    copy.copy_from_slice(cell);
    for byte in copy.iter_mut().filter(|byte| **byte == decimal) {
        *byte = b'.';
    }
    fast_float2::parse(copy).ok()
}

fn ragged(bytes: &[u8], start: usize, layout: &Layout, expected: usize) -> Problem {
    let mut n_cells = 0;
    let mut at = start;
    loop {
        match layout.dialect.marks.token(bytes, at) {
            Err(problem) => return problem,
            Ok(token) => {
                n_cells += 1;
                at = token.next;
                if token.ends_record {
                    break;
                }
            }
        }
    }
    let plural = if n_cells == 1 { "" } else { "s" };
    let first = if layout.has_header {
        "header"
    } else {
        "first record"
    };
    Problem::new(
        start,
        format!("{n_cells} cell{plural} where the {first} has {expected}"),
    )
}
