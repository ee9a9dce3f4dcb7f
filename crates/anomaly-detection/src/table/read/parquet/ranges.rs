//! A source as the Parquet library reads it.

use std::io::BufReader;

use ::parquet::errors::Result;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use crate::table::read::source::{Source, SourceReader};

/// A source of which the library reads ranges.
#[derive(Debug, Clone)]
pub(super) struct Ranges(pub(super) Source);

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Ranges {
    type T = BufReader<SourceReader>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(self.0.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.0.bytes(start, length)?)
    }
}
