//! CSV in chunks that are each a CSV file of their own.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use encoding_rs::Encoding;
use memchr::{memchr, memrchr};

use super::super::cells::Kind;
use super::super::compression::decompressing;
use super::super::format::{Format, read_start};
use super::super::text_file::{Chunk, Cut, Problem, Purpose, TextFormat, WINDOW_BYTES, Windows};
use super::super::{FileOptions, Limits};
use super::encoding::decoding;
use super::file::CsvFile;
use super::options::CsvOptions;
use super::token::Marks;
use crate::error::{Error, Result};
use crate::table::invalid;

/// A CSV file that is cut between records, into chunks that are each a CSV file of their own.
///
/// The chunks hold the rows in the order of the file, in UTF-8, cells as they are written there, and neither comments nor blank
/// lines. Each is to be read with [its own options](CsvChunk::options); all together they then give the values that
/// [`read`](crate::table::read::read) gives of the file, and where it fails, so does the cutting. Only the number of values
/// has no limit. A column that has no value in a chunk may have another type there.
pub struct CsvChunks {
    windows: Windows,
    file: CsvFile,
    options: CsvOptions,
    names: Vec<String>,
    /// The header as it is written; empty in a file without one.
    header: Vec<u8>,
    /// Which columns the chunks have.
    is_kept: Vec<bool>,
    /// Of which columns the chunks do not say that they hold texts.
    is_open: Vec<bool>,
    /// Records that have been read, of which those before `at` have been given.
    ready: Vec<u8>,
    at: usize,
}

/// Some rows of a CSV file.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvChunk {
    /// The rows as a CSV file, below the header of the file if it has one.
    pub content: Vec<u8>,
    /// How it is to be read.
    pub options: CsvOptions,
    /// How many rows there are, at least 1.
    pub n_rows: usize,
}

impl CsvChunks {
    /// Reads the header of a file, which may be compressed. `None` when it is not CSV.
    ///
    /// # Errors
    /// As [`read`](crate::table::read::read) where no row can be read, and those of the reader.
    pub fn open(
        reader: Box<dyn Read + Send>,
        options: &FileOptions,
        limits: Limits,
    ) -> Result<Option<Self>> {
        let mut reader = decompressing(reader, limits)?;
        let start = read_start(&mut reader)?;
        if options.format.unwrap_or_else(|| Format::detect(&start)) != Format::Csv {
            return Ok(None);
        }
        let reader = decoding(start, reader, &options.csv)?;
        Self::of_windows(Windows::new(reader, WINDOW_BYTES), &options.csv).map(Some)
    }

    /// Reads the header of a file in UTF-8.
    pub(super) fn of_windows(mut windows: Windows, options: &CsvOptions) -> Result<Self> {
        let mut file = CsvFile::new(options, Purpose::Count, None);
        let mut header = Vec::new();
        windows.take(|window, is_last| {
            let Some(found) = file.open(window, is_last)? else {
                return Ok(None);
            };
            header = window[found.clone()].to_vec();
            Ok(Some(found.end))
        })?;
        let n_columns = file.assembly().n_columns();
        let names = file.names();
        Ok(Self {
            windows,
            names: names.unwrap_or_else(|| (0..n_columns).map(generated).collect()),
            file,
            options: options.clone(),
            header,
            is_kept: vec![true; n_columns],
            is_open: vec![false; n_columns],
            ready: Vec::new(),
            at: 0,
        })
    }

    /// The names of the columns of the file; `f0`, `f1`, … in one without header.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Leaves the columns with these names out of the chunks. To be called before the first chunk.
    ///
    /// # Errors
    /// [`INVALID_RECORDS`](crate::error::reason::INVALID_RECORDS) when no column is left.
    pub fn leave_out(&mut self, is_left_out: impl Fn(&str) -> bool) -> Result<()> {
        for (column, name) in self.names.iter().enumerate() {
            if is_left_out(name) {
                self.is_kept[column] = false;
                self.file.expect_text(column);
            }
        }
        match self.is_kept.contains(&true) {
            true => Ok(()),
            false => Err(invalid("no column is left")),
        }
    }

