//! Reads a CSV file window by window.

use std::collections::HashSet;
use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::super::cells::Kind;
use super::super::summary::FileSummary;
use super::super::text_file::{Assembly, CHUNK_BYTES, Chunk, Cut, Purpose, TextFormat};
use super::super::{changed, names};
use super::dialect::{Dialect, shown};
use super::encoding;
use super::layout::Layout;
use super::options::CsvOptions;
use super::parsed_chunk::{self, ParsedChunk};
use super::token::Marks;
use crate::error::{Error, Result};
use crate::table::{Column, invalid, shortened};

/// A CSV file that is being read.
pub(in crate::table::read) struct CsvFile {
    options: CsvOptions,
    layout: Option<Layout>,
    assembly: Assembly,
    /// The kinds of the columns that a scan has found.
    known: Option<(Option<Vec<String>>, Vec<Kind>)>,
    n_lines: u64,
}

impl CsvFile {
    /// A file before anything is read; `known` is the result of a scan.
    pub(in crate::table::read) fn new(
        options: &CsvOptions,
        purpose: Purpose,
        known: Option<&FileSummary>,
    ) -> Self {
        Self {
            options: options.clone(),
            layout: None,
            assembly: Assembly::new(purpose),
            known: known.map(|summary| {
                let kinds = summary.columns().iter();
                let kinds = kinds.map(|column| Kind::of(column.column_type));
                (summary.names(), kinds.collect())
            }),
            n_lines: 0,
        }
    }

    pub(in crate::table::read) fn names(&self) -> Option<Vec<String>> {
        self.layout.as_ref().and_then(|layout| layout.names.clone())
    }

    pub(in crate::table::read) fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// Takes the rows read since the last call.
    pub(in crate::table::read) fn take(&mut self) -> Vec<Column> {
        self.assembly.take()
    }

    /// The layout, once the start of the file has been read.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Makes a column text, whatever its cells look like. To be called before the first record is read.
    pub(super) fn expect_text(&mut self, column: usize) {
        self.assembly.expect_text(column);
    }

    /// Skips lines without records.
    pub(super) fn skip(&mut self, lines: &[u8]) {
        self.n_lines += memchr_iter(b'\n', lines).count() as u64;
    }

    /// Finds the layout at the start of the file, and returns the range of the header, which is empty if there is none. The
    /// records follow. `None` if more must be read first.
    pub(super) fn open(&mut self, window: &[u8], is_last: bool) -> Result<Option<Range<usize>>> {
        let dialect = Dialect::find(&self.options, window, is_last)?;
        let marks = dialect.marks;
        let has_header = self.options.has_header.unwrap_or(true);
        let start = marks.skip_blank(window, 0);
        if start == window.len() {
            let expected = if has_header {
                "; its first line must name the columns"
            } else {
                ""
            };
            let error = invalid(format!("the file is empty{expected}"));
            return if is_last { Err(error) } else { Ok(None) };
        }
        let line = 1 + memchr_iter(b'\n', &window[..start]).count();
        let place = format!("line {line}: ");
        let mut cells = Vec::new();
        let mut at = start;
        loop {
            let token = match marks.token(window, at) {
                Ok(token) => token,
                // the rest of the file may hold the quote
                Err(_) if !is_last => return Ok(None),
                Err(problem) => return Err(problem.placed(&format!("line {line}"))),
            };
            if token.next == window.len() && !is_last {
                return Ok(None);
            }
            cells.push(token.content);
            at = token.next;
            names::check_count(&place, cells.len())?;
            if token.ends_record {
                break;
            }
        }
        let encoding = encoding::find(&self.options, &[])?.0.name().to_owned();
        let names = if has_header {
            let names = cells
                .into_iter()
                .map(|name| {
                    String::from_utf8(name.into_owned()).map_err(|error| {
                        invalid(format!(
                            "{place}the column name {} is not {encoding}",
                            shown(error.as_bytes())
                        ))
                    })
                })
                .collect::<Result<Vec<String>>>()?;
            names::check(&place, names.iter().map(String::as_str))?;
            self.start_columns(&names)?;
            Some(names)
        } else {
            let names: Vec<String> = (0..cells.len()).map(|i| format!("f{i}")).collect();
            self.start_columns(&names)?;
            at = start;
            None
        };
        if let Some((known, kinds)) = &self.known
            && (*known != names || kinds.len() != self.assembly.n_columns())
        {
            return Err(changed());
        }
        self.n_lines = memchr_iter(b'\n', &window[..at]).count() as u64;
        self.layout = Some(Layout {
            dialect,
            encoding,
            has_header,
            names,
        });
        Ok(Some(start..at))
    }

