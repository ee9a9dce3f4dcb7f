//! The same table in every format that a dataset may have.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};

/// Rows of `amount` (one is missing), `ok` and `shop`.
const ROWS: [(Option<f64>, bool, &str); 4] = [
    (Some(1.5), true, "kiosk"),
    (None, false, "bar"),
    (Some(4.5), true, "kiosk"),
    (Some(3.0), true, "bank"),
];

pub(super) fn csv() -> Vec<u8> {
    let mut csv = "amount,ok,shop\n".to_owned();
    for (amount, ok, shop) in ROWS {
        let amount = amount.map_or(String::new(), |amount| amount.to_string());
        csv += &format!("{amount},{ok},{shop}\n");
    }
    csv.into_bytes()
}

fn objects() -> Vec<String> {
    let object = |(amount, ok, shop): &(Option<f64>, bool, &str)| {
        serde_json::json!({"amount": amount, "ok": ok, "shop": shop}).to_string()
    };
    ROWS.iter().map(object).collect()
}

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        (
            "amount",
            Arc::new(ROWS.iter().map(|row| row.0).collect::<Float64Array>()),
        ),
        (
            "ok",
            Arc::new(ROWS.iter().map(|row| Some(row.1)).collect::<BooleanArray>()),
        ),
        (
            "shop",
            Arc::new(StringArray::from_iter_values(ROWS.iter().map(|row| row.2))),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

pub(super) fn parquet() -> Vec<u8> {
    parquet_of(&batch())
}

pub(super) fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).expect("to memory");
    writer.write(batch).expect("to memory");
    writer.close().expect("to memory");
    file
}

pub(super) fn ipc_of(batch: &RecordBatch) -> Vec<u8> {
    let mut writer =
        arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("to memory");
    writer.write(batch).expect("to memory");
    writer.finish().expect("to memory");
    writer.into_inner().expect("to memory")
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("to memory");
    encoder.finish().expect("to memory")
}

/// The table in every format, plain and compressed, by the name of the format.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("FILE_FORMAT_CSV", csv()),
        ("FILE_FORMAT_CSV", gzip(&csv())),
        (
            "FILE_FORMAT_JSON",
            format!("[{}]", objects().join(",")).into_bytes(),
        ),
        ("FILE_FORMAT_JSON_LINES", objects().join("\n").into_bytes()),
        (
            "FILE_FORMAT_JSON_LINES",
            zstd::encode_all(objects().join("\n").as_bytes(), 1).expect("to memory"),
        ),
        ("FILE_FORMAT_PARQUET", parquet()),
        ("FILE_FORMAT_ARROW_IPC", ipc_of(&batch())),
    ]
}
