//! The sizes that the pages of a Parquet file claim, read before the pages are.
//!
//! The reader takes memory for what the header of a page says that it decompresses to, and some codecs go on beyond that. It
//! also takes memory for as many values as a dictionary says to have; [`page_lengths`](super::page_lengths) looks at what
//! other pages say of that inside.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::source::Source;
use super::{Limits, page_lengths};
use crate::error::{Error, Result};
use crate::table::{invalid, shortened};

/// The largest page, decompressed. Writers aim at 1 MiB.
pub(super) const MAX_PAGE_BYTES: u64 = 1 << 28;
/// DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const LENGTH_ENCODINGS: [i64; 2] = [6, 7];
/// The longest header of a page; statistics in it may hold long strings.
const MAX_HEADER_BYTES: usize = 1 << 24;

/// Checks every page of a file against the limits.
pub(super) fn check(source: &Source, metadata: &ParquetMetaData, limits: Limits) -> Result<()> {
    let mut decompressed = 0_u64;
    for row_group in metadata.row_groups() {
        let n_rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        for chunk in row_group.columns() {
            let checked = check_chunk(source, chunk, n_rows, decompressed, limits);
            decompressed = checked.map_err(|error| {
                let name = chunk.column_descr().name();
                error.during(&format!("column {}", shortened(name)))
            })?;
        }
    }
    Ok(())
}

fn check_chunk(
    source: &Source,
    chunk: &ColumnChunkMetaData,
    n_rows: usize,
    mut decompressed: u64,
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
    while at < end {
        let header = read_header(source, at, end)?;
        at += header.length;
        if header.compressed > end - at {
            return Err(damaged());
        }
        decompressed = decompressed.saturating_add(header.decompressed);
        if header.decompressed > MAX_PAGE_BYTES {
            return Err(invalid(format!(
                "a page decompresses to {} bytes; at most {MAX_PAGE_BYTES} can be read",
                header.decompressed
            )));
        }
        if compression != Compression::UNCOMPRESSED && decompressed > limits.decompressed_bytes {
            return Err(invalid(format!(
                "the pages of the file decompress to more than {} bytes",
                limits.decompressed_bytes
            )));
        }
        if matches!(compression, Compression::GZIP(_)) && header.is_compressed {
            check_gzip(source, at, &header)?;
        }
        check_dictionary(chunk, &header)?;
        has_lengths |= header.has_lengths;
        at += header.compressed;
    }
    if has_lengths {
        page_lengths::check(source, chunk, n_rows, decompressed, limits)
    } else {
        Ok(decompressed)
    }
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
        match Thrift::new(&bytes).page_header() {
            Some(header) => return header,
            // the header may be longer than what was read of it
            None if available == size && size < MAX_HEADER_BYTES => size *= 8,
            None => return Err(damaged()),
        }
    }
}

/// As much of Thrift's compact protocol as headers of pages need. `None` is the end of the bytes.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Thrift<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn page_header(mut self) -> Option<Result<PageHeader>> {
        let (mut decompressed, mut compressed, mut levels) = (None, None, 0_i64);
        let (mut is_compressed, mut has_lengths, mut dictionary_values) = (true, false, 0_i64);
        let mut field = 0;
        while let Some(kind) = self.field(&mut field)? {
            match (field, kind) {
                (2, 5) => decompressed = Some(self.zigzag()?),
                (3, 5) => compressed = Some(self.zigzag()?),
                // the headers of data pages, of dictionaries, and of data pages of version 2
                (5 | 7 | 8, 12) => {
                    let mut inner = 0;
                    while let Some(kind) = self.field(&mut inner)? {
                        match (field, inner, kind) {
                            (8, 5 | 6, 5) => levels = levels.saturating_add(self.zigzag()?),
                            (8, 7, 1 | 2) => is_compressed = kind == 1,
                            (5, 2, 5) | (8, 4, 5) => {
                                has_lengths |= LENGTH_ENCODINGS.contains(&self.zigzag()?);
                            }
                            (7, 1, 5) => dictionary_values = self.zigzag()?.max(dictionary_values),
                            _ => {
                                if let Err(error) = self.skip(kind, 0)? {
                                    return Some(Err(error));
                                }
                            }
                        }
                    }
                }
                _ => {
                    if let Err(error) = self.skip(kind, 0)? {
                        return Some(Err(error));
                    }
                }
            }
        }
        let size = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok());
        let sizes = size(decompressed)
            .zip(size(compressed))
            .zip(size(Some(levels)));
        let header = sizes.map(|((decompressed, compressed), levels)| PageHeader {
            length: self.at as u64,
            compressed,
            decompressed,
            levels,
            is_compressed,
            dictionary_values: dictionary_values as u64,
            has_lengths,
        });
        Some(header.ok_or_else(damaged))
    }

    /// The type of the next field of a struct, whose number is put into `field`; `Some(None)` at the end of the struct.
    fn field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        let kind = byte & 0x0f;
        if kind == 0 {
            return Some(None);
        }
        match byte >> 4 {
            0 => *field = self.zigzag()?,
            delta => *field = field.saturating_add(i64::from(delta)),
        }
        Some(Some(kind))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<Result<()>> {
        const MAX_DEPTH: usize = 16;
        if depth > MAX_DEPTH {
            return Some(Err(damaged()));
        }
        match kind {
            1 | 2 => {}
            3 => self.at += 1,
            4..=6 => {
                self.varint()?;
            }
            7 => self.at += 8,
            8 => {
                let length = self.varint()?;
                self.at = self
                    .at
                    .saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            }
            9 | 10 => {
                let byte = self.byte()?;
                let n = match byte >> 4 {
                    15 => self.varint()?,
                    n => u64::from(n),
                };
                // booleans in lists take a byte each
                let kind = if byte & 0x0f <= 2 { 3 } else { byte & 0x0f };
                for _ in 0..n {
                    if let Err(error) = self.skip(kind, depth + 1)? {
                        return Some(Err(error));
                    }
                }
            }
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    if let Err(error) = self.skip(kind, depth + 1)? {
                        return Some(Err(error));
                    }
                }
            }
            _ => return Some(Err(damaged())),
        }
        (self.at <= self.bytes.len()).then_some(Ok(()))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

pub(super) fn damaged() -> Error {
    invalid(
        "the file is no valid Parquet: a page lies outside of its column, or its header is damaged",
    )
}