    fn start_columns(&mut self, names: &[String]) -> Result<()> {
        let all: HashSet<&String> = names.iter().collect();
        for text in &self.options.text_columns {
            if !all.contains(text) {
                let message = format!("there is no column {}", shortened(text));
                return Err(Error::field("text_columns", message));
            }
        }
        let texts = [&self.options.text_columns, &self.options.known_text_columns];
        let is_text: HashSet<&String> = texts.into_iter().flatten().collect();
        for (column, name) in names.iter().enumerate() {
            let known = self.known.as_ref().and_then(|(_, kinds)| kinds.get(column));
            let kind = match known {
                Some(kind) => *kind,
                None if is_text.contains(name) => Kind::Text,
                None => Kind::Unknown,
            };
            self.assembly.add_column(kind);
        }
        Ok(())
    }

    fn parse_chunk(&self, bytes: &[u8]) -> Option<ParsedChunk> {
        let layout = self.layout.as_ref()?;
        Some(parsed_chunk::parse(bytes, layout, self.assembly.kinds()))
    }
}

impl TextFormat for CsvFile {
    type Parsed = Option<ParsedChunk>;

    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        let mut cut = Cut::default();
        if self.layout.is_none() {
            match self.open(window, is_last) {
                Ok(Some(header)) => cut.consumed = header.end,
                Ok(None) => return cut,
                Err(error) => {
                    cut.error = Some(error);
                    return cut;
                }
            }
        }
        if let Some(layout) = &self.layout {
            cut_records(&mut cut, window, is_last, layout.dialect.marks);
        }
        cut
    }

    fn is_settled(&self) -> bool {
        self.layout.is_some() && self.assembly.kinds().all(|kind| kind != Kind::Unknown)
    }

    fn parse(&self, window: &[u8], chunk: &Chunk) -> Self::Parsed {
        self.parse_chunk(&window[chunk.bytes.clone()])
    }

    fn merge(&mut self, parsed: Self::Parsed, window: &[u8], chunk: &Chunk) -> Result<()> {
        let bytes = &window[chunk.bytes.clone()];
        let fits = |parsed: &ParsedChunk, assembly: &Assembly| {
            let pairs = parsed.columns.iter().enumerate();
            parsed.problem.is_none()
                && pairs.fold(true, |fits, (column, cells)| {
                    fits && assembly.accepts(column, cells.kind())
                })
        };
        let Some(mut parsed) = parsed else {
            return Ok(());
        };
        if parsed.guessed && !fits(&parsed, &self.assembly) {
            match self.parse_chunk(bytes) {
                Some(again) => parsed = again,
                None => return Ok(()),
            }
        }
        if let Some(problem) = parsed.problem {
            let at = problem.at.min(bytes.len());
            let line = self.n_lines + 1 + memchr_iter(b'\n', &bytes[..at]).count() as u64;
            return Err(problem.placed(&format!("line {line}")));
        }
        self.assembly
            .check_space(parsed.n_rows, parsed.columns.len())?;
        self.assembly.append_all(parsed.columns)?;
        self.assembly.add_rows(parsed.n_rows);
        self.n_lines += memchr_iter(b'\n', bytes).count() as u64;
        Ok(())
    }
}

/// Cuts the window from `cut.consumed` on.
fn cut_records(cut: &mut Cut, window: &[u8], is_last: bool, marks: Marks) {
    if memchr(marks.quote, &window[cut.consumed..]).is_none() {
        cut.lines(window, is_last);
        return;
    }
    while cut.consumed < window.len() {
        let start = cut.consumed;
        let mut end = start;
        while end < window.len() && end - start < CHUNK_BYTES {
            match marks.end_of_record(window, end) {
                Some(next) => end = next,
                None if is_last => end = window.len(),
                None => break,
            }
        }
        if end == start {
            return;
        }
        cut.push(start..end);
    }
}
