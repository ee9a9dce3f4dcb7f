//! CSV, as in RFC 4180 and as programs write it in practice.
//!
//! [`token`] separates cells and records. Everything that reads a file uses it, including [`chunks`], which cuts a file into
//! smaller files.

use super::text_file::{Purpose, read_window};
use crate::error::Result;
use crate::table::Table;

mod chunks;
mod dialect;
mod encoding;
mod file;
mod layout;
mod options;
mod parsed_chunk;
mod token;

pub use self::chunks::{CsvChunk, CsvChunks};
pub(super) use self::encoding::{decoded, decoding};
pub(super) use self::file::CsvFile;
pub use self::options::CsvOptions;

/// Reads a file that [`decoded`] has decoded, up to a number of values.
pub(super) fn read(content: &[u8], options: &CsvOptions, max_cells: usize) -> Result<Table> {
    let mut file = CsvFile::new(options, Purpose::Keep(max_cells), None);
    read_window(&mut file, content, true)?;
    Table::from_columns(file.names(), file.take())
}

#[cfg(test)]
mod tests;
