//! Reads packed rows.

use super::super::cell::{JsonCell, unpack_number, unpack_text};
use super::{ROW_ALIKE, ROW_ARRAY, ROW_OBJECT};

/// A row, as a [`RowReader`] finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JsonRow<'a> {
    /// An array of this many cells.
    Array(usize),
    /// An object, and whether it has other names than the object before.
    Object {
        /// Whether there is no object before, or it has other names.
        has_new_names: bool,
    },
    /// Neither.
    Other(JsonCell<'a>),
}

/// Reads packed rows one after the other, and in each its cells.
#[derive(Debug, Clone)]
pub struct RowReader<'a> {
    rest: &'a [u8],
    names: Vec<&'a str>,
    left: Left,
}

/// What is left of a row.
#[derive(Debug, Clone, Copy)]
enum Left {
    Cells(usize),
    /// All up to the end of an array.
    Array,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(packed: &'a [u8]) -> Self {
        Self {
            rest: packed,
            names: Vec::new(),
            left: Left::Cells(0),
        }
    }

    /// Goes to the next row; `None` after the last one.
    pub fn next_row(&mut self) -> Option<JsonRow<'a>> {
        while self.next_cell().is_some() {}
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match first {
            ROW_ARRAY => {
                let mut ahead = self.rest;
                let mut n_cells = 0;
                while JsonCell::unpack(&mut ahead).is_some() {
                    n_cells += 1;
                }
                self.left = Left::Array;
                JsonRow::Array(n_cells)
            }
            ROW_OBJECT => {
                let n_fields = unpack_number(&mut self.rest)?;
                self.names.clear();
                for _ in 0..n_fields {
                    self.names.push(unpack_text(&mut self.rest)?);
                }
                self.left = Left::Cells(n_fields);
                JsonRow::Object {
                    has_new_names: true,
                }
            }
            ROW_ALIKE => {
                self.left = Left::Cells(self.names.len());
                JsonRow::Object {
                    has_new_names: false,
                }
            }
            _ => JsonRow::Other(JsonCell::unpack(&mut self.rest)?),
        })
    }

    /// The names of the last row that was an object, sorted by their bytes; the cells of an object follow them.
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// The next cell of the row; `None` after the last one.
    pub fn next_cell(&mut self) -> Option<JsonCell<'a>> {
        match &mut self.left {
            Left::Cells(0) => None,
            Left::Cells(n) => {
                *n -= 1;
                JsonCell::unpack(&mut self.rest)
            }
            Left::Array => {
                let cell = JsonCell::unpack(&mut self.rest);
                if cell.is_none() {
                    self.left = Left::Cells(0);
                }
                cell
            }
        }
    }
}
