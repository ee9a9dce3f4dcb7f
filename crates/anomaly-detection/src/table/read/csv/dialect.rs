//! The dialect of a CSV file: what its sender gave, and what has to be detected.

use super::options::CsvOptions;
use super::token::Marks;
use crate::error::{Error, Result};
use crate::table::shortened;

/// The words for a missing value, as in pandas. They are compared with trimmed cells.
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The delimiters that are tried, the most likely ones first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How many bytes of a file are used to detect its delimiter.
const SAMPLE_BYTES: usize = 1 << 16;
const SAMPLE_RECORDS: usize = 20;

/// How a file is written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) marks: Marks,
    pub(super) decimal: u8,
    pub(super) missing: MissingWords,
}

impl Dialect {
    /// Checks the options, and detects the delimiter from the start of the file if none is given.
    pub(super) fn find(options: &CsvOptions, start: &[u8], is_whole: bool) -> Result<Self> {
        check(options)?;
        let decimal = options.decimal as u8;
        let mut marks = Marks {
            delimiter: b',',
            quote: options.quote.unwrap_or(b'"'),
            comment: options.comment,
        };
        marks.delimiter = match options.delimiter {
            Some(delimiter) => delimiter,
            None => {
                let is_whole = is_whole && start.len() <= SAMPLE_BYTES;
                let sample = &start[..start.len().min(SAMPLE_BYTES)];
                likeliest_delimiter(sample, is_whole, marks, decimal)
            }
        };
        Ok(Self {
            marks,
            decimal,
            missing: MissingWords::new(&options.na_values),
        })
    }
}

fn check(options: &CsvOptions) -> Result<()> {
    let refuse = |field: &str, message: String| Err(Error::field(field, message));
    if !matches!(options.decimal, '.' | ',') {
        return refuse(
            "decimal",
            format!("{:?} is neither . nor ,", options.decimal),
        );
    }
    let quote = options.quote.unwrap_or(b'"');
    let marks = [
        ("delimiter", options.delimiter),
        ("quote", Some(quote)),
        ("comment", options.comment),
    ];
    for (i, (field, mark)) in marks.iter().enumerate() {
        let Some(mark) = *mark else { continue };
        let is_mark = mark == b'\t' || mark == b' ' || mark.is_ascii_punctuation();
        // these are parts of numbers; a comma is one only if it is the decimal mark
        let in_numbers = matches!(mark, b'.' | b'+' | b'-') || mark == options.decimal as u8;
        if !is_mark || in_numbers {
            let mark = char::from(mark);
            return refuse(
                field,
                format!("{mark:?} cannot be told from what cells hold"),
            );
        }
        if let Some((other, _)) = marks[..i].iter().find(|(_, other)| *other == Some(mark)) {
            return refuse(field, format!("the {field} cannot be the {other}, too"));
        }
    }
    Ok(())
}

/// The delimiter that splits every record into the same number of cells, and into the most; failing that, the one that splits the
/// first record into the most.
fn likeliest_delimiter(sample: &[u8], is_whole: bool, marks: Marks, decimal: u8) -> u8 {
    let candidates = DELIMITERS.into_iter().filter(|&delimiter| {
        delimiter != decimal && delimiter != marks.quote && Some(delimiter) != marks.comment
    });
    let counts = candidates.map(|delimiter| {
        let marks = Marks { delimiter, ..marks };
        let (n_cells, is_regular) = cells_of(sample, is_whole, marks);
        (delimiter, (n_cells > 1 && is_regular, n_cells))
    });
    // `max_by_key` would return the last of equals, but the first is wanted
    let best = counts.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(b',', |(delimiter, _)| delimiter)
}

/// The number of cells of the first record of a sample, and whether every other whole record has as many.
fn cells_of(sample: &[u8], is_whole: bool, marks: Marks) -> (usize, bool) {
    let mut first = None;
    let mut start = marks.skip_blank(sample, 0);
    for _ in 0..SAMPLE_RECORDS {
        let end = match marks.end_of_record(sample, start) {
            Some(end) => end,
            None if is_whole || first.is_none() => sample.len(),
            None => break,
        };
        let mut n_cells = 0;
        while start < end || n_cells == 0 {
            let Ok(token) = marks.token(sample, start) else {
                return (first.unwrap_or(n_cells), false);
            };
            n_cells += 1;
            start = token.next;
            if token.ends_record {
                break;
            }
        }
        match first {
            None => first = Some(n_cells),
            Some(first) if first != n_cells => return (first, false),
            Some(_) => {}
        }
        start = marks.skip_blank(sample, start);
        if start >= sample.len() {
            break;
        }
    }
    (first.unwrap_or(0), true)
}

