//! Converts JSON-like rows, objects or arrays, to a table.

use std::collections::BTreeSet;

use super::cells::Cells;
use super::names_bytes;
use crate::error::{Error, Place, Result, reason};
use crate::memory::Share;
use crate::proto::{JsonRow, JsonRows, RowReader};
use crate::runs::RowIds;
use anomaly_detection::table::{AbsentCell, Table, check_cells};

/// Reads rows, which may hold their ids. The first one decides whether all are objects or arrays. What the table takes is added
/// to the share before.
pub(super) fn read(rows: &JsonRows, ids: &RowIds, share: &mut Share) -> Result<Table> {
    // a reader holds the names of an object
    let first = rows.reader().next_row();
    match first {
        None => Err(Error::new(
            reason::INVALID_RECORDS,
            "the records have no rows",
        )),
        Some(JsonRow::Object { .. }) => read_objects(rows, ids, share),
        Some(JsonRow::Array(n_columns)) => read_arrays(rows, n_columns, ids, share),
        Some(JsonRow::Other(_)) => Err(not_a_row(0, "an object or an array")),
    }
}

/// No cells yet for so many columns in each of the rows.
fn cells(rows: &JsonRows, n_columns: usize, share: &mut Share) -> Result<Cells> {
    check_cells(rows.len(), n_columns)?;
    let n_cells = rows.len() * n_columns;
    share.grow(Cells::max_bytes(n_cells, rows.n_texts(), rows.text_bytes()))?;
    Ok(Cells::new(rows.len(), n_columns))
}

fn read_arrays(
    rows: &JsonRows,
    n_columns: usize,
    ids: &RowIds,
    share: &mut Share,
) -> Result<Table> {
    let mut cells = cells(rows, n_columns, share)?.with_ids(ids.place_in(None, n_columns));
    let mut reader = rows.reader();
    for index in 0..rows.len() {
        let Some(JsonRow::Array(n_cells)) = reader.next_row() else {
            return Err(not_a_row(index, "an array like the first row"));
        };
        if n_cells != n_columns {
            return Err(Error::new(
                reason::INVALID_RECORDS,
                format!("there are {n_cells} values, the first row has {n_columns}"),
            )
            .in_table(Place::Row(index)));
        }
        for column in 0..n_columns {
            let cell = reader.next_cell().unwrap_or_default();
            cells
                .push(column, cell)
                .map_err(|problem| problem.at(index, column, None))?;
        }
    }
    cells.into_table(None)
}

fn read_objects(rows: &JsonRows, ids: &RowIds, share: &mut Share) -> Result<Table> {
    // the set of the names, and their list
    share.grow(rows.n_names() * 4 * size_of::<&str>())?;
    let names = union_of_names(rows)?;
    share.grow(names_bytes(names.iter().copied()))?;
    let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();

    let id_column = ids.place_in(Some(&owned), names.len());
    let mut cells = cells(rows, names.len(), share)?.with_ids(id_column);
    let mut absent = Vec::new();
    let mut is_absent = vec![false; names.len()];
    // whether the objects have each of the columns
    let mut is_there = Vec::new();
    let mut reader = rows.reader();
    for row in 0..rows.len() {
        if let Some(JsonRow::Object {
            has_new_names: true,
        }) = reader.next_row()
        {
            is_there = places(&reader, &names);
        }
        for (column, &is_there) in is_there.iter().enumerate() {
            if is_there {
                let cell = reader.next_cell().unwrap_or_default();
                cells
                    .push(column, cell)
                    .map_err(|problem| problem.at(row, column, Some(names[column])))?;
            } else {
                cells.push_missing(column);
                if !std::mem::replace(&mut is_absent[column], true) {
                    absent.push(AbsentCell { row, column });
                }
            }
        }
    }
    Ok(cells.into_table(Some(owned))?.with_absent(absent))
}

/// The names of all objects, sorted by their bytes. Fails when a row is no object.
fn union_of_names(rows: &JsonRows) -> Result<Vec<&str>> {
    let mut reader = rows.reader();
    let mut names = Vec::new();
    let mut union = BTreeSet::new();
    for index in 0..rows.len() {
        match reader.next_row() {
            Some(JsonRow::Object { has_new_names }) if index == 0 || !has_new_names => {
                if index == 0 {
                    names = reader.names().to_vec();
                }
            }
            Some(JsonRow::Object { .. }) => {
                union.extend(names.drain(..));
                union.extend(reader.names());
            }
            _ => return Err(not_a_row(index, "an object like the first row")),
        }
    }
    match union.is_empty() {
        true => Ok(names),
        false => Ok(union.into_iter().collect()),
    }
}

/// Whether the object that the reader is at has each of the names. Both are sorted, so one pass over the names finds every field.
fn places(reader: &RowReader<'_>, names: &[&str]) -> Vec<bool> {
    let mut fields = reader.names().iter().peekable();
    let is_next = |name: &&str| fields.next_if_eq(&name).is_some();
    names.iter().map(is_next).collect()
}

