//! Converts typed columns to a table.

use prost_types::Timestamp;

use super::names_bytes;
use crate::error::{Error, Place, Result, reason};
use crate::memory::Share;
use crate::proto::v1::typed_column::Values;
use crate::proto::v1::{Columns, TypedColumn};
use anomaly_detection::table::{Column, MISSING_TIME, Table, TextBuilder};

const NANOS: i128 = 1_000_000_000;

/// Reads columns. The paths of errors are relative to the message, as in `columns[2].times`. What the table takes besides the
/// message is added to the share before.
pub(super) fn read(message: Columns, share: &mut Share) -> Result<Table> {
    let columns = message.columns.iter();
    share.grow(columns.map(column_bytes).sum())?;
    let mut names = Vec::with_capacity(message.columns.len());
    let mut columns = Vec::with_capacity(message.columns.len());
    for (
        index,
        TypedColumn {
            name,
            values,
            missing_rows,
        },
    ) in message.columns.into_iter().enumerate()
    {
        let path = format!("columns[{index}]");
        let column = column(values, &missing_rows).map_err(|error| error.within(&path))?;
        names.push(name);
        columns.push(column);
    }
    Table::from_columns(Some(names), columns)
}

/// An upper bound of the bytes of memory that a column takes besides its message: which rows are missing, its name, times, codes
/// and the dictionary of texts. Numbers are moved.
fn column_bytes(column: &TypedColumn) -> usize {
    let n_bytes = match &column.values {
        None => 0,
        Some(Values::Numbers(numbers)) => numbers.values.len(),
        Some(Values::Times(times)) => times.values.len() * (1 + size_of::<i64>()),
        Some(Values::Texts(texts)) => TextBuilder::max_bytes(texts.len(), texts.n_bytes()),
    };
    n_bytes + names_bytes([column.name.as_str()])
}

fn column(values: Option<Values>, missing_rows: &[u32]) -> Result<Column> {
    let Some(values) = values else {
        return Err(invalid(
            "values",
            "the column has no values; give numbers, texts or times",
        ));
    };
    let n_rows = match &values {
        Values::Numbers(numbers) => numbers.values.len(),
        Values::Texts(texts) => texts.len(),
        Values::Times(times) => times.values.len(),
    };
    let mut is_missing = vec![false; n_rows];
    for &row in missing_rows {
        match is_missing.get_mut(row as usize) {
            Some(missing) => *missing = true,
            None => {
                let message = format!("there is no row {row}; the column has {n_rows} values");
                return Err(invalid("missing_rows", &message));
            }
        }
    }
    match values {
        Values::Numbers(mut numbers) => {
            for (number, _) in numbers.values.iter_mut().zip(&is_missing).filter(|(_, m)| **m) {
                *number = f64::NAN;
            }
            Ok(Column::Numbers(numbers.values))
        }
        Values::Texts(texts) => {
            let mut column = TextBuilder::default();
            for (text, &is_missing) in texts.iter().zip(&is_missing) {
                match is_missing {
                    true => column.push_missing(1),
                    false => column.push(text)?,
                }
            }
            Ok(Column::Texts(column.finish()))
        }
        Values::Times(times) => times
            .values
            .iter()
            .zip(&is_missing)
            .enumerate()
            .map(|(row, (time, &is_missing))| match is_missing {
                true => Ok(MISSING_TIME),
                false => nanoseconds(time).ok_or_else(|| {
                    let message = format!(
                        "{} seconds and {} nanoseconds since 1970 are out of range; times lie from 1677-09-21 to 2262-04-11",
                        time.seconds, time.nanos
                    );
                    invalid(&format!("times.values[{row}]"), &message).in_table(Place::Row(row))
                }),
            })
            .collect::<Result<_>>()
            .map(Column::Times),
    }
}

/// The fields that hold the values of the columns.
pub(super) fn value_fields(message: &Columns) -> Vec<&'static str> {
    let field = |column: &TypedColumn| match &column.values {
        Some(Values::Texts(_)) => "texts",
        Some(Values::Times(_)) => "times",
        // a column without values is refused
        Some(Values::Numbers(_)) | None => "numbers",
    };
    message.columns.iter().map(field).collect()
}

/// Nanoseconds since 1970, if they are in range.
fn nanoseconds(time: &Timestamp) -> Option<i64> {
    let nanoseconds = i128::from(time.seconds) * NANOS + i128::from(time.nanos);
    let is_valid = (0..NANOS).contains(&i128::from(time.nanos));
    i64::try_from(nanoseconds)
        .ok()
        .filter(|&time| is_valid && time != MISSING_TIME)
}

fn invalid(field: &str, message: &str) -> Error {
    Error::new(reason::INVALID_RECORDS, message).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TextValues;
    use crate::proto::v1::TimeValues;
    use anomaly_detection::table::ColumnView;

    fn named(values: Values, missing_rows: Vec<u32>) -> TypedColumn {
        TypedColumn {
            name: "c".to_owned(),
            values: Some(values),
            missing_rows,
        }
    }

    fn read_one(column: TypedColumn) -> Result<Table> {
        let columns = vec![column];
        read(Columns { columns }, &mut Share::uncounted())
    }

    #[test]
    fn rows_without_a_value_are_missing() {
        let texts = Values::Texts(TextValues::from_iter(["a", "", "a"]));
        let table = read_one(named(texts, vec![1])).expect("valid");
        let ColumnView::Texts(texts) = table.column(0) else {
            panic!("texts");
        };
        assert_eq!(
            [0, 1, 2].map(|row| texts.get(row)),
            [Some("a"), None, Some("a")]
        );
    }

    #[test]
    fn times_are_nanoseconds_and_must_fit() {
        let time = |seconds, nanos| Timestamp { seconds, nanos };
        let times = |values| named(Values::Times(TimeValues { values }), Vec::new());
        let table = read_one(times(vec![time(-1, 999_999_999), time(5, 1)])).expect("valid");
        let ColumnView::Times(read) = table.column(0) else {
            panic!("times");
        };
        assert_eq!(read, [-1, 5_000_000_001]);
        for bad in [time(i64::MAX, 0), time(0, -1), time(0, 1_000_000_000)] {
            let error = read_one(times(vec![bad])).expect_err("out of range");
            assert_eq!(error.field_path(), Some("columns[0].times.values[0]"));
        }
    }

    #[test]
    fn absent_rows_and_values_are_refused_at_their_field() {
        let error =
            read_one(named(Values::Texts(TextValues::default()), vec![0])).expect_err("no row");
        assert_eq!(error.field_path(), Some("columns[0].missing_rows"));
        let none = TypedColumn::default();
        assert_eq!(
            read_one(none).expect_err("none").field_path(),
            Some("columns[0].values")
        );
    }
}
