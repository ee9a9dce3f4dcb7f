//! Reads the text formats: the windows of a file are cut into chunks, which are parsed in parallel and merged in order.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memrchr};
use rayon::prelude::*;

use super::cells::{Cells, Kind};
use super::check_cells;
use super::compression::error_of;
use crate::error::{Error, Result};
use crate::table::{Column, invalid};

/// How many bytes are parsed at a time by one thread.
pub(super) const CHUNK_BYTES: usize = 1 << 18;
/// How many chunks are held as parsed cells at a time. The cuts must not depend on the number of threads.
const WAVE: usize = 16;
/// How many bytes of a file on disk are in memory at a time, unless a record is longer.
pub(super) const WINDOW_BYTES: usize = 1 << 22;
/// The longest record of a file on disk.
const MAX_RECORD_BYTES: usize = 1 << 26;

/// A run of whole records.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Their range in the window.
    pub(super) bytes: Range<usize>,
    /// The range of each record in the window, if they had to be found.
    pub(super) records: Vec<Range<usize>>,
}

/// How a window is cut into chunks.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) chunks: Vec<Chunk>,
    /// Where the chunks end, which is how many bytes of the window are consumed once they are parsed.
    pub(super) consumed: usize,
    /// What is wrong after the chunks, if anything.
    pub(super) error: Option<Error>,
}

impl Cut {
    /// Cuts at the ends of lines, from `consumed` on.
    pub(super) fn lines(&mut self, window: &[u8], is_last: bool) {
        while self.consumed < window.len() {
            let start = self.consumed;
            let target = (start + CHUNK_BYTES).min(window.len() - 1);
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

    /// Appends a chunk.
    pub(super) fn push(&mut self, bytes: Range<usize>) {
        self.consumed = bytes.end;
        self.chunks.push(Chunk {
            bytes,
            records: Vec::new(),
        });
    }
}

/// What is wrong with a chunk.
#[derive(Debug)]
pub(super) struct Problem {
    /// The byte or the row in the chunk.
    pub(super) at: usize,
    /// The column if it is about one, as in `, column "a"`.
    pub(super) column: String,
    pub(super) error: Error,
}

impl Problem {
    /// A problem with a record as a whole.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            column: String::new(),
            error: invalid(message),
        }
    }

    /// The error, with its line or row in the file.
    pub(super) fn placed(self, place: &str) -> Error {
        self.error.during(&format!("{place}{}", self.column))
    }
}

/// A text format, with the state of a file that is being read.
pub(super) trait TextFormat: Sync {
    /// A parsed chunk.
    type Parsed: Send;

    /// Finds whole records in a window; `is_last` says whether nothing follows it.
    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut;

    /// Whether the type of every column is known.
    fn is_settled(&self) -> bool;

    /// Parses a chunk with what is known so far.
    fn parse(&self, window: &[u8], chunk: &Chunk) -> Self::Parsed;

    /// Appends a parsed chunk to the columns so far; parses the chunk again if the type of a column was guessed wrongly.
    fn merge(&mut self, parsed: Self::Parsed, window: &[u8], chunk: &Chunk) -> Result<()>;
}

