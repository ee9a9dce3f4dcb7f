//! Text columns, encoded with a dictionary, because many rows share few strings.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::error::{Error, Result, reason};

/// The distinct strings of a text column, concatenated in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    text: String,
    /// Where each string ends in `text`.
    ends: Vec<usize>,
}

impl Dictionary {
    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The total size of the strings, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.text.len()
    }

    /// The string of a code; `None` for [`TextColumn::MISSING`] and for an unused code.
    pub fn get(&self, code: u32) -> Option<&str> {
        let index = code as usize;
        let end = *self.ends.get(index)?;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        Some(&self.text[start..end])
    }

    /// The strings in the order of their codes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|code| self.get(code as u32).unwrap_or_default())
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }
}

/// A column of text. Each row holds the code of its string in the dictionary, or [`MISSING`](Self::MISSING).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextColumn {
    codes: Vec<u32>,
    dictionary: Dictionary,
}

impl TextColumn {
    /// The code of a missing value.
    pub const MISSING: u32 = u32::MAX;

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The text of a row, `None` if it is missing. Panics when there is no such row.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.dictionary.get(self.codes[row])
    }

    /// The code of each row: an index into the dictionary, or [`MISSING`](Self::MISSING).
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The distinct strings, in the order in which they first appear.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The memory of the column in bytes, with its dictionary.
    pub fn n_bytes(&self) -> usize {
        let Dictionary { text, ends } = &self.dictionary;
        size_of_val(&self.codes[..]) + text.len() + size_of_val(&ends[..])
    }

    /// The number of rows without a value.
    pub fn n_missing(&self) -> usize {
        let is_missing = |code: &&u32| **code == Self::MISSING;
        self.codes.iter().filter(is_missing).count()
    }

    /// The rows with these indices, with a dictionary of only their strings.
    pub(super) fn select(&self, rows: impl ExactSizeIterator<Item = usize>) -> Self {
        let mut recoded = Recoding::of(&self.dictionary);
        let mut selected = Self::default();
        selected.codes.reserve_exact(rows.len());
        for row in rows {
            let code = recoded.code(self.codes[row], |text| {
                selected.dictionary.push(text);
                Ok((selected.dictionary.len() - 1) as u32)
            });
            // the closure above cannot fail
            selected.codes.push(code.unwrap_or(Self::MISSING));
        }
        selected
    }
}

impl<'a> FromIterator<Option<&'a str>> for TextColumn {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(rows: I) -> Self {
        let mut builder = TextBuilder::default();
        for row in rows {
            // a builder without a limit fails only at 2^32 distinct strings
            let code = row.map_or(Ok(Self::MISSING), |text| builder.code(text));
            builder.column.codes.push(code.unwrap_or(Self::MISSING));
        }
        builder.finish()
    }
}

/// Maps the codes of one dictionary to those of another, as they are needed.
pub(super) struct Recoding<'a> {
    from: &'a Dictionary,
    to: Vec<u32>,
}

impl<'a> Recoding<'a> {
    pub(super) fn of(from: &'a Dictionary) -> Self {
        Self {
            from,
            to: vec![TextColumn::MISSING; from.len()],
        }
    }

