//! The sizes that the pages of a Parquet file claim, read before the pages are.
//!
//! The reader takes memory for what the header of a page says that it decompresses to, and some codecs go on beyond that. It
//! also takes memory for as many values as a dictionary says to have; [`page_lengths`](super::page_lengths) looks at what
//! other pages say of that inside.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::parquet_metadata::PAGE_HEADER;
use super::source::Source;
use super::thrift::{Thrift, Unread};
use super::{Limits, page_lengths};
use crate::error::{Error, Result};
use crate::table::{invalid, shortened};

/// The largest page, decompressed. Writers aim at 1 MiB.
pub(super) const MAX_PAGE_BYTES: u64 = 1 << 28;
/// DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const LENGTH_ENCODINGS: [i32; 2] = [6, 7];
/// The longest header of a page; statistics in it may hold long strings.
const MAX_HEADER_BYTES: usize = 1 << 24;

/// Checks every page of a file against the limits; how many bytes are held of pages, decompressed, by who reads all columns of
/// a row group side by side.
pub(super) fn check(source: &Source, metadata: &ParquetMetaData, limits: Limits) -> Result<u64> {
    let mut decompressed = 0_u64;
    let mut most_held = 0;
    for row_group in metadata.row_groups() {
        let n_rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        let mut held = 0_u64;
        for chunk in row_group.columns() {
            let checked = check_chunk(source, chunk, n_rows, &mut decompressed, limits);
            let of_column = checked.map_err(|error| {
                let name = chunk.column_descr().name();
                error.during(&format!("column {}", shortened(name)))
            })?;
            held = held.saturating_add(of_column);
        }
        most_held = held.max(most_held);
    }
    Ok(most_held)
}

/// Checks the pages of a column chunk, and adds what they decompress to; the bytes of its dictionary and its largest page.
fn check_chunk(
    source: &Source,
    chunk: &ColumnChunkMetaData,
    n_rows: usize,
    decompressed: &mut u64,
    limits: Limits,
) -> Result<u64> {
    let compression = chunk.compression();
    let is_known = matches!(
        compression,
        Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::ZSTD(_)
            | Compression::LZ4_RAW
    );
    if !is_known {
        return Err(invalid(format!(
            "the compression {compression} is not supported; use snappy, gzip, zstd or lz4_raw"
        )));
    }
    let start = chunk
        .dictionary_page_offset()
        .unwrap_or(chunk.data_page_offset());
    let start = u64::try_from(start).map_err(|_| damaged())?;
    let length = u64::try_from(chunk.compressed_size()).map_err(|_| damaged())?;
    let end = start
        .checked_add(length)
        .filter(|&end| end <= source.len())
        .ok_or_else(damaged)?;
    let mut at = start;
    let mut has_lengths = false;
    let (mut dictionary, mut largest) = (0, 0);
    while at < end {
        let header = read_header(source, at, end)?;
        at += header.length;
        if header.compressed > end - at {
            return Err(damaged());
        }
        *decompressed = decompressed.saturating_add(header.decompressed);
        if header.decompressed > MAX_PAGE_BYTES {
            return Err(invalid(format!(
                "a page decompresses to {} bytes; at most {MAX_PAGE_BYTES} can be read",
                header.decompressed
            )));
        }
        if compression != Compression::UNCOMPRESSED && *decompressed > limits.decompressed_bytes {
            return Err(too_large(limits));
        }
        if matches!(compression, Compression::GZIP(_)) && header.is_compressed {
            check_gzip(source, at, &header)?;
        }
        check_dictionary(chunk, &header)?;
        if header.dictionary_values > 0 {
            dictionary = header.decompressed;
        } else {
            largest = header.decompressed.max(largest);
        }
        has_lengths |= header.has_lengths;
        at += header.compressed;
    }
    if has_lengths {
        *decompressed = page_lengths::check(source, chunk, n_rows, *decompressed, limits)?;
    }
    Ok(dictionary + largest)
}

