use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::*;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;
use crate::table::{ColumnView, MISSING_TIME};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("valid")
}

fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .expect("valid");
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options)
        .expect("valid");
    for batch in batches {
        writer.write(batch).expect("to memory");
    }
    writer.into_inner().expect("to memory")
}

fn refusal(content: &[u8], decompressed_bytes: u64) -> String {
    let error = read(
        content,
        Limits { decompressed_bytes },
        MAX_CELLS,
        &mut |_| Ok(()),
    )
    .expect_err("should be refused");
    error.message().to_owned()
}

#[test]
fn types_that_parquet_lacks_are_read_too() {
    let dictionary: DictionaryArray<Int8Type> = [Some("b"), None, Some("a")].into_iter().collect();
    let values = Arc::new(Date64Array::from(vec![86_400_000, 0]));
    let dates =
        DictionaryArray::<Int8Type>::new(Int8Array::from(vec![Some(0), None, Some(1)]), values);
    let halves: Float16Array = [1.5_f32, 0.0, -2.0].map(half_of).into_iter().collect();
    let batch = batch(vec![
        ("dictionary", Arc::new(dictionary)),
        ("dates", Arc::new(dates)),
        ("halves", Arc::new(halves)),
        (
            "views",
            Arc::new(StringViewArray::from(vec![
                Some("a string of more than twelve bytes"),
                None,
                Some("s"),
            ])),
        ),
        (
            "seconds",
            Arc::new(TimestampSecondArray::from(vec![Some(2), None, Some(-2)])),
        ),
        (
            "wide",
            Arc::new(
                Decimal256Array::from(vec![Some(150.into()), None, Some((-1).into())])
                    .with_precision_and_scale(60, 1)
                    .expect("valid"),
            ),
        ),
    ]);
    for compression in [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ] {
        let table = read(
            &stream(std::slice::from_ref(&batch), compression),
            Limits::default(),
            MAX_CELLS,
            &mut |_| Ok(()),
        )
        .expect("valid");
        assert!(
            matches!(table.column(0), ColumnView::Texts(t) if t.dictionary().iter().eq(["b", "a"]) && t.get(1).is_none())
        );
        assert!(
            matches!(table.column(1), ColumnView::Times(t) if t == [86_400_000_000_000, MISSING_TIME, 0])
        );
        assert!(
            matches!(table.column(2), ColumnView::Numbers(v) if v.to_vec() == [1.5, 0.0, -2.0])
        );
        assert!(
            matches!(table.column(3), ColumnView::Texts(t) if t.get(0) == Some("a string of more than twelve bytes"))
        );
        assert!(
            matches!(table.column(4), ColumnView::Times(t) if t == [2_000_000_000, MISSING_TIME, -2_000_000_000])
        );
        assert!(
            matches!(table.column(5), ColumnView::Numbers(v) if v[0] == 15.0 && v[1].is_nan() && v[2] == -0.1)
        );
    }
}

#[test]
fn decimals_of_more_than_128_bits_are_rounded_once() {
    let wide = |digits: &str| arrow_buffer::i256::from_string(digits).expect("fits");
    let ten_to_50 = format!("1{}", "0".repeat(50));
    let values = [
        wide(&ten_to_50),
        wide(&format!("-{ten_to_50}")),
        wide("123456789012345678901234567890"),
    ];
    let column = Decimal256Array::from(values.to_vec())
        .with_precision_and_scale(76, 20)
        .expect("valid");
    let batch = batch(vec![("a", Arc::new(column))]);
    let content = stream(&[batch], None);
    let table = read(&content, Limits::default(), MAX_CELLS, &mut |_| Ok(())).expect("valid");
    assert!(
        matches!(table.column(0), ColumnView::Numbers(v) if v.to_vec() == [1e30, -1e30, 1_234_567_890.123_456_7])
    );
}

fn half_of(value: f32) -> <types::Float16Type as ArrowPrimitiveType>::Native {
    <types::Float16Type as ArrowPrimitiveType>::Native::from_f32(value)
}

