//! Finds the objects of a JSON file before they are parsed.

use memchr::{memchr2, memchr3};

use super::super::text_file::{CHUNK_BYTES, Chunk, Cut};
use super::layout::{Layout, not_an_object};
use crate::error::Error;
use crate::table::invalid;

/// What comes next in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Bracket,
    FirstRow,
    Comma,
    Row,
    Nothing,
}

/// Finds the objects of a file, window by window.
#[derive(Debug)]
pub(super) struct Splitter {
    layout: Layout,
    expected: Expected,
    n_rows: u64,
}

impl Splitter {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            expected: Expected::Bracket,
            n_rows: 0,
        }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        let mut cut = Cut::default();
        match self.layout {
            Layout::Lines => cut.lines(window, is_last),
            Layout::Array => {
                let mut chunk = Chunk::default();
                cut.error = self.cut_array(window, is_last, &mut cut, &mut chunk).err();
                if !chunk.records.is_empty() {
                    cut.chunks.push(chunk);
                }
            }
        }
        cut
    }

    fn cut_array(
        &mut self,
        window: &[u8],
        is_last: bool,
        cut: &mut Cut,
        chunk: &mut Chunk,
    ) -> Result<(), Error> {
        let mut at = 0;
        loop {
            at += window[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            cut.consumed = at;
            let Some(&byte) = window.get(at) else {
                return if is_last { self.at_end() } else { Ok(()) };
            };
            self.expected = match (self.expected, byte) {
                (Expected::Bracket, b'[') => Expected::FirstRow,
                (Expected::FirstRow | Expected::Comma, b']') => Expected::Nothing,
                (Expected::Comma, b',') => Expected::Row,
                (Expected::FirstRow | Expected::Row, b'{') => {
                    let Some(end) = end_of_object(window, at) else {
                        return if is_last { self.at_end() } else { Ok(()) };
                    };
                    chunk.records.push(at..end);
                    chunk.bytes.end = end;
                    if end - chunk.bytes.start >= CHUNK_BYTES {
                        cut.chunks.push(std::mem::take(chunk));
                        chunk.bytes = end..end;
                    }
                    self.n_rows += 1;
                    at = end;
                    self.expected = Expected::Comma;
                    continue;
                }
                (expected, _) => return Err(self.unexpected(expected)),
            };
            at += 1;
        }
    }

    fn at_end(&self) -> Result<(), Error> {
        match self.expected {
            Expected::Nothing => Ok(()),
            Expected::Bracket => Err(invalid(
                "the file is empty; it must hold an array of objects",
            )),
            _ => Err(invalid(format!(
                "row {}: the array is cut off; its closing bracket is missing",
                self.n_rows
            ))),
        }
    }

    fn unexpected(&self, expected: Expected) -> Error {
        let place = format!("row {}", self.n_rows);
        match expected {
            Expected::Bracket => invalid("the file is no array of objects"),
            Expected::FirstRow | Expected::Row => not_an_object().during(&place),
            Expected::Comma => invalid("a comma or a closing bracket is missing").during(&place),
            Expected::Nothing => invalid("something follows the end of the array"),
        }
    }
}

/// Where the object at `start` ends, found from its braces alone.
fn end_of_object(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        at += memchr3(b'"', b'{', b'}', &bytes[at..])?;
        match bytes[at] {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => loop {
                at += 1 + memchr2(b'"', b'\\', &bytes[at + 1..])?;
                if bytes[at] == b'"' {
                    break;
                }
                // an escaped character does not end the string
                at += 1;
                if at >= bytes.len() {
                    return None;
                }
            },
        }
        at += 1;
    }
}
