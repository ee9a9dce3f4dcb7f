//! CSV in any dialect: the first [`PREFIX`] bytes say how it is read, the file follows.

use anomaly_detection::table::read::{CsvOptions, FileOptions, Format};

use super::files;

/// How many bytes come before the file: has_header, delimiter, decimal, encoding, na_values, quote, comment, text_columns and
/// the rows of a chunk. 0 leaves an option as it is by default.
pub const PREFIX: usize = 9;

const ENCODINGS: [Option<&str>; 8] = [
    None,
    Some("utf-8"),
    Some("windows-1252"),
    Some("utf-16le"),
    Some("utf-16be"),
    Some("shift_jis"),
    Some("gb18030"),
    Some("no such encoding"),
];

/// Reads a CSV file.
pub fn run(data: &[u8]) -> bool {
    let Some((prefix, content)) = data.split_first_chunk::<PREFIX>() else {
        return false;
    };
    let [
        has_header,
        delimiter,
        decimal,
        encoding,
        na_values,
        quote,
        comment,
        text_columns,
        chunk_rows,
    ] = *prefix;
    let mark = |byte: u8| (byte != 0).then_some(byte);
    let words = |names: &[&str], bits: u8| -> Vec<String> {
        let named = names.iter().enumerate();
        let named = named.filter(|(bit, _)| bits >> bit & 1 == 1);
        named.map(|(_, name)| (*name).to_owned()).collect()
    };
    let csv = CsvOptions {
        has_header: mark(has_header).map(|byte| byte % 2 == 1),
        delimiter: mark(delimiter),
        decimal: if decimal == 0 {
            '.'
        } else {
            char::from(decimal)
        },
        encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()].map(str::to_owned),
        na_values: words(&["-", "99", "1,5", "none at all"], na_values),
        quote: mark(quote),
        comment: mark(comment),
        text_columns: words(&["a", "f0"], text_columns),
        known_text_columns: words(&["b", "f1"], text_columns >> 2),
    };
    let options = FileOptions {
        format: Some(Format::Csv),
        csv,
    };
    files::check(content, &options, usize::from(chunk_rows).max(1)).is_ok()
}