    fn code(&mut self, code: u32, new: impl FnOnce(&'a str) -> Result<u32>) -> Result<u32> {
        let Some(text) = self.from.get(code) else {
            return Ok(TextColumn::MISSING);
        };
        let known = &mut self.to[code as usize];
        if *known == TextColumn::MISSING {
            *known = new(text)?;
        }
        Ok(*known)
    }
}

/// Builds a text column row by row.
#[derive(Debug, Clone)]
pub struct TextBuilder {
    column: TextColumn,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    max_distinct_bytes: usize,
}

impl Default for TextBuilder {
    fn default() -> Self {
        Self::with_limit(usize::MAX)
    }
}

impl TextBuilder {
    /// A builder that refuses more than `max_distinct_bytes` bytes of distinct strings.
    pub fn with_limit(max_distinct_bytes: usize) -> Self {
        Self {
            column: TextColumn::default(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            max_distinct_bytes,
        }
    }

    /// An upper bound of the bytes of memory that a builder takes for so many texts with so many bytes in all.
    pub fn max_bytes(n_texts: usize, text_bytes: usize) -> usize {
        // a row has a code, a distinct string an end and a place in the index, and what grows may take twice as much
        let text = size_of::<u32>() + size_of::<usize>() + 2 * size_of::<u32>();
        2 * (n_texts * text + text_bytes)
    }

    /// Appends a row. Fails when the distinct strings take more than the limit.
    pub fn push(&mut self, text: &str) -> Result<()> {
        let code = self.code(text)?;
        self.column.codes.push(code);
        Ok(())
    }

    /// Appends rows without a value.
    pub fn push_missing(&mut self, n_rows: usize) {
        let n = self.column.codes.len() + n_rows;
        self.column.codes.resize(n, TextColumn::MISSING);
    }

    /// Appends the rows of another column. Each of its distinct strings is looked up once.
    pub fn extend(&mut self, other: &TextColumn) -> Result<()> {
        let mut recoded = Recoding::of(&other.dictionary);
        self.column.codes.reserve(other.len());
        for &code in &other.codes {
            let code = recoded.code(code, |text| self.code(text))?;
            self.column.codes.push(code);
        }
        Ok(())
    }

    /// The code of a string, which is added if it is new. Does not append a row.
    pub fn code(&mut self, text: &str) -> Result<u32> {
        let hash = self.hasher.hash_one(text.as_bytes());
        let dictionary = &mut self.column.dictionary;
        if let Some(&code) = self
            .index
            .find(hash, |&code| dictionary.get(code) == Some(text))
        {
            return Ok(code);
        }
        let code = dictionary.len() as u32;
        if code == TextColumn::MISSING
            || dictionary.text.len() + text.len() > self.max_distinct_bytes
        {
            return Err(Error::new(
                reason::INVALID_RECORDS,
                format!(
                    "a text column has more than {} bytes of distinct strings; leave the column out",
                    self.max_distinct_bytes
                ),
            ));
        }
        dictionary.push(text);
        let (dictionary, hasher) = (&self.column.dictionary, &self.hasher);
        self.index.insert_unique(hash, code, |&code| {
            hasher.hash_one(dictionary.get(code).unwrap_or_default().as_bytes())
        });
        Ok(code)
    }

    /// Appends a row by its code.
    pub(super) fn push_code(&mut self, code: u32) {
        self.column.codes.push(code);
    }

    /// The number of rows without a value so far.
    pub(super) fn n_missing(&self) -> usize {
        self.column.n_missing()
    }

    /// The size of the distinct strings so far, in bytes.
    pub(super) fn distinct_bytes(&self) -> usize {
        self.column.dictionary.n_bytes()
    }

    /// The number of rows so far.
    pub fn len(&self) -> usize {
        self.column.len()
    }

    /// Whether there are no rows yet.
    pub fn is_empty(&self) -> bool {
        self.column.is_empty()
    }

    /// The column.
    pub fn finish(self) -> TextColumn {
        self.column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_order_of_first_appearance() {
        let column: TextColumn = [Some("b"), None, Some("a"), Some("b"), Some("")]
            .into_iter()
            .collect();
        assert_eq!(column.codes(), [0, TextColumn::MISSING, 1, 0, 2]);
        assert_eq!(
            column.dictionary().iter().collect::<Vec<_>>(),
            ["b", "a", ""]
        );
        assert_eq!((column.get(1), column.get(2)), (None, Some("a")));
        let slice = column.select(1..4);
        assert_eq!(slice, [None, Some("a"), Some("b")].into_iter().collect());
    }

    #[test]
    fn distinct_bytes_are_bounded_and_repeated_ones_are_free() {
        let mut builder = TextBuilder::with_limit(5);
        for _ in 0..10 {
            builder.push("abc").expect("the same string");
        }
        builder.push("de").expect("5 bytes");
        let error = builder.push("f").expect_err("the 6th byte");
        assert!(error.message().contains("more than 5 bytes"), "{error}");
    }

    #[test]
    fn extending_gives_what_pushing_gives() {
        let rows = [Some("x"), None, Some("y"), Some("x"), Some("z")];
        let mut builder = TextBuilder::default();
        builder
            .extend(&rows[..3].iter().copied().collect())
            .expect("small");
        builder
            .extend(&rows[3..].iter().copied().collect())
            .expect("small");
        assert_eq!(builder.finish(), rows.into_iter().collect());
    }
}