/// The words for a missing value.
#[derive(Debug, Clone)]
pub(super) struct MissingWords {
    words: Vec<Vec<u8>>,
    /// Whether any word begins with each byte, which rules out most cells by their first byte.
    begins: [bool; 256],
    longest: usize,
    /// The given ones that are numbers, which match in every notation.
    pub(super) numbers: Vec<f64>,
}

impl MissingWords {
    fn new(more: &[String]) -> Self {
        let words: Vec<Vec<u8>> = MISSING
            .iter()
            .copied()
            .chain(more.iter().map(|word| word.trim()))
            .map(|word| word.as_bytes().to_vec())
            .collect();
        let mut begins = [false; 256];
        for first in words.iter().filter_map(|word| word.first()).chain(b"+-nN") {
            begins[usize::from(*first)] = true;
        }
        Self {
            begins,
            longest: words.iter().map(Vec::len).max().unwrap_or(0),
            numbers: more
                .iter()
                .filter_map(|word| fast_float2::parse(word.trim()).ok())
                .collect(),
            words,
        }
    }

    /// Whether a trimmed cell has no value.
    pub(super) fn contains(&self, cell: &[u8]) -> bool {
        match cell.first() {
            None => true,
            Some(&first) => {
                let is_word =
                    || cell.len() <= self.longest && self.words.iter().any(|word| word == cell);
                self.begins[usize::from(first)] && (is_nan(cell) || is_word())
            }
        }
    }
}

/// Whether a cell is NaN, in any case and with any sign. It is then read as a missing number, and whether a cell has a value
/// must not depend on the type of the column so far.
fn is_nan(cell: &[u8]) -> bool {
    let unsigned = match cell {
        [b'+' | b'-', rest @ ..] => rest,
        all => all,
    };
    unsigned.eq_ignore_ascii_case(b"nan")
}

/// Bytes as they are shown in a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(200)];
    shortened(&String::from_utf8_lossy(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(content: &[u8], options: &CsvOptions) -> char {
        let dialect = Dialect::find(options, content, true).expect("valid");
        char::from(dialect.marks.delimiter)
    }

    #[test]
    fn finds_the_delimiter() {
        let options = CsvOptions::default();
        for (content, expected) in [
            (&b"a,b\n1,2\n"[..], ','),
            (b"a;b\n1,5;2,5\n", ';'),
            (b"a\tb c\n1\t2\n", '\t'),
            (b"a|b\r\n1|2\r\n", '|'),
            (b"\"a,b,c\";d\n\"1;2\";3\n", ';'),
            (b"a\n1\n2\n", ','),
            (b"a;b,c\n1,2;3\n4,5;6\n", ','),
            (b"", ','),
        ] {
            assert_eq!(delimiter(content, &options), expected, "{content:?}");
        }
        let german = CsvOptions {
            decimal: ',',
            ..CsvOptions::default()
        };
        assert_eq!(delimiter(b"a;b,c\n1,2;3\n4,5;6\n", &german), ';');
    }

    #[test]
    fn refuses_options_that_contradict_each_other() {
        let refusal = |options: CsvOptions| {
            let error = Dialect::find(&options, b"", true).expect_err("should be refused");
            format!("{}: {error}", error.field_path().unwrap_or_default())
        };
        let default = CsvOptions::default;
        assert_eq!(
            refusal(CsvOptions {
                decimal: ';',
                ..default()
            }),
            "decimal: ';' is neither . nor ,"
        );
        assert_eq!(
            refusal(CsvOptions {
                delimiter: Some(b'"'),
                ..default()
            }),
            "quote: the quote cannot be the delimiter, too"
        );
        for delimiter in [b'.', b'0', b'x', b'\n', b'-', 0xe4] {
            let refusal = refusal(CsvOptions {
                delimiter: Some(delimiter),
                ..default()
            });
            assert!(refusal.contains("cannot be told"), "{refusal}");
        }
        let both = CsvOptions {
            delimiter: Some(b','),
            decimal: ',',
            ..default()
        };
        assert!(refusal(both).contains("cannot be told"));
    }

    #[test]
    fn given_words_are_missing_values_too() {
        let words = MissingWords::new(&["-999".to_owned(), " void ".to_owned()]);
        for cell in ["", "NA", "null", "void", "-999", "NAN", "+nan", "-Nan"] {
            assert!(words.contains(cell.as_bytes()), "{cell}");
        }
        for cell in ["Nobody", "+", "nana", "+-nan"] {
            assert!(!words.contains(cell.as_bytes()), "{cell}");
        }
        assert_eq!(words.numbers, [-999.0]);
    }
}