    /// Leaves it to the reader of the chunks which types columns have, by their names in the chunks: numbers and texts may
    /// follow each other in them. To be called before the first chunk, and behind [`leave_out`](Self::leave_out).
    pub fn leave_types_open(&mut self, is_open: impl Fn(&str) -> bool) {
        for (column, name) in self.kept_names() {
            if is_open(&name) {
                self.is_open[column] = true;
                self.file.expect_text(column);
            }
        }
    }

    /// How many bytes have been read, decompressed and in UTF-8.
    pub fn n_bytes_read(&self) -> u64 {
        self.windows.n_bytes()
    }

    /// Whether a row follows.
    ///
    /// # Errors
    /// Those of the reader. A malformed row is a row.
    pub fn has_next(&mut self) -> Result<bool> {
        let marks = self.marks()?;
        self.at = marks.skip_blank(&self.ready, self.at);
        let mut is_found = self.at < self.ready.len();
        while !is_found {
            let (file, mut is_end) = (&mut self.file, false);
            self.windows.take(|window, is_last| {
                is_found = marks.skip_blank(window, 0) < window.len();
                is_end = is_last;
                // a comment may go on behind the window
                let lines = match memrchr(b'\n', window) {
                    Some(last) if !is_found => last + 1,
                    _ => 0,
                };
                file.skip(&window[..lines]);
                Ok((is_found || lines > 0).then_some(lines))
            })?;
            if is_end {
                break;
            }
        }
        Ok(is_found)
    }

    /// The next rows, at least one: at most `max_rows`, and no more after `max_bytes`. `None` behind the last row. `each` sees the
    /// cells of every row as they are read, of the columns that are left out, too.
    ///
    /// # Errors
    /// As [`read`](crate::table::read::read) where a record is malformed, or holds another type than those before it in a column
    /// whose type is not left open; those of the reader.
    pub fn next_chunk(
        &mut self,
        max_rows: usize,
        max_bytes: usize,
        mut each: impl FnMut(&[Cow<'_, [u8]>]),
    ) -> Result<Option<CsvChunk>> {
        let marks = self.marks()?;
        let mut content = Vec::new();
        if !self.header.is_empty() {
            copy_record(marks, &self.header, &self.is_kept, &mut content, |_| {})?;
        }
        let header_bytes = content.len();
        let mut n_rows = 0;
        while n_rows == 0 || (n_rows < max_rows && content.len() - header_bytes < max_bytes) {
            if !self.read_record(marks)? {
                break;
            }
            let record = &self.ready[self.at..];
            self.at += copy_record(marks, record, &self.is_kept, &mut content, &mut each)?;
            n_rows += 1;
        }
        Ok((n_rows > 0).then(|| CsvChunk {
            content: framed(content),
            options: self.chunk_options(marks),
            n_rows,
        }))
    }

    /// Makes sure that a record is ready; `false` behind the last one.
    fn read_record(&mut self, marks: Marks) -> Result<bool> {
        loop {
            self.at = marks.skip_blank(&self.ready, self.at);
            if self.at < self.ready.len() {
                return Ok(true);
            }
            if self.windows.is_done() {
                return Ok(false);
            }
            self.ready.clear();
            self.at = 0;
            let (file, ready) = (&mut self.file, &mut self.ready);
            self.windows.step(&mut Copying { file, ready })?;
        }
    }

    fn marks(&self) -> Result<Marks> {
        let layout = self.file.layout();
        layout
            .map(|layout| layout.dialect.marks)
            .ok_or_else(|| invalid("the file is empty"))
    }

    /// The columns that are kept, with the names that they have in the chunks.
    fn kept_names(&self) -> Vec<(usize, String)> {
        let kept = (0..self.names.len()).filter(|&column| self.is_kept[column]);
        let named = kept.enumerate().map(|(place, column)| {
            let name = match self.header.is_empty() {
                true => generated(place),
                false => self.names[column].clone(),
            };
            (column, name)
        });
        named.collect()
    }

    /// How the rows that were read so far are to be read.
    fn chunk_options(&self, marks: Marks) -> CsvOptions {
        let given: HashSet<&String> = self.options.text_columns.iter().collect();
        let known: HashSet<&String> = self.options.known_text_columns.iter().collect();
        let kinds: Vec<Kind> = self.file.assembly().kinds().collect();
        let (mut text_columns, mut known_text_columns) = (Vec::new(), Vec::new());
        for (column, name) in self.kept_names() {
            if known.contains(&self.names[column]) {
                known_text_columns.push(name.clone());
            }
            let is_text = kinds[column] == Kind::Text && !self.is_open[column];
            if is_text || given.contains(&self.names[column]) {
                text_columns.push(name);
            }
        }
        CsvOptions {
            delimiter: Some(marks.delimiter),
            encoding: None,
            comment: None,
            text_columns,
            known_text_columns,
            ..self.options.clone()
        }
    }
}

fn generated(column: usize) -> String {
    format!("f{column}")
}

/// Reads a file and keeps the records that it has read.
struct Copying<'a> {
    file: &'a mut CsvFile,
    ready: &'a mut Vec<u8>,
}

impl TextFormat for Copying<'_> {
    type Block = <CsvFile as TextFormat>::Block;

    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        self.file.cut(window, is_last)
    }

    fn is_settled(&self) -> bool {
        self.file.is_settled()
    }

    fn parse(&self, window: &[u8], chunk: &Chunk) -> Self::Block {
        self.file.parse(window, chunk)
    }

    fn merge(&mut self, block: Self::Block, window: &[u8], chunk: &Chunk) -> Result<()> {
        self.file.merge(block, window, chunk)?;
        self.ready.extend_from_slice(&window[chunk.bytes.clone()]);
        Ok(())
    }
}

