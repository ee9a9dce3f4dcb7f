//! CSV files in chunks that are each a CSV file of their own.

use std::path::Path;

use csv::ByteRecord;

use super::decode::{self, Opened};
use super::options::FileArgs;
use super::{Source, cannot_read, name, sniff};
use crate::cli::error::{Error, Result};
use crate::cli::suggest::did_you_mean;
use crate::proto::v1::CsvOptions;

/// How much a chunk may hold. A single row may exceed the bytes, and is then a chunk alone.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Limits {
    pub(in crate::cli) rows: usize,
    pub(in crate::cli) bytes: usize,
}

impl Limits {
    /// All rows.
    pub(in crate::cli) const NONE: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
}

/// Some rows of a CSV file.
#[derive(Debug)]
pub(in crate::cli) struct Chunk {
    /// The rows as a CSV file with the header, without the dropped columns.
    pub(in crate::cli) content: Vec<u8>,
    /// How many rows.
    pub(in crate::cli) rows: usize,
    /// The rows with all their columns, if they were to be kept.
    pub(in crate::cli) records: Vec<ByteRecord>,
}

/// Splits a CSV file between records, wherever line breaks in quotes may be. Holds one record beside the chunk.
pub(in crate::cli) struct Chunks {
    reader: csv::Reader<Source>,
    writer: csv::WriterBuilder,
    /// How the chunks are to be read.
    options: CsvOptions,
    name: String,
    header: ByteRecord,
    /// The columns to send, where not all.
    columns: Option<Vec<usize>>,
    next: ByteRecord,
    has_next: bool,
    keep_records: bool,
}

impl Chunks {
    /// Reads the header and looks at the first record. `None` where the file is not CSV. Fails where a column to drop does not
    /// exist.
    pub(in crate::cli) fn of_csv(
        source: Source,
        path: &Path,
        args: &FileArgs,
        drop: &[String],
        keep_records: bool,
    ) -> Result<Option<Self>> {
        let failed = |error: std::io::Error| cannot_read(path, &error);
        let file = decode::decompressed(source).map_err(failed)?;
        if !sniff::is_csv(args, &file.start) {
            return Ok(None);
        }
        let label = args.encoding.as_deref();
        match decode::decoded(file, label).map_err(failed)? {
            Some(file) => Self::new(file, path, args, drop, keep_records).map(Some),
            None => Err(Error::usage(format!(
                "{:?} is no known encoding; give a label such as utf-8, windows-1252 or shift_jis",
                label.unwrap_or_default()
            ))),
        }
    }

    fn new(
        file: Opened,
        path: &Path,
        args: &FileArgs,
        drop: &[String],
        keep_records: bool,
    ) -> Result<Self> {
        let name = name(path);
        let delimiter = args
            .delimiter
            .and_then(|delimiter| u8::try_from(delimiter).ok())
            .unwrap_or_else(|| sniff::delimiter(args, &file.start, file.is_whole));
        let mut reader = sniff::reader(args, delimiter).from_reader(file.source);
        let first = reader
            .byte_headers()
            .map_err(|error| malformed(&name, &error))?
            .clone();
        if first.is_empty() {
            let expected = match args.no_header {
                true => "",
                false => "; it needs a header line that names the columns",
            };
            return Err(Error::failed(format!("{name} is empty{expected}")));
        }
        let mut options = args.csv().unwrap_or_default();
        options.delimiter = char::from(delimiter).to_string();
        // comments are left out, and texts are UTF-8 by now
        options.comment.clear();
        options.encoding.clear();
        let mut writer = csv::WriterBuilder::new();
        writer.delimiter(delimiter);
        if let Some(Ok(quote)) = args.quote.map(u8::try_from) {
            writer.quote(quote);
        }
        let header = match args.no_header {
            true => (0..first.len())
                .map(|column| format!("f{column}"))
                .collect(),
            false => first,
        };
        let columns = kept_columns(&header, drop)?;
        let mut chunks = Self {
            reader,
            writer,
            options,
            name,
            header,
            columns,
            next: ByteRecord::new(),
            has_next: false,
            keep_records,
        };
        if !args.no_header {
            // the first record is given once more, as a record
            chunks.advance()?;
        }
        chunks.advance()?;
        Ok(chunks)
    }

    /// How the chunks are to be read.
    pub(in crate::cli) fn options(&self) -> Option<CsvOptions> {
        let is_usual = self.options
            == CsvOptions {
                delimiter: ",".to_owned(),
                ..CsvOptions::default()
            };
        (!is_usual).then(|| self.options.clone())
    }

    /// All columns of the file, the dropped ones included.
    pub(in crate::cli) fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// Whether there is another record.
    pub(in crate::cli) fn has_next(&self) -> bool {
        self.has_next
    }

    /// How many bytes of the file were read into records.
    pub(in crate::cli) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next chunk, of at least one record; `None` at the end.
    pub(in crate::cli) fn next(&mut self, limits: Limits) -> Result<Option<Chunk>> {
        if !self.has_next {
            return Ok(None);
        }
        let mut writer = self.writer.from_writer(Vec::new());
        if self.options.has_header.unwrap_or(true) {
            write(
                &mut writer,
                &self.header,
                self.columns.as_deref(),
                &self.name,
            )?;
        }
        let mut records = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while self.has_next && (rows == 0 || (rows < limits.rows && bytes < limits.bytes)) {
            write(&mut writer, &self.next, self.columns.as_deref(), &self.name)?;
            rows += 1;
            // close enough: the delimiters, without the quotes
            bytes += self.next.as_slice().len() + self.next.len();
            if self.keep_records {
                records.push(self.next.clone());
            }
            self.advance()?;
        }
        let content = writer
            .into_inner()
            .map_err(|error| Error::failed(format!("cannot split {}: {error}", self.name)))?;
        Ok(Some(Chunk {
            content,
            rows,
            records,
        }))
    }

    fn advance(&mut self) -> Result<()> {
        self.has_next = self
            .reader
            .read_byte_record(&mut self.next)
            .map_err(|error| malformed(&self.name, &error))?;
        Ok(())
    }
}

fn write(
    writer: &mut csv::Writer<Vec<u8>>,
    record: &ByteRecord,
    columns: Option<&[usize]>,
    name: &str,
) -> Result<()> {
    let written = match columns {
        None => writer.write_byte_record(record),
        // the reader refuses ragged records, so every column is there
        Some(columns) => {
            writer.write_record(columns.iter().filter_map(|&column| record.get(column)))
        }
    };
    written.map_err(|error| malformed(name, &error))
}

fn kept_columns(header: &ByteRecord, drop: &[String]) -> Result<Option<Vec<usize>>> {
    if drop.is_empty() {
        return Ok(None);
    }
    for column in drop {
        if !header.iter().any(|name| name == column.as_bytes()) {
            let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
            return Err(Error::usage(format!(
                "there is no column {column:?} to drop{}",
                did_you_mean(column, names.iter().map(AsRef::as_ref))
            )));
        }
    }
    let kept: Vec<_> = (0..header.len())
        .filter(|&i| {
            !drop
                .iter()
                .any(|column| header.get(i) == Some(column.as_bytes()))
        })
        .collect();
    if kept.is_empty() {
        return Err(Error::usage("--drop leaves no column"));
    }
    Ok(Some(kept))
}

fn malformed(name: &str, error: &csv::Error) -> Error {
    Error::failed(format!("cannot read {name} as CSV: {error}"))
}

#[cfg(test)]
mod tests;
