//! Converts the format of a file and the options to read it with.

use super::unknown;
use crate::error::{Error, Result};
use crate::proto::v1;
use anomaly_detection::table::read::{CsvOptions, FileOptions, Format};

/// How to read a file. `known_texts` are columns that are read as texts if they exist.
pub(in crate::service) fn options(
    format: i32,
    csv: Option<v1::CsvOptions>,
    known_texts: &[String],
) -> Result<FileOptions> {
    let mut csv = csv
        .map_or_else(|| Ok(CsvOptions::default()), csv_options)
        .map_err(|error| error.within("csv"))?;
    csv.known_text_columns = known_texts.to_vec();
    Ok(FileOptions {
        format: self::format(format)?,
        csv,
    })
}

impl From<Format> for v1::FileFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
            Format::JsonLines => Self::JsonLines,
            Format::Parquet => Self::Parquet,
            Format::ArrowIpc => Self::ArrowIpc,
        }
    }
}

fn format(format: i32) -> Result<Option<Format>> {
    Ok(Some(match v1::FileFormat::try_from(format) {
        Ok(v1::FileFormat::Unspecified) => return Ok(None),
        Ok(v1::FileFormat::Csv) => Format::Csv,
        Ok(v1::FileFormat::Json) => Format::Json,
        Ok(v1::FileFormat::JsonLines) => Format::JsonLines,
        Ok(v1::FileFormat::Parquet) => Format::Parquet,
        Ok(v1::FileFormat::ArrowIpc) => Format::ArrowIpc,
        Err(_) => {
            let known = "FILE_FORMAT_CSV, FILE_FORMAT_JSON, FILE_FORMAT_JSON_LINES, FILE_FORMAT_PARQUET or \
                         FILE_FORMAT_ARROW_IPC";
            return Err(unknown("format", format, known));
        }
    }))
}

fn csv_options(options: v1::CsvOptions) -> Result<CsvOptions> {
    let default = CsvOptions::default();
    Ok(CsvOptions {
        has_header: options.has_header,
        delimiter: character("delimiter", &options.delimiter)?,
        decimal: character("decimal", &options.decimal)?.map_or(default.decimal, char::from),
        encoding: (!options.encoding.is_empty()).then_some(options.encoding),
        na_values: options.na_values,
        quote: character("quote", &options.quote)?,
        comment: character("comment", &options.comment)?,
        text_columns: options.text_columns,
        ..default
    })
}

fn character(field: &str, text: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        [] => Ok(None),
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        _ => {
            let message = format!(
                "{} is not one ASCII character, which the {field} must be",
                anomaly_detection::table::shortened(text)
            );
            Err(Error::field(field, message))
        }
    }
}
