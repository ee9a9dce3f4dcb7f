//! Converts JSON-like rows, objects or arrays, to a table.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::cells::Cells;
use crate::error::{Error, Place, Result, reason};
use crate::runs::RowIds;
use anomaly_detection::table::{AbsentCell, Table, check_cells};

/// Reads rows, which may hold their ids. The first one decides whether all are objects or arrays.
pub(super) fn read(list: ListValue, ids: &RowIds) -> Result<Table> {
    match list.values.first().and_then(|value| value.kind.as_ref()) {
        None if list.values.is_empty() => Err(Error::new(
            reason::INVALID_RECORDS,
            "the records have no rows",
        )),
        Some(Kind::StructValue(_)) => read_objects(list.values, ids),
        Some(Kind::ListValue(_)) => read_arrays(list.values, ids),
        _ => Err(not_a_row(0, "an object or an array")),
    }
}

fn read_arrays(rows: Vec<Value>, ids: &RowIds) -> Result<Table> {
    let n_rows = rows.len();
    let mut cells_of_rows = None;
    for (index, row) in rows.into_iter().enumerate() {
        let Some(Kind::ListValue(ListValue { values: cells })) = row.kind else {
            return Err(not_a_row(index, "an array like the first row"));
        };
        let cells_so_far = match &mut cells_of_rows {
            Some(cells_so_far) => cells_so_far,
            None => {
                check_cells(n_rows, cells.len())?;
                let id_column = ids.place_in(None, cells.len());
                cells_of_rows.insert(Cells::new(n_rows, cells.len()).with_ids(id_column))
            }
        };
        let n_columns = cells_so_far.n_columns();
        if cells.len() != n_columns {
            return Err(Error::new(
                reason::INVALID_RECORDS,
                format!(
                    "there are {} values, the first row has {n_columns}",
                    cells.len()
                ),
            )
            .in_table(Place::Row(index)));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            cells_so_far
                .push(column, cell)
                .map_err(|problem| problem.at(index, column, None))?;
        }
    }
    match cells_of_rows {
        Some(cells) => cells.into_table(None),
        None => Err(Error::new(
            reason::INVALID_RECORDS,
            "the records have no rows",
        )),
    }
}

fn read_objects(rows: Vec<Value>, ids: &RowIds) -> Result<Table> {
    let n_rows = rows.len();
    let mut objects = Vec::with_capacity(n_rows);
    for (index, row) in rows.into_iter().enumerate() {
        match row.kind {
            Some(Kind::StructValue(Struct { fields })) => objects.push(fields),
            _ => return Err(not_a_row(index, "an object like the first row")),
        }
    }
    let names = union_of_names(&objects);
    check_cells(n_rows, names.len())?;

    let id_column = ids.place_in(Some(&names), names.len());
    let mut cells = Cells::new(n_rows, names.len()).with_ids(id_column);
    let mut absent = Vec::new();
    let mut is_absent = vec![false; names.len()];
    for (row, object) in objects.into_iter().enumerate() {
        // both are sorted by bytes, so one pass over the names finds every field
        let mut fields = object.into_iter().peekable();
        for (column, name) in names.iter().enumerate() {
            match fields.next_if(|(field, _)| field == name) {
                Some((_, cell)) => cells
                    .push(column, cell)
                    .map_err(|problem| problem.at(row, column, Some(name)))?,
                None => {
                    cells.push_missing(column);
                    if !std::mem::replace(&mut is_absent[column], true) {
                        absent.push(AbsentCell { row, column });
                    }
                }
            }
        }
    }
    Ok(cells.into_table(Some(names))?.with_absent(absent))
}

fn union_of_names(objects: &[BTreeMap<String, Value>]) -> Vec<String> {
    let Some(first) = objects.first() else {
        return Vec::new();
    };
    let alike = objects
        .iter()
        .all(|object| object.len() == first.len() && object.keys().eq(first.keys()));
    if alike {
        first.keys().cloned().collect()
    } else {
        let names: BTreeSet<&String> = objects.iter().flat_map(BTreeMap::keys).collect();
        names.into_iter().cloned().collect()
    }
}

fn not_a_row(index: usize, expected: &str) -> Error {
    Error::new(reason::INVALID_RECORDS, format!("this is not {expected}"))
        .in_table(Place::Row(index))
}

#[cfg(test)]
mod tests {
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
                read(list, &RowIds::None).map_err(|error| Form::Rows.locate(error))
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
