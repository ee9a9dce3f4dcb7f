use std::io::Write as _;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::file::statistics::Statistics;
use arrow_array::types::Int32Type;
use arrow_array::*;
use bytes::Bytes;

use super::sample::{with_encoding, written, written_as};
use super::*;
use crate::context::{Context, Progress, stage};
use crate::table::MAX_CELLS;
use crate::table::read::{FileOptions, scan};
use crate::table::{ColumnView, MISSING_TIME};

fn read_bytes(content: Vec<u8>, decompressed_bytes: u64) -> Result<Table> {
    read(
        &Source::from(Bytes::from(content)),
        Limits { decompressed_bytes },
        MAX_CELLS,
        &mut |_| Ok(()),
    )
}

fn refusal(content: Vec<u8>, decompressed_bytes: u64) -> String {
    let error = read_bytes(content, decompressed_bytes).expect_err("should be refused");
    error.message().to_owned()
}

#[test]
fn every_type_has_its_column() {
    let dictionary: DictionaryArray<Int32Type> = [Some("a"), None, Some("b")].into_iter().collect();
    let numbers = DictionaryArray::<Int32Type>::new(
        Int32Array::from(vec![Some(1), None, Some(0)]),
        Arc::new(Int64Array::from(vec![7, 8])),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i8",
            Arc::new(Int8Array::from(vec![Some(-1), None, Some(3)])),
        ),
        (
            "u64",
            Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])),
        ),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(0.5), None, Some(-2.0)])),
        ),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(12345), None, Some(-1)])
                    .with_precision_and_scale(10, 2)
                    .expect("valid"),
            ),
        ),
        (
            "bool",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "large",
            Arc::new(LargeStringArray::from(vec![
                Some("x"),
                None,
                Some("a string of more than twelve bytes"),
            ])),
        ),
        (
            "view",
            Arc::new(StringViewArray::from(vec![
                Some("y"),
                None,
                Some("a string of more than twelve bytes"),
            ])),
        ),
        ("dictionary", Arc::new(dictionary)),
        ("number dictionary", Arc::new(numbers)),
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(1), None, Some(-1)])),
        ),
        (
            "ms",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(1500), None, Some(-1)])
                    .with_timezone("+02:00"),
            ),
        ),
        ("null", Arc::new(NullArray::new(3))),
    ];
    let table = read_bytes(written(columns, Compression::SNAPPY), 1 << 20).expect("valid");
    let numbers = |column: usize| match table.column(column) {
        ColumnView::Numbers(v) | ColumnView::Booleans(v) => (v[0], v[1].is_nan(), v[2]),
        _ => panic!("column {column} holds no numbers"),
    };
    assert_eq!(numbers(0), (-1.0, true, 3.0));
    assert_eq!(numbers(1), (1.0, true, u64::MAX as f64));
    assert_eq!(numbers(2), (0.5, true, -2.0));
    assert_eq!(numbers(3), (123.45, true, -0.01));
    assert_eq!(numbers(4), (1.0, true, 0.0));
    assert_eq!(numbers(8), (8.0, true, 7.0));
    for (column, first, last) in [
        (5, "x", "a string of more than twelve bytes"),
        (6, "y", "a string of more than twelve bytes"),
        (7, "a", "b"),
    ] {
        assert!(
            matches!(table.column(column), ColumnView::Texts(t) if t.get(0) == Some(first) && t.get(1).is_none() && t.get(2) == Some(last))
        );
    }
    const DAY: i64 = 86_400_000_000_000;
    assert!(matches!(table.column(9), ColumnView::Times(t) if t == [DAY, MISSING_TIME, -DAY]));
    assert!(
        matches!(table.column(10), ColumnView::Times(t) if t == [1_500_000_000, MISSING_TIME, -1_000_000])
    );
    assert!(matches!(table.column(11), ColumnView::Numbers(v) if v.iter().all(|v| v.is_nan())));
}

