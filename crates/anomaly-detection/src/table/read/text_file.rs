//! What the text formats share: windows of a file are cut into pieces of whole records, which are parsed in parallel and
//! merged in order.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memrchr};
use rayon::prelude::*;

use super::cells::{Cells, Kind};
use super::compression::error_of;
use crate::error::{Error, Result};
use crate::table::{Column, check_cells, invalid};

/// How many bytes are parsed at a time by one thread.
pub(super) const PIECE_BYTES: usize = 1 << 18;
/// How many pieces are in memory as parsed cells at a time. The cuts must not follow the number of threads.
const WAVE: usize = 16;
/// How many bytes of a file on disk are in memory at a time, unless a record is longer.
pub(super) const WINDOW_BYTES: usize = 1 << 22;
/// The longest record of a file on disk.
const MAX_RECORD_BYTES: usize = 1 << 26;

/// Whole records, one after the other.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Where they stand in the window.
    pub(super) bytes: Range<usize>,
    /// Where each of them stands in the window, if that had to be found out.
    pub(super) records: Vec<Range<usize>>,
}

/// How a window is cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) pieces: Vec<Piece>,
    /// How many bytes are done with once the pieces are.
    pub(super) consumed: usize,
    /// What is wrong behind the pieces.
    pub(super) error: Option<Error>,
}

impl Cut {
    /// Cuts at the ends of lines, from `consumed` on.
    pub(super) fn lines(&mut self, window: &[u8], is_last: bool) {
        while self.consumed < window.len() {
            let start = self.consumed;
            let target = (start + PIECE_BYTES).min(window.len() - 1);
            let end = match memchr(b'\n', &window[target..]) {
                Some(length) => target + length + 1,
                None if is_last => window.len(),
                None => match memrchr(b'\n', &window[start..]) {
                    Some(length) => start + length + 1,
                    None => return,
                },
            };
            self.push(start..end);
        }
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, bytes: Range<usize>) {
        self.consumed = bytes.end;
        self.pieces.push(Piece {
            bytes,
            records: Vec::new(),
        });
    }
}

/// What is wrong with a piece.
#[derive(Debug)]
pub(super) struct Problem {
    /// Which byte or row of it.
    pub(super) at: usize,
    /// Which column, where it is one, as in `, column "a"`.
    pub(super) column: String,
    pub(super) error: Error,
}

impl Problem {
    /// Something wrong with a record as a whole.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            column: String::new(),
            error: invalid(message),
        }
    }

    /// The error, with where it is in the file: a line or a row.
    pub(super) fn placed(self, place: &str) -> Error {
        self.error.during(&format!("{place}{}", self.column))
    }
}

/// A format of text, with what has been read of a file so far.
pub(super) trait TextFormat: Sync {
    /// A parsed piece.
    type Block: Send;

    /// Finds whole records in a window, which is the last one when nothing follows.
    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut;

    /// Whether the type of every column is known.
    fn is_settled(&self) -> bool;

    /// Parses a piece by what is known so far.
    fn parse(&self, window: &[u8], piece: &Piece) -> Self::Block;

    /// Appends a block to what was read so far; parses its piece again when it guessed a type wrongly.
    fn merge(&mut self, block: Self::Block, window: &[u8], piece: &Piece) -> Result<()>;
}

/// Reads the whole records of a window; returns how many bytes they take.
pub(super) fn read_window<F: TextFormat>(
    format: &mut F,
    window: &[u8],
    is_last: bool,
) -> Result<usize> {
    let cut = format.cut(window, is_last);
    let mut pieces = &cut.pieces[..];
    // the first piece tells nearly always what the columns are, so that no other has to guess
    let mut wave = if format.is_settled() { WAVE } else { 1 };
    while !pieces.is_empty() {
        let (now, later) = pieces.split_at(wave.min(pieces.len()));
        let blocks: Vec<F::Block> = now
            .par_iter()
            .with_max_len(1)
            .map(|piece| format.parse(window, piece))
            .collect();
        for (block, piece) in blocks.into_iter().zip(now) {
            format.merge(block, window, piece)?;
        }
        pieces = later;
        wave = WAVE;
    }
    match cut.error {
        Some(error) => Err(error),
        None => Ok(cut.consumed),
    }
}

/// A file that is read window by window.
pub(super) struct Windows {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    size: usize,
    is_last: bool,
    n_bytes: u64,
}

