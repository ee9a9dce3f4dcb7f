//! `--format`, `--delimiter` and the other options of a file.

use anomaly_detection::table::read::{self, FileOptions, Format};

use crate::cli::descriptors;
use crate::proto::v1::{CsvOptions, FileFormat};

/// Short names of formats.
const SHORT_FORMATS: [(&str, &str); 2] = [("json_lines", "jsonl"), ("arrow_ipc", "arrow")];

/// The options of a file.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "File")]
pub(in crate::cli) struct FileArgs {
    /// The format of FILE, which may be compressed by gzip or zstd; without it, detected from the first
    /// bytes
    #[arg(long, value_name = "FORMAT", value_parser = descriptors::word_parser("FileFormat", &SHORT_FORMATS))]
    pub(super) format: Option<i32>,
    /// CSV: the character between cells, or tab; without it, one of , ; tab | is detected from the first
    /// lines
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub(super) delimiter: Option<char>,
    /// CSV: the decimal sign, . or ,
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub(super) decimal: Option<char>,
    /// CSV: the encoding, such as windows-1252 or shift_jis; without it, UTF-8 or what a byte order mark says
    #[arg(long, value_name = "LABEL")]
    pub(super) encoding: Option<String>,
    /// CSV: a text that means a missing value, in addition to an empty cell, NA, null and the like; may be
    /// repeated
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) na_value: Vec<String>,
    /// CSV: the first line is a row, and the columns are called f0, f1 and so on
    #[arg(long)]
    pub(super) no_header: bool,
    /// CSV: the character around cells that hold delimiters or line breaks; without it, "
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub(super) quote: Option<char>,
    /// CSV: the character that begins a line to leave out
    #[arg(long, value_name = "CHAR", value_parser = character)]
    pub(super) comment: Option<char>,
    /// CSV: a column to read as texts although they look like numbers, such as postal codes; may be repeated. Not needed
    /// to score
    #[arg(long, value_name = "COLUMN")]
    pub(super) text_column: Vec<String>,
}

impl FileArgs {
    /// The number of the format; 0 if it is to be detected.
    pub(in crate::cli) fn format(&self) -> i32 {
        self.format.unwrap_or_default()
    }

    /// The CSV options as a message, unless they are the default.
    pub(in crate::cli) fn csv(&self) -> Option<CsvOptions> {
        let options = self.options().csv;
        (options != read::CsvOptions::default()).then(|| sent(&options))
    }

    /// The options for the reader.
    pub(super) fn options(&self) -> FileOptions {
        let byte = |character: Option<char>| character.and_then(|c| u8::try_from(c).ok());
        FileOptions {
            format: match FileFormat::try_from(self.format()) {
                Ok(FileFormat::Csv) => Some(Format::Csv),
                Ok(FileFormat::Json) => Some(Format::Json),
                Ok(FileFormat::JsonLines) => Some(Format::JsonLines),
                Ok(FileFormat::Parquet) => Some(Format::Parquet),
                Ok(FileFormat::ArrowIpc) => Some(Format::ArrowIpc),
                Ok(FileFormat::Unspecified) | Err(_) => None,
            },
            csv: read::CsvOptions {
                has_header: self.no_header.then_some(false),
                delimiter: byte(self.delimiter),
                decimal: self.decimal(),
                encoding: self.encoding.clone(),
                na_values: self.na_value.clone(),
                quote: byte(self.quote),
                comment: byte(self.comment),
                text_columns: self.text_column.clone(),
                known_text_columns: Vec::new(),
            },
        }
    }

    /// The decimal sign.
    pub(super) fn decimal(&self) -> char {
        self.decimal.unwrap_or('.')
    }
}

/// The reader's options as a message.
pub(super) fn sent(options: &read::CsvOptions) -> CsvOptions {
    let text = |byte: Option<u8>| byte.map(|byte| char::from(byte).to_string());
    CsvOptions {
        has_header: options.has_header,
        delimiter: text(options.delimiter).unwrap_or_default(),
        decimal: options.decimal.to_string(),
        encoding: options.encoding.clone().unwrap_or_default(),
        na_values: options.na_values.clone(),
        quote: text(options.quote).unwrap_or_default(),
        comment: text(options.comment).unwrap_or_default(),
        text_columns: options.text_columns.clone(),
    }
}

/// One character, or the word for one that is hard to type.
fn character(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        _ if matches!(text, "tab" | "\\t") => Ok('\t'),
        (Some(character), None) if character.is_ascii() => Ok(character),
        _ => Err("expected one ASCII character, or tab".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Read {
        #[command(flatten)]
        args: FileArgs,
    }

    fn args(line: &[&str]) -> Result<FileArgs, clap::Error> {
        let words = ["read"].iter().chain(line);
        Read::try_parse_from(words).map(|read| read.args)
    }

    #[test]
    fn every_option_reaches_the_server() {
        let line = "--format csv --delimiter tab --decimal , --encoding latin1 --na-value -1 --na-value void --no-header \
                    --quote ' --comment # --text-column zip";
        let words: Vec<&str> = line.split_whitespace().collect();
        let given = args(&words).expect("it parses");
        assert_eq!(given.format(), i32::from(FileFormat::Csv));
        let expected = CsvOptions {
            has_header: Some(false),
            delimiter: "\t".to_owned(),
            decimal: ",".to_owned(),
            encoding: "latin1".to_owned(),
            na_values: ["-1", "void"].map(str::to_owned).to_vec(),
            quote: "'".to_owned(),
            comment: "#".to_owned(),
            text_columns: vec!["zip".to_owned()],
        };
        assert_eq!(given.csv(), Some(expected.clone()));
        assert_eq!(sent(&given.options().csv), expected);
        assert_eq!(given.options().format, Some(Format::Csv));
    }

    #[test]
    fn without_options_the_server_decides() {
        let given = args(&[]).expect("it parses");
        assert_eq!((given.format(), given.csv()), (0, None));
        for wrong in [["--delimiter", ";;"], ["--quote", "ä"], ["--format", "xml"]] {
            assert!(args(&wrong).is_err(), "{wrong:?}");
        }
    }
}
