//! Checks the headers of pages: how many bytes each claims to decompress to, whether gzip complies with that, and how many
//! values a dictionary claims.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::limits::GuardLimits;
use super::metadata::PAGE_HEADER;
use super::page_lengths;
use super::refusals::{damaged, too_large};
use super::thrift::{Thrift, Unread};
use crate::error::Result;
use crate::table::read::source::Source;
use crate::table::{invalid, shortened};

/// DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const LENGTH_ENCODINGS: [i32; 2] = [6, 7];
/// The longest header of a page, whose statistics may hold long strings.
const MAX_HEADER_BYTES: usize = 1 << 24;

/// The bytes of the pages of a file, decompressed.
#[derive(Debug, Clone, Copy)]
pub(in crate::table::read::parquet) struct PageBytes {
    /// Those that a reader holds when it reads all columns of a row group at once.
    pub(in crate::table::read::parquet) held: u64,
    /// All, with texts that share a prefix written out.
    pub(in crate::table::read::parquet) all: u64,
}

/// Checks every page of a file against the limits.
pub(in crate::table::read::parquet) fn check(
    source: &Source,
    metadata: &ParquetMetaData,
    limits: GuardLimits,
) -> Result<PageBytes> {
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
    Ok(PageBytes {
        held: most_held,
        all: decompressed,
    })
}

/// Checks the pages of a column chunk, and adds their decompressed size. Returns the bytes of its dictionary and its largest
/// page.
fn check_chunk(
    source: &Source,
    chunk: &ColumnChunkMetaData,
    n_rows: usize,
    decompressed: &mut u64,
    limits: GuardLimits,
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
        if header.decompressed > limits.page_bytes {
            return Err(invalid(format!(
                "a page decompresses to {} bytes; at most {} can be read",
                header.decompressed, limits.page_bytes
            )));
        }
        if compression != Compression::UNCOMPRESSED && *decompressed > limits.decompressed_bytes {
            return Err(too_large(limits.decompressed_bytes));
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

/// Checks the number of values of a dictionary, which are stored one after the other, each in at least its width.
fn check_dictionary(chunk: &ColumnChunkMetaData, header: &PageHeader) -> Result<()> {
    let column = chunk.column_descr();
    let least_width = match column.physical_type() {
        Type::BOOLEAN => 1,
        // the length of each text
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

/// The gzip decoder has no limit of its own, so the page is decompressed to check that it is no larger than its header claims.
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
    /// The size of the header itself.
    length: u64,
    compressed: u64,
    decompressed: u64,
    /// The size of the uncompressed levels at the start of a version 2 page.
    levels: u64,
    is_compressed: bool,
    /// How many values a dictionary claims; 0 for other pages.
    dictionary_values: u64,
    /// Whether the lengths of texts are stored separately, with a count of their own.
    has_lengths: bool,
}

fn read_header(source: &Source, at: u64, end: u64) -> Result<PageHeader> {
    let mut size = 512;
    loop {
        let available = (end - at).min(size as u64) as usize;
        let bytes = source.bytes(at, available).map_err(|_| damaged())?;
        match page_header(&bytes) {
            Ok(header) => return Ok(header),
            // the header may be longer than the part that was read
            Err(Unread::Ended) if available == size && size < MAX_HEADER_BYTES => size *= 8,
            Err(_) => return Err(damaged()),
        }
    }
}

/// The header of a page, at the start of the bytes.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use bytes::Bytes;

    use super::super::super::ranges::Ranges;
    use super::super::super::sample::written;
    use super::*;

    /// The only column chunk of a file, and where its pages begin.
    fn opened(column: ArrayRef, codec: Compression) -> (Source, ColumnChunkMetaData, u64) {
        let source = Source::from(Bytes::from(written(vec![("a", column)], codec)));
        let metadata =
            ArrowReaderMetadata::load(&Ranges(source.clone()), ArrowReaderOptions::new());
        let chunk = metadata
            .expect("valid")
            .metadata()
            .row_group(0)
            .column(0)
            .clone();
        let start = chunk.dictionary_page_offset().expect("a dictionary") as u64;
        (source, chunk, start)
    }

    #[test]
    fn a_dictionary_has_no_more_values_than_its_page_has_room_for() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        for (column, size) in [(texts, 15), (numbers, 24)] {
            for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
                let (source, chunk, start) = opened(Arc::clone(&column), codec);
                let mut header = read_header(&source, start, source.len()).expect("sound");
                assert_eq!((header.dictionary_values, header.decompressed), (3, size));
                check_dictionary(&chunk, &header).expect("sound");
                header.dictionary_values = 4;
                let error = check_dictionary(&chunk, &header).expect_err("one too many");
                assert_eq!(
                    error.message(),
                    format!("a dictionary of 4 values does not fit into a page of {size} bytes")
                );
            }
        }
    }

    #[test]
    fn gzip_data_longer_than_the_header_claims_is_refused() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let (source, _, start) = opened(column, Compression::GZIP(Default::default()));
        let mut header = read_header(&source, start, source.len()).expect("sound");
        let at = start + header.length;
        check_gzip(&source, at, &header).expect("sound");
        header.decompressed -= 1;
        let error = check_gzip(&source, at, &header).expect_err("a byte too many");
        assert_eq!(
            error.message(),
            "a page decompresses to more than its header says"
        );
    }
}