impl Windows {
    /// Windows of so many bytes.
    pub(super) fn new(reader: Box<dyn Read + Send>, size: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            size,
            is_last: false,
            n_bytes: 0,
        }
    }

    /// How many bytes have been read.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Whether the last window has been read.
    pub(super) fn is_done(&self) -> bool {
        self.is_last
    }

    /// Reads one window; `false` when it was the last.
    pub(super) fn step(&mut self, format: &mut impl TextFormat) -> Result<bool> {
        if self.is_last {
            return Ok(false);
        }
        let size = self.size;
        loop {
            self.fill()?;
            let consumed = read_window(format, &self.buffer, self.is_last)?;
            self.buffer.drain(..consumed);
            if consumed > 0 || self.is_last {
                break;
            }
            if self.size >= MAX_RECORD_BYTES {
                return Err(invalid(format!(
                    "a record is longer than {MAX_RECORD_BYTES} bytes; is a quote never closed?"
                )));
            }
            self.size *= 2;
        }
        self.size = size;
        Ok(!self.is_last)
    }

    fn fill(&mut self) -> Result<()> {
        let wanted = self.size.saturating_sub(self.buffer.len()) as u64;
        let n = self
            .reader
            .by_ref()
            .take(wanted)
            .read_to_end(&mut self.buffer)
            .map_err(error_of)?;
        self.n_bytes += n as u64;
        self.is_last = (n as u64) < wanted;
        Ok(())
    }
}

/// What becomes of the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are kept up to the size of a table.
    Keep,
    /// They are counted.
    Count,
}

/// The columns of a file as far as it has been read.
#[derive(Debug)]
pub(super) struct Assembly {
    purpose: Purpose,
    cells: Vec<Cells>,
    n_missing: Vec<u64>,
    n_rows: u64,
    n_held: usize,
}

impl Assembly {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            cells: Vec::new(),
            n_missing: Vec::new(),
            n_rows: 0,
            n_held: 0,
        }
    }

    pub(super) fn n_columns(&self) -> usize {
        self.cells.len()
    }

    /// The number of rows so far.
    pub(super) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// What each column has shown itself to be so far.
    pub(super) fn kinds(&self) -> impl ExactSizeIterator<Item = Kind> + '_ {
        self.cells.iter().map(Cells::kind)
    }

    /// Whether cells of this kind go on with a column.
    pub(super) fn accepts(&self, column: usize, next: Kind) -> bool {
        self.cells[column].accepts(next)
    }

    /// How many values of each column were missing; known only when cells are counted.
    pub(super) fn n_missing(&self) -> &[u64] {
        &self.n_missing
    }

    /// Adds a column, of which all rows so far have no value.
    pub(super) fn add_column(&mut self, kind: Kind) {
        let mut cells = Cells::new(kind);
        cells.push_missing(self.n_held);
        self.cells.push(cells);
        self.n_missing.push(self.n_rows);
    }

    /// Makes sure that so many rows fit into a table that is to have `n_columns` columns.
    pub(super) fn check_space(&self, n_rows: usize, n_columns: usize) -> Result<()> {
        match self.purpose {
            Purpose::Keep => check_cells(self.n_held + n_rows, n_columns),
            Purpose::Count => Ok(()),
        }
    }

    /// Appends the next rows of a column, which must be accepted by what is there.
    pub(super) fn append(
        &mut self,
        column: usize,
        next: Cells,
        gaps: &[(usize, usize)],
    ) -> Result<()> {
        match self.purpose {
            Purpose::Keep => self.cells[column].append(next.with_gaps(gaps)?),
            Purpose::Count => {
                let n_gaps: usize = gaps.iter().map(|gap| gap.1).sum();
                self.n_missing[column] += (next.n_missing() + n_gaps) as u64;
                self.cells[column].append(Cells::new(next.kind()))
            }
        }
    }

    /// Appends the next rows of every column, which must be accepted by what is there.
    pub(super) fn append_all(&mut self, next: Vec<Cells>) -> Result<()> {
        let purpose = self.purpose;
        self.cells
            .par_iter_mut()
            .zip(&mut self.n_missing)
            .zip(next)
            .try_for_each(|((cells, n_missing), next)| match purpose {
                Purpose::Keep => cells.append(next),
                Purpose::Count => {
                    *n_missing += next.n_missing() as u64;
                    cells.append(Cells::new(next.kind()))
                }
            })
    }

    /// Appends rows without a value to a column.
    pub(super) fn append_missing(&mut self, column: usize, n_rows: usize) {
        match self.purpose {
            Purpose::Keep => self.cells[column].push_missing(n_rows),
            Purpose::Count => self.n_missing[column] += n_rows as u64,
        }
    }

    /// Notes that every column has got so many more rows.
    pub(super) fn add_rows(&mut self, n_rows: usize) {
        self.n_rows += n_rows as u64;
        if self.purpose == Purpose::Keep {
            self.n_held += n_rows;
        }
    }

    /// The kept rows as columns; the rows that follow begin new ones.
    pub(super) fn take(&mut self) -> Vec<Column> {
        self.n_held = 0;
        self.cells.iter_mut().map(Cells::take).collect()
    }
}
