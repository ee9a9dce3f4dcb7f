//! Valid files are checked against limits that they exceed.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::properties::WriterVersion;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StructArray};
use arrow_schema::{DataType, Field};
use bytes::Bytes;

use super::super::ranges::Ranges;
use super::super::sample::{with_encoding, written};
use super::page_sizes::PageBytes;
use super::*;
use crate::error::{Error, Result};
use crate::table::read::Limits;
use crate::table::read::source::Source;

fn limits() -> GuardLimits {
    GuardLimits::of(Limits::default())
}

fn message<T>(checked: Result<T>) -> String {
    let error: Error = checked.err().expect("should be refused");
    error.message().to_owned()
}

fn opened(content: Vec<u8>) -> (Source, Arc<ParquetMetaData>) {
    let source = Source::from(Bytes::from(content));
    let options = ArrowReaderOptions::new();
    let metadata = ArrowReaderMetadata::load(&Ranges(source.clone()), options).expect("valid");
    (source, Arc::clone(metadata.metadata()))
}

fn pages(content: Vec<u8>, limits: GuardLimits) -> Result<PageBytes> {
    let (source, metadata) = opened(content);
    check_pages(&source, &metadata, limits)
}

fn numbers() -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(
        (0..1000).map(|i| f64::from(i % 100)),
    ))
}

#[test]
fn the_length_of_the_footer_is_limited() {
    let content = written(vec![("a", numbers())], Compression::UNCOMPRESSED);
    let source = Source::from(Bytes::from(content.clone()));
    check_footer(&source, limits()).expect("sound");
    let tail = content.len() - 8;
    let length = u32::from_le_bytes(content[tail..tail + 4].try_into().expect("four bytes"));
    let low = GuardLimits {
        footer_bytes: 10,
        ..limits()
    };
    assert_eq!(
        message(check_footer(&source, low)),
        format!("the footer has {length} bytes; at most 10 can be read")
    );
}

#[test]
fn the_depth_of_groups_is_limited() {
    let number = Field::new("x", DataType::Int64, false);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let group = StructArray::from(vec![(Arc::new(number), values)]);
    let source = Source::from(Bytes::from(written(
        vec![("g", Arc::new(group))],
        Compression::UNCOMPRESSED,
    )));
    // the root is a group, too
    let within = |groups| check_footer(&source, GuardLimits { groups, ..limits() });
    within(2).expect("sound");
    assert_eq!(
        message(within(1)),
        "the file is no valid Parquet: its metadata is damaged, or nested too deeply"
    );
}

#[test]
fn the_size_of_decompressed_pages_is_limited() {
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
    ] {
        let content = written(vec![("a", numbers())], codec);
        assert!(pages(content.clone(), limits()).is_ok());
        let low = GuardLimits {
            page_bytes: 799,
            ..limits()
        };
        // the dictionary of 100 numbers is the largest page, or the indices into it are
        let refusal = message(pages(content.clone(), low));
        assert!(
            refusal.starts_with("column \"a\": a page decompresses to ")
                && refusal.ends_with(" bytes; at most 799 can be read"),
            "{refusal}"
        );
        let low = GuardLimits {
            decompressed_bytes: 799,
            ..limits()
        };
        let refused = pages(content, low);
        // uncompressed pages cost no more than the file itself
        assert_eq!(refused.is_err(), codec != Compression::UNCOMPRESSED);
    }
}

#[test]
fn the_number_of_texts_in_length_encodings_is_limited() {
    let texts = ["one", "two", "three"].map(Some);
    for encoding in [
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let within = |page_texts| {
                let limits = GuardLimits {
                    page_texts,
                    ..limits()
                };
                pages(with_encoding(&texts, encoding, version), limits)
            };
            within(3).expect("sound");
            assert_eq!(
                message(within(2)),
                "column \"t\": a page claims 3 texts; at most 2 can be read"
            );
        }
    }
}

#[test]
fn texts_that_share_a_prefix_count_in_full() {
    let texts = vec![Some("the same text of thirty bytes."); 100];
    let version = WriterVersion::PARQUET_1_0;
    let content = with_encoding(&texts, Encoding::DELTA_BYTE_ARRAY, version);
    assert!(content.len() < 1000);
    let within = |decompressed_bytes| {
        let limits = GuardLimits {
            decompressed_bytes,
            ..limits()
        };
        pages(content.clone(), limits)
    };
    let pages = within(4000).expect("they have 3000 bytes");
    assert!(pages.held < 1000 && pages.all >= 3000, "{pages:?}");
    assert_eq!(
        message(within(2900)),
        "column \"t\": the pages of the file decompress to more than 2900 bytes"
    );
}
