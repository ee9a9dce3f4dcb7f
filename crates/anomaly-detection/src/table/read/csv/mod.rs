//! CSV, as in RFC 4180 and as the programs of the world write it.
//!
//! [`token`] tells cells and records apart. All ways to read a file go through it, [`chunks`] included, which cuts a file into
//! files.

use super::text_file::{Purpose, read_window};
use crate::error::Result;
use crate::table::Table;

mod block;
mod chunks;
mod dialect;
mod encoding;
mod file;
mod layout;
mod options;
mod token;

pub use self::chunks::{CsvChunk, CsvChunks};
pub(super) use self::encoding::{decoded, decoding};
pub(super) use self::file::CsvFile;
pub use self::options::CsvOptions;

/// Reads what [`decoded`] gives.
pub(super) fn read(content: &[u8], options: &CsvOptions) -> Result<Table> {
    let mut file = CsvFile::new(options, Purpose::Keep, None);
    read_window(&mut file, content, true)?;
    Table::from_columns(file.names(), file.take())
}

#[cfg(test)]
mod tests;
