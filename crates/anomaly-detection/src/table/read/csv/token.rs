//! The tokenizer of CSV: cells and records.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::super::text_file::Problem;

/// The special characters of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) comment: Option<u8>,
}

/// One cell.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// Its content: without quotes, or trimmed if it has no quotes.
    pub(super) content: Cow<'a, [u8]>,
    /// Where it ends, including its quotes and the white space after it.
    pub(super) end: usize,
    /// Where the next cell or record starts.
    pub(super) next: usize,
    /// Whether it was the last cell of its record.
    pub(super) ends_record: bool,
}

impl Marks {
    /// The cell at `start`, which may be the end of the bytes.
    pub(super) fn token<'a>(&self, bytes: &'a [u8], start: usize) -> Result<Token<'a>, Problem> {
        if bytes.get(start) == Some(&self.quote) {
            return self.quoted(bytes, start);
        }
        let (end, next, ends_record) = self.end_of_cell(bytes, start);
        Ok(Token {
            content: Cow::Borrowed(bytes[start..end].trim_ascii()),
            end,
            next,
            ends_record,
        })
    }

    fn quoted<'a>(&self, bytes: &'a [u8], start: usize) -> Result<Token<'a>, Problem> {
        let mut content = Cow::Borrowed(&[][..]);
        let mut from = start + 1;
        let close = loop {
            let Some(found) = memchr(self.quote, &bytes[from..]) else {
                return Err(Problem::new(start, "a quote is opened and never closed"));
            };
            let at = from + found;
            let is_doubled = bytes.get(at + 1) == Some(&self.quote);
            let part = &bytes[from..at + usize::from(is_doubled)];
            if content.is_empty() {
                content = Cow::Borrowed(part);
            } else {
                content.to_mut().extend_from_slice(part);
            }
            if !is_doubled {
                break at;
            }
            from = at + 2;
        };
        let (end, next, ends_record) = self.end_of_cell(bytes, close + 1);
        if !bytes[close + 1..end].trim_ascii().is_empty() {
            return Err(Problem::new(
                close,
                "text follows a closing quote; inside of quotes a quote is written twice",
            ));
        }
        Ok(Token {
            content,
            end,
            next,
            ends_record,
        })
    }

    /// Where the unquoted text from `start` on ends, where the next cell or record starts, and whether the record ends there.
    #[inline]
    fn end_of_cell(&self, bytes: &[u8], start: usize) -> (usize, usize, bool) {
        match memchr2(self.delimiter, b'\n', &bytes[start..]) {
            None => (bytes.len(), bytes.len(), true),
            Some(length) => {
                let end = start + length;
                (end, end + 1, bytes[end] == b'\n')
            }
        }
    }

    /// Where the next record from `start` on starts, after blank lines and comments.
    #[inline]
    pub(super) fn skip_blank(&self, bytes: &[u8], mut start: usize) -> usize {
        loop {
            match bytes.get(start) {
                Some(b'\n') => start += 1,
                Some(b'\r') if matches!(bytes.get(start + 1), Some(b'\n') | None) => {
                    start = (start + 2).min(bytes.len());
                }
                Some(&byte) if Some(byte) == self.comment => {
                    start = after_line(bytes, start).unwrap_or(bytes.len());
                }
                _ => return start,
            }
        }
    }

    /// Where the record, comment or blank line at `start` ends; `None` if its end is not among the bytes.
    pub(super) fn end_of_record(&self, bytes: &[u8], start: usize) -> Option<usize> {
        if self.comment.is_some() && bytes.get(start).copied() == self.comment {
            return after_line(bytes, start);
        }
        let mut from = start;
        loop {
            let at = from + memchr2(self.quote, b'\n', &bytes[from..])?;
            if bytes[at] == b'\n' {
                return Some(at + 1);
            }
            from = at + 1;
            // inside an unquoted cell, a quote is an ordinary character
            if at == start || bytes[at - 1] == self.delimiter {
                loop {
                    let close = from + memchr(self.quote, &bytes[from..])?;
                    from = close + 1;
                    if bytes.get(from) != Some(&self.quote) {
                        break;
                    }
                    from += 1;
                }
            }
        }
    }
}

/// Where the line after the one at `start` starts, if that is among the bytes.
pub(super) fn after_line(bytes: &[u8], start: usize) -> Option<usize> {
    memchr(b'\n', &bytes[start..]).map(|length| start + length + 1)
}
