//! Cuts a CSV file into chunks that are CSV files themselves.

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

/// Cuts a CSV file between records into chunks that are CSV files themselves.
///
/// The chunks hold the rows in the order of the file, in UTF-8, with cells as they are written in the file, and without
/// comments and blank lines. Each must be read with [its own options](CsvChunk::options). All together they give the same
/// values as [`read`](crate::table::read::read), and cutting fails where it would fail, except that the number of values has no
/// limit. A column without any value in a chunk may have another type there.
pub struct CsvChunks {
    windows: Windows,
    file: CsvFile,
    options: CsvOptions,
    names: Vec<String>,
    /// The header as it is written; empty in a file without one.
    header: Vec<u8>,
    /// Which columns the chunks have.
    is_kept: Vec<bool>,
    /// Which columns the options of chunks do not declare as text.
    is_open: Vec<bool>,
    /// Records that have been read; those before `at` have been returned.
    ready: Vec<u8>,
    at: usize,
}

/// Some rows of a CSV file.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvChunk {
    /// The rows as a CSV file, after the header of the file if it has one.
    pub content: Vec<u8>,
    /// The options to read it with.
    pub options: CsvOptions,
    /// The number of rows, at least 1.
    pub n_rows: usize,
}

impl CsvChunks {
    /// Reads the header of a file, which may be compressed. `None` if it is not CSV.
    ///
    /// # Errors
    /// Those of [`read`](crate::table::read::read) for a file without readable rows, and those of the reader.
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

    /// The names of the columns of the file; `f0`, `f1`, … without a header.
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

    /// Leaves the types of columns, given by their names in the chunks, to the reader of the chunks: they may mix numbers and
    /// texts. To be called before the first chunk and after [`leave_out`](Self::leave_out).
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

    /// Whether there is another row.
    ///
    /// # Errors
    /// Those of the reader. A malformed row counts as a row.
    pub fn has_next(&mut self) -> Result<bool> {
        let marks = self.marks()?;
        self.at = marks.skip_blank(&self.ready, self.at);
        let mut is_found = self.at < self.ready.len();
        while !is_found {
            let (file, mut is_end) = (&mut self.file, false);
            self.windows.take(|window, is_last| {
                is_found = marks.skip_blank(window, 0) < window.len();
                is_end = is_last;
                // a comment may continue beyond the window
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

    /// The next rows, at least one: at most `max_rows`, and no more once there are `max_bytes`. `None` after the last row.
    /// `each` gets the cells of every row as it is read, including those of columns that are left out.
    ///
    /// # Errors
    /// Those of [`read`](crate::table::read::read) for a record that is malformed, or that has another type than those before
    /// it in a column whose type is not left open; and those of the reader.
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

    /// Makes sure that a record is ready; `false` after the last one.
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

    /// The columns that are kept, with their names in the chunks.
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

    /// The options to read the rows so far with.
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
    type Parsed = <CsvFile as TextFormat>::Parsed;

    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        self.file.cut(window, is_last)
    }

    fn is_settled(&self) -> bool {
        self.file.is_settled()
    }

    fn parse(&self, window: &[u8], chunk: &Chunk) -> Self::Parsed {
        self.file.parse(window, chunk)
    }

    fn merge(&mut self, parsed: Self::Parsed, window: &[u8], chunk: &Chunk) -> Result<()> {
        self.file.merge(parsed, window, chunk)?;
        self.ready.extend_from_slice(&window[chunk.bytes.clone()]);
        Ok(())
    }
}

/// Appends the kept columns of the record at the start of the bytes to `to`, and returns where the record ends. `each` gets all
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
            // white space before a quote would make it an ordinary character; after a cell it has no meaning
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
        // an empty line would be skipped
        to.extend_from_slice(&[marks.quote, marks.quote]);
    }
    to.push(b'\n');
    each(&cells);
    Ok(at)
}

/// The error for a record that can no longer be read, although it was read before.
fn unreadable(problem: Problem) -> Error {
    problem.placed("a record")
}

/// The content, changed so that a reader mistakes neither its first bytes for a byte order mark nor carriage returns in cells for
/// line ends.
fn framed(content: Vec<u8>) -> Vec<u8> {
    /// Shorter than the sample from which line ends are detected.
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
