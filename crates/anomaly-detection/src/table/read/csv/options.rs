//! What CSV leaves open, and its sender may say.

use serde::{Deserialize, Serialize};

/// What CSV leaves open.
///
/// Blank lines are passed over. White space around a cell without quotes is no part of it. A column is of booleans when
/// all its cells are `true` or `false` in any case, of numbers when all are numbers or booleans, and of text when the first
/// cell that is not missing is text. Dates are text. Thousands separators are not understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// Whether the first record names the columns; `true` when unset.
    pub has_header: Option<bool>,
    /// What stands between cells; when unset, whichever of comma, semicolon, tab and `|` splits the first records best.
    pub delimiter: Option<u8>,
    /// The decimal mark, `.` or `,`.
    pub decimal: char,
    /// The label of the encoding, such as `windows-1252`; UTF-8 when unset. A byte order mark takes precedence.
    pub encoding: Option<String>,
    /// What stands for a missing value beside what pandas takes for one, and NaN in any case and with any sign. A number stands
    /// for every way to write it, among texts, too.
    pub na_values: Vec<String>,
    /// What stands around cells that hold delimiters, line ends or itself written twice; `"` when unset.
    pub quote: Option<u8>,
    /// What begins a line that is no record; none when unset.
    pub comment: Option<u8>,
    /// The names of columns that hold text, whatever it looks like; `f0`, `f1`, … in a file without header.
    pub text_columns: Vec<String>,
    /// The names of further such columns, which need not be there.
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