#[test]
fn damage_and_lies_are_refused() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 10_000]));
    let batch = batch(vec![("a", numbers)]);
    let plain = stream(std::slice::from_ref(&batch), None);
    assert_eq!(
        refusal(&plain[..plain.len() - 100], 1 << 20),
        "the Arrow data is cut off"
    );
    assert!(refusal(&plain, 1000).contains("write smaller record batches"));
    assert!(
        refusal(&stream(&[batch], Some(CompressionType::ZSTD)), 10_000)
            .contains("decompresses to more than 10000 bytes")
    );
    // the header of a message of 256 bytes, and nothing after it
    let message = b"\xff\xff\xff\xff\0\x01\0\0";
    assert_eq!(refusal(message, 256), "the Arrow data is cut off");
    assert!(refusal(message, 255).contains("write smaller record batches"));
    assert!(refusal(b"\xff\xff\xff\xff\xff\xff\xff\xff", 256).contains("negative length"));
    assert_eq!(
        refusal(b"\xff\xff\xff\xff\0\0\0\0", 1 << 20),
        "the Arrow data has no schema"
    );
    assert!(refusal(b"ARROW1\0\0PAR1", 1 << 20).contains("does not begin as it should"));
}

#[test]
fn repeated_names_and_other_types_are_refused() {
    let one: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let schema = Schema::new(vec![
        arrow_schema::Field::new("a", arrow_schema::DataType::Float64, true),
        arrow_schema::Field::new("a", arrow_schema::DataType::Float64, true),
    ]);
    let twice = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&one), one]).expect("valid");
    assert_eq!(
        refusal(&stream(&[twice], None), 1 << 20),
        "columns 0 and 1 are both named \"a\"; names must be unique"
    );
    let binary = batch(vec![("b", Arc::new(BinaryArray::from(vec![&b"x"[..]])))]);
    assert_eq!(
        refusal(&stream(&[binary], None), 1 << 20),
        "column \"b\" has the type Binary; only numbers, booleans, text, dates and timestamps can be read"
    );
}

/// The memory that reading a file asks for.
fn asked(content: &[u8]) -> usize {
    let mut n_bytes = 0;
    let table = read(content, Limits::default(), MAX_CELLS, &mut |more| {
        n_bytes += more;
        Ok(())
    });
    table.expect("valid");
    n_bytes
}

#[test]
fn what_is_compressed_inside_is_asked_for() {
    const N: usize = 1 << 20;
    let text = |byte: &str| -> ArrayRef { Arc::new(StringArray::from(vec![byte.repeat(N)])) };
    let batches = ["a", "b", "c"].map(|byte| batch(vec![("t", text(byte))]));
    let content = stream(&batches, Some(CompressionType::ZSTD));
    assert!(content.len() < 10_000);
    // all texts, and the bytes of one batch
    let n_bytes = asked(&content);
    assert!((4 * N..4 * N + 1000).contains(&n_bytes), "{n_bytes}");

    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 1000]));
    let numbers = vec![batch(vec![("a", numbers)]); 3];
    let content = stream(&numbers, Some(CompressionType::ZSTD));
    let n_bytes = asked(&content);
    assert!((8000..9000).contains(&n_bytes), "{n_bytes}");
    assert_eq!(asked(&stream(&numbers, None)), 0, "it is in the file");
}

#[test]
fn dictionaries_are_bounded_together() {
    const N: usize = 100_000;
    let column = |byte: &str| -> ArrayRef {
        let text = byte.repeat(N);
        Arc::new(DictionaryArray::<Int8Type>::from_iter([text.as_str()]))
    };
    let columns = vec![("a", column("a")), ("b", column("b"))];
    let content = stream(&[batch(columns)], Some(CompressionType::ZSTD));
    assert!(
        refusal(&content, 3 * N as u64 / 2).starts_with("the dictionaries take more than 150000 ")
    );
    // the dictionaries, and each text twice
    let n_bytes = asked(&content);
    assert!((6 * N..6 * N + 2000).contains(&n_bytes), "{n_bytes}");
    let mut file = IpcFile::open(&content[..], Limits::default()).expect("valid");
    while file.next_columns().expect("valid").is_some() {}
    assert!((2 * N as u64..3 * N as u64).contains(&file.most_held));
}
