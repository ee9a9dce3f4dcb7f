//! Readers of files: CSV, JSON, JSON Lines, Parquet and Arrow IPC, each of them plain or compressed as a whole.
//!
//! [`read`] turns a file in memory into a table. A file that does not fit in memory is read twice: [`scan`] finds its columns and
//! their types, and [`chunks()`] returns its rows with these types, a chunk at a time. [`CsvChunks`] cuts a CSV file into smaller
//! files, which can be read one by one elsewhere.
//!
//! A chunk is a bounded run of rows. The text formats share `text_file`: a window of bytes is cut into chunks, which are parsed
//! in parallel and merged in order. The result depends neither on the cuts nor on the threads: a chunk that was parsed before
//! the type of a column was known is parsed again if its guess differs from the chunks before it.

use serde::{Deserialize, Serialize};

use self::asked::Asked;
use super::{MAX_CELLS, Table, invalid};
use crate::context::Context;
use crate::error::{Error, Kind, Reason, Result};

mod arrays;
mod asked;
mod cells;
mod chunks;
mod compression;
mod csv;
mod format;
mod ipc;
mod json;
mod names;
mod opened;
mod parquet;
mod scan;
mod source;
mod summary;
mod text_file;
mod whole;

pub use self::chunks::Chunks;
pub use self::csv::{CsvChunk, CsvChunks, CsvOptions};
pub use self::format::Format;
pub use self::source::{ReadAt, Source};
pub use self::summary::{ColumnSummary, FileSummary};
pub use self::whole::MAX_TEXT_BYTES;

/// The most columns of a file. A header costs its sender next to nothing, but each column takes much more memory.
pub const MAX_COLUMNS: usize = 1 << 16;

/// The bytes that a value usually takes in a file, at least.
const USUAL_CELL_BYTES: usize = 4;

/// As many values need no second attempt in any file.
const LEAST_CELLS: usize = 1 << 12;

/// The table has more values than memory was asked for, but not too many. Never leaves this module.
const MORE_CELLS: Reason = Reason::new("MORE_CELLS", Kind::ResourceExhausted);

/// Options for reading a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FileOptions {
    /// The format, or `None` to detect it from the first bytes.
    pub format: Option<Format>,
    /// Options for CSV files.
    pub csv: CsvOptions,
}

/// Limits on what reading may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes to which a compressed file, or the compressed pages or buffers inside it, may decompress.
    pub decompressed_bytes: u64,
}

impl Limits {
    /// The most bytes of a message, which has to be in memory as a whole.
    fn message_bytes(self) -> u64 {
        self.decompressed_bytes.min(1 << 30)
    }
}

impl Default for Limits {
    /// 1 GiB decompressed.
    fn default() -> Self {
        Self {
            decompressed_bytes: 1 << 30,
        }
    }
}

/// Asks for more memory: is called with a number of bytes before they are allocated, and fails to refuse them.
pub type MoreMemory<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

/// Reads a file in memory.
///
/// Fails, naming the place of the fault, when the file is malformed, when a column holds more than one type, when names are
/// empty or repeated, and when there are no rows, more than [`MAX_COLUMNS`] columns or more than
/// [`MAX_CELLS`] values.
pub fn read(content: &[u8], options: &FileOptions, limits: Limits) -> Result<Table> {
    let more: MoreMemory<'_> = &mut |_| Ok(());
    let content = compression::decompressed(content, limits, more)?;
    read_plain(&content, options, limits, MAX_CELLS, more)
}