/// The values of a dictionary stand one after the other, none of them in less than its width.
fn check_dictionary(chunk: &ColumnChunkMetaData, header: &PageHeader) -> Result<()> {
    let column = chunk.column_descr();
    let least_width = match column.physical_type() {
        Type::BOOLEAN => 1,
        // the length of each
        Type::BYTE_ARRAY => 4,
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.type_length()).unwrap_or(0).max(1),
    };
    let size = match chunk.compression() {
        Compression::UNCOMPRESSED => header.decompressed.min(header.compressed),
        _ => header.decompressed,
    };
    if header.dictionary_values > size / least_width {
        return Err(invalid(format!(
            "a dictionary of {} values does not fit into a page of {size} bytes",
            header.dictionary_values
        )));
    }
    Ok(())
}

/// The gzip decoder writes whatever comes out: that it is no more than the header says is tried out.
fn check_gzip(source: &Source, start: u64, header: &PageHeader) -> Result<()> {
    let skipped = header.levels.min(header.compressed);
    let page = source
        .bytes(start + skipped, (header.compressed - skipped) as usize)
        .map_err(|_| damaged())?;
    let claimed = header.decompressed.saturating_sub(skipped);
    let decoder = MultiGzDecoder::new(&page[..]);
    let n = io::copy(&mut decoder.take(claimed + 1), &mut io::sink()).map_err(|_| damaged())?;
    if n > claimed {
        return Err(invalid("a page decompresses to more than its header says"));
    }
    Ok(())
}

struct PageHeader {
    /// Of the header itself.
    length: u64,
    compressed: u64,
    decompressed: u64,
    /// What stands uncompressed before the rest of a page of version 2.
    levels: u64,
    is_compressed: bool,
    /// How many values a dictionary says to have; 0 for other pages.
    dictionary_values: u64,
    /// Whether the lengths of texts stand apart from them, and say themselves how many they are.
    has_lengths: bool,
}

fn read_header(source: &Source, at: u64, end: u64) -> Result<PageHeader> {
    let mut size = 512;
    loop {
        let available = (end - at).min(size as u64) as usize;
        let bytes = source.bytes(at, available).map_err(|_| damaged())?;
        match page_header(&bytes) {
            Ok(header) => return Ok(header),
            // the header may be longer than what was read of it
            Err(Unread::Ended) if available == size && size < MAX_HEADER_BYTES => size *= 8,
            Err(_) => return Err(damaged()),
        }
    }
}

/// What the header of a page says, at the start of the bytes.
fn page_header(bytes: &[u8]) -> std::result::Result<PageHeader, Unread> {
    Thrift::new(bytes).check(PAGE_HEADER)?;
    let mut thrift = Thrift::new(bytes);
    let (mut decompressed, mut compressed, mut levels) = (0, 0, 0_i64);
    let (mut is_compressed, mut has_lengths, mut dictionary_values) = (true, false, 0);
    let mut field = 0;
    while let Some(code) = thrift.field(&mut field)? {
        match field {
            2 => decompressed = thrift.zigzag()?,
            3 => compressed = thrift.zigzag()?,
            // the headers of data pages, of dictionaries, and of data pages of version 2
            5 | 7 | 8 => {
                let mut inner = 0;
                while let Some(code) = thrift.field(&mut inner)? {
                    match (field, inner) {
                        (5, 2) | (8, 4) => {
                            has_lengths |= LENGTH_ENCODINGS.contains(&(thrift.zigzag()? as i32));
                        }
                        (7, 1) => dictionary_values = thrift.zigzag()?,
                        (8, 5 | 6) => levels = levels.saturating_add(thrift.zigzag()?),
                        (8, 7) => is_compressed = code == 1,
                        _ => thrift.skip(code)?,
                    }
                }
            }
            _ => thrift.skip(code)?,
        }
    }
    let size = |size: i64| u64::try_from(size).map_err(|_| Unread::Damaged);
    Ok(PageHeader {
        length: thrift.at as u64,
        compressed: size(compressed)?,
        decompressed: size(decompressed)?,
        levels: size(levels)?,
        is_compressed,
        dictionary_values: size(dictionary_values)?,
        has_lengths,
    })
}

pub(super) fn too_large(limits: Limits) -> Error {
    invalid(format!(
        "the pages of the file decompress to more than {} bytes",
        limits.decompressed_bytes
    ))
}

pub(super) fn damaged() -> Error {
    invalid(
        "the file is no valid Parquet: a page lies outside of its column, or its header is damaged",
    )
}