#[test]
fn a_nan_is_missing_whatever_the_statistics_say() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![5.0, f64::NAN, 5.0]));
    let rows: ArrayRef = Arc::new(Int32Array::from(vec![0, 1, 2]));
    let columns = vec![("x", numbers), ("row", rows)];
    let content = written(columns, Compression::SNAPPY);
    let file = SerializedFileReader::new(Bytes::from(content.clone())).expect("valid");
    let Some(Statistics::Double(of_x)) = file.metadata().row_group(0).column(0).statistics() else {
        panic!("the column has no statistics");
    };
    assert_eq!((of_x.min_opt(), of_x.max_opt()), (Some(&5.0), Some(&5.0)));
    let table = read_bytes(content, 1 << 20).expect("valid");
    assert!(
        matches!(table.column(0), ColumnView::Numbers(x) if x.len() == 3 && x[0] == 5.0 && x[1].is_nan() && x[2] == 5.0)
    );
    assert!(matches!(table.column(1), ColumnView::Numbers(row) if row.to_vec() == [0.0, 1.0, 2.0]));
}

#[test]
fn a_page_with_a_single_missing_value_is_read() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("number", Arc::new(Float64Array::from(vec![None]))),
                ("text", Arc::new(StringArray::from(vec![None::<&str>]))),
                ("time", Arc::new(Date32Array::from(vec![None]))),
            ];
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_compression(codec)
                .build();
            let table = read_bytes(written_as(columns, properties), 1 << 20).expect("valid");
            assert_eq!(table.n_rows(), 1);
            assert!(matches!(table.column(0), ColumnView::Numbers(x) if x[0].is_nan()));
            assert!(matches!(table.column(1), ColumnView::Texts(t) if t.get(0).is_none()));
            assert!(matches!(table.column(2), ColumnView::Times(t) if t == [MISSING_TIME]));
        }
    }
}

#[test]
fn other_types_are_refused_by_name() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]);
    let refusal = refusal(
        written(vec![("tags", Arc::new(list))], Compression::SNAPPY),
        1 << 20,
    );
    assert!(
        refusal.starts_with("column \"tags\" has the type List("),
        "{refusal}"
    );
    assert!(refusal.ends_with("only numbers, booleans, text, dates and timestamps can be read"));
}

#[test]
fn times_that_nanoseconds_cannot_tell_are_refused() {
    let date = Date32Array::from(vec![2_932_896]);
    let refusal = refusal(
        written(vec![("until", Arc::new(date))], Compression::SNAPPY),
        1 << 20,
    );
    assert!(
        refusal.starts_with("column \"until\": the time in row 0"),
        "{refusal}"
    );
}

#[test]
fn pages_that_decompress_to_too_much_are_refused() {
    let zeros: ArrayRef = Arc::new(Float64Array::from_iter_values(
        (0..200_000).map(|i| f64::from(i % 1000)),
    ));
    for codec in [
        Compression::SNAPPY,
        Compression::ZSTD(Default::default()),
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ] {
        let content = written(vec![("a", Arc::clone(&zeros))], codec);
        assert_eq!(
            read_bytes(content.clone(), 1 << 30)
                .expect("valid")
                .n_rows(),
            200_000
        );
        assert_eq!(
            refusal(content, 1000),
            "column \"a\": the pages of the file decompress to more than 1000 bytes"
        );
    }
}

#[test]
fn a_long_string_that_all_rows_share_is_in_memory_once() {
    let long = "x".repeat(100_000);
    let keys = Int32Array::from(vec![0; 2_000]);
    let shared =
        DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(vec![long.as_str()])));
    let content = written(
        vec![("t", Arc::new(shared))],
        Compression::ZSTD(Default::default()),
    );
    // in each row it would take 200 MB
    let table = read_bytes(content, 1 << 26).expect("valid");
    assert!(
        matches!(table.column(0), ColumnView::Texts(t) if t.dictionary().len() == 1 && t.len() == 2_000)
    );
}

#[test]
fn all_pages_are_asked_for_if_there_are_texts() {
    let texts: Vec<String> = (0..100).map(|i| format!("{i:>10000}")).collect();
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100));
    let asked = |column: &ArrayRef| {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(10)
            .set_write_batch_size(10)
            .set_compression(Compression::SNAPPY)
            .build();
        let content = written_as(vec![("a", Arc::clone(column))], properties);
        let mut n_bytes = 0;
        let (source, limits) = (Source::from(Bytes::from(content)), Limits::default());
        let table = read(&source, limits, MAX_CELLS, &mut |more| {
            n_bytes += more;
            Ok(())
        });
        table.expect("valid");
        n_bytes
    };
    let of_texts = asked(&texts);
    assert!((1_100_000..1_120_000).contains(&of_texts), "{of_texts}");
    assert!(asked(&numbers) < 100, "a page of ten numbers");
}

