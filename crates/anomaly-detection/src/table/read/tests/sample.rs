//! Random tables, written in every format.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression as Codec;
use ::parquet::file::properties::WriterProperties;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use proptest::prelude::*;

use crate::table::{Column, MISSING_TIME, Table};

/// A column to be written; `None` is a missing value.
#[derive(Debug, Clone)]
pub(super) enum Written {
    Numbers(Vec<Option<f64>>),
    Booleans(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
    Times(Vec<Option<i64>>),
}

impl Written {
    fn column(&self) -> Column {
        match self {
            Self::Numbers(v) => Column::Numbers(v.iter().map(|v| v.unwrap_or(f64::NAN)).collect()),
            Self::Booleans(v) => Column::Booleans(
                v.iter()
                    .map(|v| v.map_or(f64::NAN, |b| f64::from(u8::from(b))))
                    .collect(),
            ),
            Self::Texts(v) => Column::Texts(v.iter().map(Option::as_deref).collect()),
            Self::Times(v) => Column::Times(v.iter().map(|v| v.unwrap_or(MISSING_TIME)).collect()),
        }
    }

    fn array(&self) -> ArrayRef {
        match self {
            Self::Numbers(v) => Arc::new(Float64Array::from(v.clone())),
            Self::Booleans(v) => Arc::new(BooleanArray::from(v.clone())),
            Self::Texts(v) => Arc::new(StringArray::from(v.clone())),
            Self::Times(v) => {
                Arc::new(TimestampNanosecondArray::from(v.clone()).with_timezone("UTC"))
            }
        }
    }

    /// A cell as JSON, which also serves for CSV, where text is quoted.
    fn json(&self, row: usize) -> serde_json::Value {
        match self {
            Self::Numbers(v) => v[row].into(),
            Self::Booleans(v) => v[row].into(),
            Self::Texts(v) => v[row].clone().into(),
            Self::Times(v) => v[row].into(),
        }
    }

    fn csv(&self, row: usize) -> String {
        match self.json(row) {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            other => other.to_string(),
        }
    }

    /// Whether CSV and JSON can infer the type, which takes a value.
    fn shows_its_type(&self) -> bool {
        match self {
            Self::Numbers(_) => true,
            Self::Booleans(v) => v.iter().any(Option::is_some),
            Self::Texts(v) => v.iter().any(Option::is_some),
            Self::Times(_) => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Sample {
    columns: Vec<Written>,
    n_rows: usize,
}

impl Sample {
    fn names(&self) -> Vec<String> {
        (0..self.columns.len())
            .map(|i| format!("column {i:02}"))
            .collect()
    }

    pub(super) fn table(&self) -> Table {
        Table::from_columns(
            Some(self.names()),
            self.columns.iter().map(Written::column).collect(),
        )
        .expect("valid")
    }

    pub(super) fn for_text(mut self) -> Self {
        self.columns.retain(Written::shows_its_type);
        self.columns.push(Written::Numbers(
            (0..self.n_rows).map(|i| Some(i as f64)).collect(),
        ));
        self
    }

    pub(super) fn csv(&self) -> Vec<u8> {
        let mut out = self.names().join(",");
        for row in 0..self.n_rows {
            let cells: Vec<String> = self.columns.iter().map(|c| c.csv(row)).collect();
            out.push('\n');
            out.push_str(&cells.join(","));
        }
        out.into_bytes()
    }

    pub(super) fn objects(&self) -> Vec<String> {
        let row = |row: usize| {
            let cells = self
                .names()
                .into_iter()
                .zip(self.columns.iter().map(|c| c.json(row)));
            serde_json::Value::Object(cells.collect()).to_string()
        };
        (0..self.n_rows).map(row).collect()
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let columns = self
            .names()
            .into_iter()
            .zip(self.columns.iter().map(Written::array));
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, array)| (name, array, true)),
        )
        .expect("valid");
        let half = self.n_rows / 2;
        vec![batch.slice(0, half), batch.slice(half, self.n_rows - half)]
    }

    pub(super) fn parquet(&self, codec: Codec) -> Vec<u8> {
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_max_row_group_row_count(Some(37))
            .build();
        let batches = self.batches();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).expect("valid");
        for batch in &batches {
            writer.write(batch).expect("to memory");
        }
        writer.into_inner().expect("to memory")
    }

    pub(super) fn ipc_stream(&self) -> Vec<u8> {
        let batches = self.batches();
        let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).expect("valid");
        for batch in &batches {
            writer.write(batch).expect("to memory");
        }
        writer.into_inner().expect("to memory")
    }

    pub(super) fn ipc_file(&self) -> Vec<u8> {
        let batches = self.batches();
        let mut writer = FileWriter::try_new(Vec::new(), &batches[0].schema()).expect("valid");
        for batch in &batches {
            writer.write(batch).expect("to memory");
        }
        writer.into_inner().expect("to memory")
    }
}

pub(super) fn samples() -> impl Strategy<Value = Sample> {
    (1..90_usize).prop_flat_map(|n_rows| {
        let some = |p: f64| prop::bool::weighted(p);
        let numbers = prop::collection::vec((some(0.9), any::<f64>()), n_rows).prop_map(|v| {
            Written::Numbers(
                v.into_iter()
                    .map(|(is, x)| (is && x.is_finite()).then_some(x))
                    .collect(),
            )
        });
        let booleans = prop::collection::vec((some(0.7), any::<bool>()), n_rows).prop_map(|v| {
            Written::Booleans(v.into_iter().map(|(is, x)| is.then_some(x)).collect())
        });
        // the letter in front rules out words for missing values, numbers and booleans
        let texts = prop::collection::vec((some(0.8), "x[ -~\n\"é,]{0,6}"), n_rows)
            .prop_map(|v| Written::Texts(v.into_iter().map(|(is, x)| is.then_some(x)).collect()));
        let times = prop::collection::vec((some(0.8), -i64::MAX..i64::MAX), n_rows)
            .prop_map(|v| Written::Times(v.into_iter().map(|(is, x)| is.then_some(x)).collect()));
        let column = prop_oneof![numbers, booleans, texts, times];
        prop::collection::vec(column, 1..6).prop_map(move |columns| Sample { columns, n_rows })
    })
}