/// Reads the whole records of a window, and returns how many bytes they take.
pub(super) fn read_window<F: TextFormat>(
    format: &mut F,
    window: &[u8],
    is_last: bool,
) -> Result<usize> {
    let cut = format.cut(window, is_last);
    let mut chunks = &cut.chunks[..];
    // the first chunk nearly always determines the types of the columns, so that no other has to guess
    let mut wave = if format.is_settled() { WAVE } else { 1 };
    while !chunks.is_empty() {
        let (now, later) = chunks.split_at(wave.min(chunks.len()));
        let parsed: Vec<F::Parsed> = now
            .par_iter()
            .with_max_len(1)
            .map(|chunk| format.parse(window, chunk))
            .collect();
        for (parsed, chunk) in parsed.into_iter().zip(now) {
            format.merge(parsed, window, chunk)?;
        }
        chunks = later;
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
    /// Whether nothing follows the buffer.
    is_last: bool,
    is_done: bool,
    n_bytes: u64,
}

impl Windows {
    /// A reader with windows of this many bytes.
    pub(super) fn new(reader: Box<dyn Read + Send>, size: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            size,
            is_last: false,
            is_done: false,
            n_bytes: 0,
        }
    }

    /// How many bytes have been read.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Whether the last window has been read.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Reads one window; `false` if it was the last.
    pub(super) fn step(&mut self, format: &mut impl TextFormat) -> Result<bool> {
        if self.is_done {
            return Ok(false);
        }
        self.take(|window, is_last| {
            let consumed = read_window(format, window, is_last)?;
            Ok((consumed > 0).then_some(consumed))
        })?;
        self.is_done = self.is_last;
        Ok(!self.is_done)
    }

    /// Calls `look` with the next window and whether it is the last. `look` returns how many bytes of it are consumed, or
    /// `None` if it needs a larger window.
    pub(super) fn take(
        &mut self,
        mut look: impl FnMut(&[u8], bool) -> Result<Option<usize>>,
    ) -> Result<()> {
        let size = self.size;
        loop {
            self.fill()?;
            if let Some(consumed) = look(&self.buffer, self.is_last)? {
                self.buffer.drain(..consumed);
                break;
            }
            if self.is_last {
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
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        if self.is_last {
            return Ok(());
        }
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

/// What is done with the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are kept, up to this many.
    Keep(usize),
    /// They are counted.
    Count,
}

/// The columns of a file that is being read.
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

    /// The kind of each column so far.
    pub(super) fn kinds(&self) -> impl ExactSizeIterator<Item = Kind> + '_ {
        self.cells.iter().map(Cells::kind)
    }

    /// Whether cells of this kind fit a column.
    pub(super) fn accepts(&self, column: usize, next: Kind) -> bool {
        self.cells[column].accepts(next)
    }

    /// How many values of each column are missing; known only if cells are counted.
    pub(super) fn n_missing(&self) -> &[u64] {
        &self.n_missing
    }

    /// Adds a column without a value in the rows so far.
    pub(super) fn add_column(&mut self, kind: Kind) {
        let mut cells = Cells::new(kind);
        cells.push_missing(self.n_held);
        self.cells.push(cells);
        self.n_missing.push(self.n_rows);
    }

    /// Makes a column text. To be called before the first row.
    pub(super) fn expect_text(&mut self, column: usize) {
        self.cells[column] = Cells::new(Kind::Text);
    }

    /// Checks that this many more rows fit in a table of `n_columns` columns.
    pub(super) fn check_space(&self, n_rows: usize, n_columns: usize) -> Result<()> {
        match self.purpose {
            Purpose::Keep(most) => check_cells(self.n_held + n_rows, n_columns, most),
            Purpose::Count => Ok(()),
        }
    }

    /// Appends the next rows of a column, which must have an accepted kind.
    pub(super) fn append(
        &mut self,
        column: usize,
        next: Cells,
        gaps: &[(usize, usize)],
    ) -> Result<()> {
        match self.purpose {
            Purpose::Keep(_) => self.cells[column].append(next.with_gaps(gaps)?),
            Purpose::Count => {
                let n_gaps: usize = gaps.iter().map(|gap| gap.1).sum();
                self.n_missing[column] += (next.n_missing() + n_gaps) as u64;
                self.cells[column].append(Cells::new(next.kind()))
            }
        }
    }

    /// Appends the next rows of every column, which must have an accepted kind.
    pub(super) fn append_all(&mut self, next: Vec<Cells>) -> Result<()> {
        let purpose = self.purpose;
        self.cells
            .par_iter_mut()
            .zip(&mut self.n_missing)
            .zip(next)
            .try_for_each(|((cells, n_missing), next)| match purpose {
                Purpose::Keep(_) => cells.append(next),
                Purpose::Count => {
                    *n_missing += next.n_missing() as u64;
                    cells.append(Cells::new(next.kind()))
                }
            })
    }

    /// Appends rows without a value to a column.
    pub(super) fn append_missing(&mut self, column: usize, n_rows: usize) {
        match self.purpose {
            Purpose::Keep(_) => self.cells[column].push_missing(n_rows),
            Purpose::Count => self.n_missing[column] += n_rows as u64,
        }
    }

    /// Records that every column has this many more rows.
    pub(super) fn add_rows(&mut self, n_rows: usize) {
        self.n_rows += n_rows as u64;
        if self.purpose != Purpose::Count {
            self.n_held += n_rows;
        }
    }

    /// Takes the kept rows as columns; later rows begin new ones.
    pub(super) fn take(&mut self) -> Vec<Column> {
        self.n_held = 0;
        self.cells.iter_mut().map(Cells::take).collect()
    }
}
