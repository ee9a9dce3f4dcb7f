//! Parquet of several encodings and codecs, and Arrow IPC with dictionaries.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
    Int32Array, Int64Array, NullArray, RecordBatch, StringArray, StringViewArray,
    TimestampMillisecondArray, UInt8Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::Seed;
use super::texts::summarised;

type Columns = Vec<(&'static str, ArrayRef)>;

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add =
        |target, name: &str, content: Vec<u8>| seeds.push(Seed::new(target, name, content));

    let codecs = [
        ("uncompressed", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(Default::default())),
        ("lz4-raw", Compression::LZ4_RAW),
        ("zstd", Compression::ZSTD(Default::default())),
    ];
    for (name, codec) in codecs {
        let file = parquet(&numbers_and_texts(), |p| p.set_compression(codec));
        add("parquet", name, file);
    }
    let encodings = [
        ("delta-numbers", Encoding::DELTA_BINARY_PACKED, integers()),
        ("delta-texts", Encoding::DELTA_BYTE_ARRAY, texts()),
        ("delta-lengths", Encoding::DELTA_LENGTH_BYTE_ARRAY, texts()),
        ("byte-stream-split", Encoding::BYTE_STREAM_SPLIT, integers()),
        ("plain-texts", Encoding::PLAIN, texts()),
    ];
    for (name, encoding, columns) in encodings {
        let file = parquet(&columns, |p| {
            p.set_dictionary_enabled(false).set_encoding(encoding)
        });
        add("parquet", name, file);
    }
    add(
        "parquet",
        "times-and-others",
        parquet(&times_and_others(), |p| p),
    );
    let second = parquet(&numbers_and_texts(), |p| {
        p.set_writer_version(WriterVersion::PARQUET_2_0)
            .set_max_row_group_row_count(Some(2))
    });
    add("parquet", "version-2-in-groups", second.clone());
    add("summary", "parquet", summarised(&second));

    let named = [
        ("numbers-and-texts", numbers_and_texts()),
        ("integers", integers()),
        ("times-and-others", times_and_others()),
        ("dictionary", dictionary()),
    ];
    for (name, columns) in named {
        let options = IpcWriteOptions::default();
        add(
            "arrow_ipc",
            &format!("stream-{name}"),
            ipc_stream(&columns, options.clone()),
        );
        add(
            "arrow_ipc",
            &format!("file-{name}"),
            ipc_file(&columns, options),
        );
    }
    for (name, codec) in [
        ("lz4", CompressionType::LZ4_FRAME),
        ("zstd", CompressionType::ZSTD),
    ] {
        let options = IpcWriteOptions::default().try_with_compression(Some(codec));
        let file = ipc_stream(
            &numbers_and_texts(),
            options.expect("the codec is compiled in"),
        );
        add("arrow_ipc", &format!("stream-{name}"), file);
    }
    let stream = ipc_stream(&dictionary(), IpcWriteOptions::default());
    add("summary", "arrow-ipc", summarised(&stream));
    add("compressed", "gzip-arrow-ipc", [&[1], &stream[..]].concat());
    seeds
}

fn numbers_and_texts() -> Columns {
    vec![
        (
            "x",
            Arc::new(Float64Array::from(vec![
                Some(1.5),
                None,
                Some(-2.0),
                Some(1.5),
            ])),
        ),
        (
            "ok",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some("a"),
                Some("bc"),
                None,
                Some("a"),
            ])),
        ),
    ]
}

fn integers() -> Columns {
    vec![
        (
            "i",
            Arc::new(Int32Array::from(vec![1, -5, 100_000, i32::MAX, 0])),
        ),
        (
            "j",
            Arc::new(Int64Array::from(vec![
                Some(1),
                None,
                Some(i64::MIN),
                Some(7),
                Some(8),
            ])),
        ),
    ]
}

fn texts() -> Columns {
    let texts = vec![
        "",
        "prefix",
        "prefixed",
        "pre",
        "é and more than twelve bytes",
    ];
    vec![("text", Arc::new(StringArray::from(texts)))]
}

fn times_and_others() -> Columns {
    let times = vec![Some(1_700_000_000_000), None, Some(i64::MAX / 1_000_000)];
    let decimals = Decimal128Array::from(vec![Some(12_345), None, Some(-1)]);
    vec![
        (
            "t",
            Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC")),
        ),
        ("day", Arc::new(Date32Array::from(vec![0, 19_000, -1]))),
        (
            "money",
            Arc::new(decimals.with_precision_and_scale(9, 2).expect("fits")),
        ),
        ("small", Arc::new(UInt8Array::from(vec![0, 1, 255]))),
        ("nothing", Arc::new(NullArray::new(3))),
        (
            "view",
            Arc::new(StringViewArray::from(vec![
                "short",
                "longer than twelve bytes",
                "",
            ])),
        ),
    ]
}

fn dictionary() -> Columns {
    let texts: DictionaryArray<Int32Type> = [Some("a"), Some("b"), None, Some("a")]
        .into_iter()
        .collect();
    vec![
        ("text", Arc::new(texts)),
        ("n", Arc::new(UInt8Array::from(vec![1, 2, 3, 4]))),
    ]
}

fn batch(columns: &Columns) -> RecordBatch {
    let columns = columns
        .iter()
        .map(|(name, array)| (*name, Arc::clone(array), true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

fn parquet(
    columns: &Columns,
    with: impl FnOnce(
        parquet::file::properties::WriterPropertiesBuilder,
    ) -> parquet::file::properties::WriterPropertiesBuilder,
) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::None)
        .set_created_by("seed".to_owned());
    let options = ArrowWriterOptions::new()
        .with_properties(with(properties).build())
        .with_skip_arrow_metadata(true);
    let batch = batch(columns);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)
        .expect("columns that can be written");
    writer.write(&batch).expect("to memory");
    writer.into_inner().expect("to memory")
}

fn ipc_stream(columns: &Columns, options: IpcWriteOptions) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
        .expect("columns that can be written");
    writer.write(&batch).expect("to memory");
    writer.write(&batch.slice(1, 2)).expect("to memory");
    writer.into_inner().expect("to memory")
}

fn ipc_file(columns: &Columns, options: IpcWriteOptions) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
        .expect("columns that can be written");
    writer.write(&batch).expect("to memory");
    writer.into_inner().expect("to memory")
}
