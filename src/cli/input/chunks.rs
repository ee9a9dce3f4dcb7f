//! Cuts CSV files into chunks that are CSV files themselves, with the server's own reader.

use std::path::Path;

use anomaly_detection::table::read::{self, CsvChunks};
use csv::ByteRecord;

use super::options::{self, FileArgs};
use super::{Source, name};
use crate::cli::error::{Error, Result};
use crate::cli::suggest::did_you_mean;
use crate::proto::v1::{CsvOptions, FileFormat, Records};

/// The most rows and bytes of a chunk. A single longer row is a chunk of its own.
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
    /// The options to read it with.
    pub(in crate::cli) csv: CsvOptions,
    /// How many rows.
    pub(in crate::cli) rows: usize,
    /// The rows with all their columns, if they were to be kept.
    pub(in crate::cli) records: Vec<ByteRecord>,
}

impl Chunk {
    /// The rows as records of a request.
    pub(in crate::cli) fn into_records(self) -> Records {
        super::records(self.content, FileFormat::Csv.into(), Some(self.csv))
    }
}

/// Splits a CSV file between records.
pub(in crate::cli) struct Chunks {
    chunks: CsvChunks,
    name: String,
    header: ByteRecord,
    has_next: bool,
    keep_records: bool,
}

impl Chunks {
    /// Reads the header and looks for a record. `None` if the file is not CSV. Fails if a column to drop does not exist.
    pub(in crate::cli) fn of_csv(
        source: Source,
        path: &Path,
        args: &FileArgs,
        drop: &[String],
        keep_records: bool,
    ) -> Result<Option<Self>> {
        let failed = |error| unreadable(&name(path), &error);
        // it is never in memory as a whole, so its length has no limit
        let limits = read::Limits {
            decompressed_bytes: u64::MAX,
        };
        let opened = CsvChunks::open(source, &args.options(), limits).map_err(failed)?;
        let Some(mut chunks) = opened else {
            return Ok(None);
        };
        drop_columns(&mut chunks, drop)?;
        Ok(Some(Self {
            has_next: chunks.has_next().map_err(failed)?,
            name: name(path),
            header: chunks.names().iter().map(String::as_bytes).collect(),
            chunks,
            keep_records,
        }))
    }

    /// Leaves the types of some columns, chosen by their names, to the server. All others are checked to have one type in all
    /// chunks, as in a file that is sent whole.
    pub(in crate::cli) fn leave_types_open(&mut self, is_open: impl Fn(&str) -> bool) {
        self.chunks.leave_types_open(is_open);
    }

    /// All columns of the file, the dropped ones included.
    pub(in crate::cli) fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// Whether there is another record.
    pub(in crate::cli) fn has_next(&self) -> bool {
        self.has_next
    }

    /// How many bytes of the file have been read.
    pub(in crate::cli) fn position(&self) -> u64 {
        self.chunks.n_bytes_read()
    }

    /// The next chunk, of at least one record; `None` at the end.
    pub(in crate::cli) fn next(&mut self, limits: Limits) -> Result<Option<Chunk>> {
        let mut records = Vec::new();
        let keep_records = self.keep_records;
        let next = self.chunks.next_chunk(limits.rows, limits.bytes, |cells| {
            if keep_records {
                records.push(cells.iter().map(AsRef::as_ref).collect::<ByteRecord>());
            }
        });
        let next = next.and_then(|next| Ok((next, self.chunks.has_next()?)));
        let (next, has_next) = next.map_err(|error| unreadable(&self.name, &error))?;
        self.has_next = has_next;
        Ok(next.map(|chunk| Chunk {
            content: chunk.content,
            csv: options::sent(&chunk.options),
            rows: chunk.n_rows,
            records,
        }))
    }
}

fn drop_columns(chunks: &mut CsvChunks, drop: &[String]) -> Result<()> {
    for column in drop {
        let names = chunks.names();
        if !names.contains(column) {
            return Err(Error::usage(format!(
                "there is no column {column:?} to drop{}",
                did_you_mean(column, names.iter().map(String::as_str))
            )));
        }
    }
    chunks
        .leave_out(|name| drop.iter().any(|column| column == name))
        .map_err(|_| Error::usage("--drop leaves no column"))
}

/// Converts an error of the reader; one in an option is a usage error.
fn unreadable(name: &str, error: &anomaly_detection::error::Error) -> Error {
    use std::error::Error as _;
    if let Some(field) = error.field_path() {
        return Error::usage(format!("{field}: {}", error.message()));
    }
    let cause = error.source().map(|cause| format!(": {cause}"));
    let cause = cause.unwrap_or_default();
    Error::failed(format!("cannot read {name}: {}{cause}", error.message()))
}

#[cfg(test)]
mod tests;
