//! Rows for a model that may be any: a few values of each column that its schema names.

use anomaly_detection::features::time::{EpochUnit, TimeFormat};
use anomaly_detection::features::{FeatureKind, Role, Schema, TimeSource};
use anomaly_detection::table::{Column, MISSING_TIME, Table};

const NUMBERS: [f64; 5] = [0.5, f64::NAN, -1e300, 3.0, f64::INFINITY];
const TEXTS: [Option<&str>; 5] = [Some("a"), None, Some(""), Some("b"), Some("never seen")];
const SECONDS: [f64; 5] = [1.7e9, f64::NAN, 1.7e9, 1.8e9, 1.6e9];
const TIMES: [i64; 5] = [
    0,
    MISSING_TIME,
    1_700_000_000_000_000_000,
    i64::MAX,
    -i64::MAX,
];

/// Five rows with the columns of the schema.
pub(crate) fn rows_of(schema: &Schema) -> Option<Table> {
    let mut names = schema.features().to_vec();
    let mut columns: Vec<Column> = (0..schema.n_features())
        .map(|feature| match schema.kind(feature) {
            FeatureKind::Number => {
                let mut numbers = NUMBERS.to_vec();
                numbers.rotate_left(feature % NUMBERS.len());
                Column::Numbers(numbers)
            }
            FeatureKind::Category => texts(TEXTS),
        })
        .collect();
    for column in schema.others() {
        names.push(column.name.clone());
        columns.push(match (column.role, schema.time()) {
            (Role::Label, _) => Column::Booleans(vec![0.0, 1.0, f64::NAN, 0.0, 1.0]),
            (Role::Time, Some(source)) => times(source),
            (Role::Series, _) => texts([Some("s"), Some("t"), None, Some("s"), Some("u")]),
            _ => Column::Numbers(NUMBERS.to_vec()),
        });
    }
    Table::from_columns(Some(names), columns).ok()
}

fn texts(texts: [Option<&str>; 5]) -> Column {
    Column::Texts(texts.into_iter().collect())
}

fn times(source: TimeSource) -> Column {
    match source {
        TimeSource::Timestamp => Column::Times(TIMES.to_vec()),
        TimeSource::Epoch(unit) => {
            let per_second = match unit {
                EpochUnit::Seconds => 1.0,
                EpochUnit::Milliseconds => 1e3,
                EpochUnit::Microseconds => 1e6,
                EpochUnit::Nanoseconds => 1e9,
            };
            Column::Numbers(SECONDS.map(|seconds| seconds * per_second).to_vec())
        }
        TimeSource::Text(format) => {
            let (first, second) = match format {
                TimeFormat::Iso8601 => ("2024-01-31T13:45:00Z", "1677-09-22"),
                TimeFormat::Rfc2822 => (
                    "Wed, 31 Jan 2024 13:45:00 +0000",
                    "1 Feb 2024 00:00:00 +0000",
                ),
                TimeFormat::YearMonthDay => ("2024/01/31 13:45", "2262/04/11"),
                TimeFormat::DayMonthNameYear => ("31 Jan 2024", "1 February 2024"),
                TimeFormat::MonthNameDayYear => ("Jan 31 2024", "February 1, 2024"),
                TimeFormat::MonthDayYear => ("01/31/2024", "02/01/2024 1:45 PM"),
                TimeFormat::DayMonthYear => ("31/01/2024", "01/02/2024"),
            };
            texts([Some(first), None, Some(second), Some(first), Some(second)])
        }
    }
}
