//! Options for what a CSV file does not say itself.

use serde::{Deserialize, Serialize};

/// Options for what a CSV file does not say itself.
///
/// Blank lines are skipped. White space around a cell without quotes is not a part of it. A column is boolean if all its cells
/// are `true` or `false` in any case, numeric if all are numbers or booleans, and text if the first cell that is not missing is
/// text. Dates are text. Thousands separators are not supported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// Whether the first record names the columns; `true` when unset.
    pub has_header: Option<bool>,
    /// The delimiter between cells; when unset, whichever of comma, semicolon, tab and `|` splits the first records best.
    pub delimiter: Option<u8>,
    /// The decimal mark, `.` or `,`.
    pub decimal: char,
    /// The label of the encoding, such as `windows-1252`; UTF-8 when unset. A byte order mark takes precedence.
    pub encoding: Option<String>,
    /// Words for a missing value, besides those of pandas and NaN in any case and with any sign. A number matches in every
    /// notation, even among texts.
    pub na_values: Vec<String>,
    /// The quote around cells that contain delimiters, line ends, or the quote itself written twice; `"` when unset.
    pub quote: Option<u8>,
    /// The character at the start of a comment line; no comments when unset.
    pub comment: Option<u8>,
    /// The names of columns that are text, whatever their cells look like; `f0`, `f1`, … in a file without a header.
    pub text_columns: Vec<String>,
    /// The names of more such columns, which need not exist.
    pub known_text_columns: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            has_header: None,
            delimiter: None,
            decimal: '.',
            encoding: None,
            na_values: Vec::new(),
            quote: None,
            comment: None,
            text_columns: Vec::new(),
            known_text_columns: Vec::new(),
        }
    }
}