#[test]
fn damaged_files_say_so() {
    for content in [
        b"PAR1".to_vec(),
        b"PAR1PAR1".to_vec(),
        b"PAR1\0\0\0\0\xff\0\0\0PAR1".to_vec(),
    ] {
        assert!(refusal(content, 1 << 20).starts_with("the file is no valid Parquet: "));
    }
    let content = written(
        vec![("a", Arc::new(Float64Array::from(vec![1.0; 100])))],
        Compression::UNCOMPRESSED,
    );
    assert!(
        refusal(content[..content.len() - 9].to_vec(), 1 << 20)
            .starts_with("the file is no valid Parquet: ")
    );
}

const LENGTH_ENCODINGS: [Encoding; 2] = [
    Encoding::DELTA_LENGTH_BYTE_ARRAY,
    Encoding::DELTA_BYTE_ARRAY,
];

#[test]
fn texts_in_length_encodings_are_read_whatever_their_lengths() {
    let long = "abcdefgh".repeat(50);
    for n_rows in [1, 2, 33, 129, 1000] {
        let texts: Vec<Option<&str>> = (0..n_rows)
            .map(|row| (row % 7 != 3).then(|| &long[..row * row % 401]))
            .collect();
        let without: Vec<Option<&str>> = texts.iter().map(|text| text.or(Some(""))).collect();
        for texts in [texts, without, vec![None; n_rows]] {
            for encoding in LENGTH_ENCODINGS {
                for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                    let content = with_encoding(&texts, encoding, version);
                    let table = read_bytes(content, 1 << 20).expect("valid");
                    let ColumnView::Texts(read) = table.column(0) else {
                        panic!("the column holds no texts");
                    };
                    let read: Vec<Option<&str>> = (0..n_rows).map(|row| read.get(row)).collect();
                    assert_eq!(read, texts, "{encoding} {version:?}");
                }
            }
        }
    }
}

#[test]
fn the_largest_page_of_each_column_is_held_at_a_time() {
    let column = |from: u32| -> ArrayRef {
        let values = (from..from + 1000).map(f64::from);
        Arc::new(Float64Array::from_iter_values(values))
    };
    let columns = [("a", column(0)), ("b", column(7)), ("c", column(9))];
    let batch = RecordBatch::try_from_iter(columns).expect("valid");
    for (page_rows, dictionary, least) in
        [(1000, false, 8000), (100, false, 800), (100, true, 8000)]
    {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(page_rows)
            .set_compression(Compression::SNAPPY)
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("valid");
        for _ in 0..2 {
            writer.write(&batch).expect("to memory");
            writer.flush().expect("a row group");
        }
        let source = Source::from(Bytes::from(writer.into_inner().expect("to memory")));
        let mut file = ParquetFile::open(&source, Limits::default()).expect("valid");
        let of_column = file.page_bytes / 3;
        assert!((least..least + 300).contains(&of_column), "{of_column}");
        for (page_bytes, is_small) in [
            (MAX_OPEN_PAGE_BYTES, true),
            (MAX_OPEN_PAGE_BYTES + 1, false),
        ] {
            file.page_bytes = page_bytes;
            assert_eq!(file.check_page_bytes().is_ok(), is_small);
        }
    }
}

#[test]
fn a_scan_that_reads_some_bytes_twice_counts_no_more_than_there_are() {
    let column: ArrayRef = Arc::new(Float64Array::from_iter_values((0..1000).map(f64::from)));
    let content = written(vec![("a", column)], Compression::SNAPPY);
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&content).expect("to disk");
    let source = Source::from_file(file).expect("a file");
    let progress = Progress::new(stage::SCANNING);
    let context = Context::new().reporting(Some(&progress));
    scan(
        &source,
        &FileOptions::default(),
        Limits::default(),
        &context,
    )
    .expect("valid");
    let reached = progress.reached();
    let n_bytes = content.len() as u64;
    assert_eq!((reached.done, reached.total), (n_bytes, Some(n_bytes)));
}
