//! Opens files in any format, ready to be read from beginning to end.

use std::io::Read;

use super::compression;
use super::csv;
use super::format::{Format, read_start};
use super::ipc::IpcFile;
use super::json::Layout;
use super::parquet::ParquetFile;
use super::source::Source;
use super::{FileOptions, Limits};
use crate::error::Result;
use crate::table::invalid;

/// A file whose format is known.
pub(super) enum Opened {
    /// CSV, decoded.
    Csv(Box<dyn Read + Send>),
    Json(Box<dyn Read + Send>, Layout),
    Parquet(Box<ParquetFile>),
    ArrowIpc(Box<IpcFile<Box<dyn Read + Send>>>),
}

impl Opened {
    pub(super) fn open(
        source: &Source,
        options: &FileOptions,
        limits: Limits,
    ) -> Result<(Self, Format)> {
        let mut reader = compression::open(source, limits)?;
        let mut start = read_start(&mut reader)?;
        let format = options.format.unwrap_or_else(|| Format::detect(&start));
        if matches!(format, Format::Json | Format::JsonLines) {
            start = super::without_bom(&start).to_vec();
        }
        let opened = match format {
            Format::Csv => Self::Csv(csv::decoding(start, reader, &options.csv)?),
            Format::Json => Self::Json(joined(start, reader), Layout::Array),
            Format::JsonLines => Self::Json(joined(start, reader), Layout::Lines),
            Format::ArrowIpc => {
                Self::ArrowIpc(Box::new(IpcFile::open(joined(start, reader), limits)?))
            }
            Format::Parquet => {
                if compression::compression_of(source)?.is_some() {
                    return Err(invalid(
                        "a Parquet file that is compressed as a whole cannot be read in chunks; decompress it",
                    ));
                }
                Self::Parquet(Box::new(ParquetFile::open(source, limits)?))
            }
        };
        Ok((opened, format))
    }
}

fn joined(start: Vec<u8>, rest: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    Box::new(std::io::Cursor::new(start).chain(rest))
}