/// The same as [`read`] in memory that is counted: what a compressed file decompresses to, the values of the table, and as much
/// again as the decompressed file has bytes, for texts and copies. Files that are compressed inside also count with what is
/// decompressed of them at a time, and with their texts.
///
/// # Errors
/// Those of [`read`] and of `more`.
pub fn read_counted(
    content: &[u8],
    options: &FileOptions,
    limits: Limits,
    more: MoreMemory<'_>,
) -> Result<Table> {
    let content = compression::decompressed(content, limits, more)?;
    more(content.len())?;
    let mut max_cells = (content.len() / USUAL_CELL_BYTES).clamp(LEAST_CELLS, MAX_CELLS);
    more(max_cells * size_of::<f64>())?;
    let mut asked = Asked::default();
    loop {
        let mut in_round: usize = 0;
        let mut of_round = |bytes| {
            in_round = in_round.saturating_add(bytes);
            asked.reach(in_round, more)
        };
        match read_plain(&content, options, limits, max_cells, &mut of_round) {
            // a file of many short values is read again from the start
            Err(error) if error.reason() == MORE_CELLS => {
                let next = max_cells.saturating_mul(4).min(MAX_CELLS);
                more((next - max_cells) * size_of::<f64>())?;
                max_cells = next;
            }
            outcome => return outcome,
        }
    }
}

/// Fails when a table of this shape would have more values than a table may have, or than `max_cells`.
fn check_cells(n_rows: usize, n_columns: usize, max_cells: usize) -> Result<()> {
    super::check_cells(n_rows, n_columns)?;
    match n_rows * n_columns <= max_cells {
        true => Ok(()),
        false => Err(Error::new(MORE_CELLS, "the table needs more memory")),
    }
}

/// Reads a file that is not compressed as a whole, up to a number of values.
fn read_plain(
    content: &[u8],
    options: &FileOptions,
    limits: Limits,
    max_cells: usize,
    more: MoreMemory<'_>,
) -> Result<Table> {
    match options.format.unwrap_or_else(|| Format::detect(content)) {
        Format::Csv => {
            let content = csv::decoded(content, &options.csv)?;
            csv::read(&content, &options.csv, max_cells)
        }
        Format::Json => json::read(without_bom(content), json::Layout::Array, max_cells),
        Format::JsonLines => json::read(without_bom(content), json::Layout::Lines, max_cells),
        Format::Parquet => parquet::read(&source_of(content), limits, max_cells, more),
        Format::ArrowIpc => ipc::read(content, limits, max_cells, more),
    }
}

/// Reads a file once, in bounded memory, to learn what is in it.
///
/// Fails as [`read`] does, except for the number of values, when `context` is cancelled, and when a read of the source fails.
pub fn scan(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    context: &Context,
) -> Result<FileSummary> {
    let (source, watch) = source.watched();
    watch.over(scan::read(&source, options, limits, context))
}

/// The rows of a file that [`scan`] has read, in tables of at most `chunk_rows` rows with the columns and types of the whole
/// file.
///
/// `options` and `limits` are those of the scan. Fails when the file cannot be opened, or has another format than before. A read
/// of the source that fails is the error of the chunk that needs it.
pub fn chunks(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    summary: &FileSummary,
    chunk_rows: usize,
) -> Result<Chunks> {
    Chunks::open(source, options, limits, summary, chunk_rows)
}

/// All rows of a file that [`scan`] has read, or those with the given indices, which ascend, as [`read`] returns them for a
/// file in memory.
///
/// `options` and `limits` are those of the scan. Fails as [`chunks`] does, when `context` is cancelled, and, before allocating
/// memory, when there are more than [`MAX_CELLS`] values. The size of texts is limited, too.
pub fn whole(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    summary: &FileSummary,
    rows: Option<&[usize]>,
    context: &Context,
) -> Result<Table> {
    whole::read(source, options, limits, summary, rows, context)
}

fn source_of(content: &[u8]) -> Source {
    Source::from(bytes::Bytes::copy_from_slice(content))
}

/// The content after a UTF-8 byte order mark, if there is one.
fn without_bom(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

/// The error for a file that changed between its scan and its reading.
fn changed() -> Error {
    invalid("the file has changed since it was scanned")
}

#[cfg(test)]
mod tests;