/// Appends the record that begins with the bytes, in the columns that are kept, to `to`; returns where it ends. `each` sees all
/// its cells.
fn copy_record(
    marks: Marks,
    bytes: &[u8],
    is_kept: &[bool],
    to: &mut Vec<u8>,
    each: impl FnOnce(&[Cow<'_, [u8]>]),
) -> Result<usize> {
    let mut cells = Vec::with_capacity(is_kept.len());
    let (start, mut at) = (to.len(), 0);
    let mut n_kept = 0;
    for &is_kept in is_kept {
        let token = marks.token(bytes, at).map_err(unreadable)?;
        if is_kept {
            if n_kept > 0 {
                to.push(marks.delimiter);
            }
            // white space before a quote keeps it from being one; behind a cell it means nothing
            to.extend_from_slice(bytes[at..token.end].trim_ascii_end());
            n_kept += 1;
        }
        at = token.next;
        cells.push(token.content);
        if token.ends_record {
            break;
        }
    }
    if to.len() == start {
        // a line without anything would be passed over
        to.extend_from_slice(&[marks.quote, marks.quote]);
    }
    to.push(b'\n');
    each(&cells);
    Ok(at)
}

/// The error of a record that cannot be read, which has been read before.
fn unreadable(problem: Problem) -> Error {
    problem.placed("a record")
}

/// The content, such that its reader takes neither its first bytes for a byte order mark, nor returns in cells for line ends.
fn framed(content: Vec<u8>) -> Vec<u8> {
    /// Less than what tells how lines end.
    const NEAR: usize = 1 << 15;
    let is_marked = Encoding::for_bom(&content).is_some();
    let has_line_end = memchr(b'\n', &content[..content.len().min(NEAR)]).is_some();
    if !is_marked && has_line_end {
        return content;
    }
    let mark: &[u8] = if is_marked { b"\xef\xbb\xbf" } else { b"" };
    [mark, b"\n", &content].concat()
}

#[cfg(test)]
mod tests;
