//! Converts datasets for responses.

use prost::Message as _;

use super::model::{MAX_DESCRIPTION_BYTES, timestamp};
use crate::datasets::{ColumnStatistics, DatasetId, DatasetRecord, Described, Listed};
use crate::proto::v1;
use anomaly_detection::table::ColumnType;
use anomaly_detection::table::read::ColumnSummary;

impl From<Listed> for v1::Dataset {
    fn from(listed: Listed) -> Self {
        basic(&listed.dataset_id, &listed.record)
    }
}

impl From<Described> for v1::Dataset {
    fn from(described: Described) -> Self {
        let summary = &described.description.summary;
        let columns = summary.columns().iter();
        let columns = columns
            .zip(&described.description.statistics)
            .map(|(column, statistics)| self::column(column, statistics, summary.n_rows()));
        let mut message = Self {
            columns: columns.collect(),
            ..basic(&described.dataset_id, &described.record)
        };
        if message.encoded_len() > MAX_DESCRIPTION_BYTES {
            message.columns.clear();
            message.columns_omitted = true;
        }
        message
    }
}

/// What the record says, without the description.
fn basic(dataset_id: &DatasetId, record: &DatasetRecord) -> v1::Dataset {
    v1::Dataset {
        dataset_id: dataset_id.as_str().to_owned(),
        format: v1::FileFormat::from(record.format).into(),
        n_rows: record.n_rows,
        n_columns: record.n_columns,
        size_bytes: record.file.size,
        sha256: record.file.sha256.to_vec().into(),
        create_time: Some(timestamp(record.created_ms, 1000)),
        columns: Vec::new(),
        columns_omitted: false,
    }
}

fn column(column: &ColumnSummary, statistics: &ColumnStatistics, n_rows: u64) -> v1::DatasetColumn {
    let numbers = statistics.numbers;
    let times = statistics.times;
    v1::DatasetColumn {
        name: column.name.clone(),
        r#type: v1::ColumnType::from(column.column_type).into(),
        n_values: Some(n_rows.saturating_sub(column.n_missing)),
        n_missing: Some(column.n_missing),
        n_infinite: (column.column_type == ColumnType::Number).then_some(statistics.n_infinite),
        mean: numbers.and_then(|numbers| numbers.mean),
        std: numbers.and_then(|numbers| numbers.std),
        min: numbers.map(|numbers| numbers.min),
        max: numbers.map(|numbers| numbers.max),
        n_distinct: statistics.n_distinct,
        min_time: times.map(|times| timestamp(times.min, 1_000_000_000)),
        max_time: times.map(|times| timestamp(times.max, 1_000_000_000)),
    }
}

impl From<ColumnType> for v1::ColumnType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Number => Self::Number,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Text => Self::Text,
            ColumnType::Timestamp => Self::Timestamp,
        }
    }
}