fn not_a_row(index: usize, expected: &str) -> Error {
    Error::new(reason::INVALID_RECORDS, format!("this is not {expected}"))
        .in_table(Place::Row(index))
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value};

    use super::*;
    use crate::runs::Form;
    use anomaly_detection::table::ColumnView;

    fn value(json: serde_json::Value) -> Value {
        use serde_json::Value as Json;
        let kind = match json {
            Json::Null => Kind::NullValue(0),
            Json::Bool(b) => Kind::BoolValue(b),
            Json::Number(n) => Kind::NumberValue(n.as_f64().expect("finite")),
            Json::String(s) => Kind::StringValue(s),
            Json::Array(a) => Kind::ListValue(ListValue {
                values: a.into_iter().map(value).collect(),
            }),
            Json::Object(o) => Kind::StructValue(Struct {
                fields: o.into_iter().map(|(k, v)| (k, value(v))).collect(),
            }),
        };
        Value { kind: Some(kind) }
    }

    fn read_json(json: serde_json::Value) -> Result<Table> {
        match value(json).kind {
            Some(Kind::ListValue(list)) => {
                let table = read(&list.into(), &RowIds::None, &mut Share::uncounted());
                table.map_err(|error| Form::Rows.locate(error))
            }
            _ => panic!("rows are a list"),
        }
    }

    fn refusal(json: serde_json::Value) -> (String, String) {
        let error = read_json(json).expect_err("should be refused");
        (
            error.message().to_owned(),
            error.field_path().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn objects_become_columns_sorted_by_name_with_their_absent_cells() {
        let table = read_json(serde_json::json!([{"b": 1, "a": true}, {"c": 3, "b": null}]))
            .expect("valid");
        assert_eq!(
            table.names(),
            Some(&["a".to_owned(), "b".to_owned(), "c".to_owned()][..])
        );
        let absent = [(0, 2), (1, 0)].map(|(row, column)| AbsentCell { row, column });
        assert_eq!(table.absent(), absent);
        let values = table.into_matrix().expect("numbers");
        assert_eq!(
            (values[[0, 0]], values[[0, 1]], values[[1, 2]]),
            (1.0, 1.0, 3.0)
        );
        assert!(values[[0, 2]].is_nan() && values[[1, 0]].is_nan() && values[[1, 1]].is_nan());
    }

    #[test]
    fn texts_are_columns_of_their_own() {
        let json = serde_json::json!([{"a": 1, "shop": null}, {"a": null, "shop": "kiosk"}, {"shop": "12"}]);
        let table = read_json(json).expect("valid");
        let (ColumnView::Numbers(a), ColumnView::Texts(shops)) = (table.column(0), table.column(1))
        else {
            panic!("numbers and texts");
        };
        assert!(a[0] == 1.0 && a[1].is_nan() && a[2].is_nan());
        let shops = [0, 1, 2].map(|row| shops.get(row));
        assert_eq!(shops, [None, Some("kiosk"), Some("12")]);
        assert_eq!(
            refusal(serde_json::json!([["kiosk"], [true]])),
            (
                "row 1, column \"f0\": true is a number, and the rows before have text; a column holds one of them".to_owned(),
                "records.rows[1][0]".to_owned()
            )
        );
    }

    #[test]
    fn arrays_become_columns_without_names() {
        let table = read_json(serde_json::json!([[1, 2], [null, false]])).expect("valid");
        assert_eq!(table.names(), None);
        assert!(table.absent().is_empty());
        let values = table.into_matrix().expect("numbers");
        assert_eq!(values.row(0).to_vec(), [1.0, 2.0]);
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(
            refusal(serde_json::json!([{"shop": 1}, {"shop": "12"}])),
            (
                "row 1, column \"shop\": \"12\" is text, and the rows before have numbers; a column holds one of them"
                    .to_owned(),
                "records.rows[1].shop".to_owned()
            )
        );
        assert_eq!(
            refusal(serde_json::json!([{"[x]": 1}, {"[x]": []}])),
            (
                "row 1, column \"[x]\": an array is neither a number nor text".to_owned(),
                "records.rows[1].[x]".to_owned()
            )
        );
        assert_eq!(
            refusal(serde_json::json!([[1], [[2]]])).1,
            "records.rows[1][0]"
        );
        assert_eq!(
            refusal(serde_json::json!([[1, 2], [3]])).1,
            "records.rows[1]"
        );
        assert_eq!(
            refusal(serde_json::json!([{"a": 1}, [1]])).1,
            "records.rows[1]"
        );
        assert_eq!(refusal(serde_json::json!([5])).1, "records.rows[0]");
        assert_eq!(refusal(serde_json::json!([])).0, "the records have no rows");
        assert_eq!(
            refusal(serde_json::json!([{}])).0,
            "the records have no columns"
        );
    }

    #[test]
    fn sparse_objects_cannot_exceed_the_memory_limit_of_a_table() {
        let rows: Vec<serde_json::Value> = (0..6000)
            .map(|i| serde_json::json!({ format!("column {i}"): 1 }))
            .collect();
        assert!(
            refusal(serde_json::Value::Array(rows))
                .0
                .contains("send fewer rows")
        );
    }
}
