//! Converts JSON-like columns to a table.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::cells::Cells;
use crate::error::{Error, Place, PlacedColumn, Result, reason};
use crate::runs::RowIds;
use anomaly_detection::table::{Table, check_cells};

/// Reads columns, one of which may hold the ids of the rows; the table has them sorted by the bytes of their names.
pub(super) fn read(table: Struct, ids: &RowIds) -> Result<Table> {
    let mut names = Vec::with_capacity(table.fields.len());
    let mut columns = Vec::with_capacity(table.fields.len());
    for (name, column) in table.fields {
        let Some(Kind::ListValue(ListValue { values })) = column.kind else {
            let message = format!("column {name:?} is not an array of values");
            return Err(invalid(message, names.len(), name));
        };
        names.push(name);
        columns.push(values);
    }
    let n_rows = columns.first().map_or(0, Vec::len);
    if let Some(other) = columns.iter().position(|column| column.len() != n_rows) {
        let message = format!(
            "column {:?} has {} values, and column {:?} has {n_rows}; give each as many, null where there is none",
            names[other],
            columns[other].len(),
            names[0],
        );
        return Err(invalid(message, other, names[other].clone()));
    }
    check_cells(n_rows, names.len())?;
    let id_column = ids.place_in(Some(&names), names.len());
    let mut cells = Cells::new(n_rows, names.len()).with_ids(id_column);
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for row in 0..n_rows {
        for (place, column) in columns.iter_mut().enumerate() {
            let cell = column.next().unwrap_or(Value { kind: None });
            cells
                .push(place, cell)
                .map_err(|problem| problem.at(row, place, Some(&names[place])))?;
        }
    }
    cells.into_table(Some(names))
}

fn invalid(message: String, index: usize, name: String) -> Error {
    let column = PlacedColumn {
        index,
        name: Some(name),
    };
    Error::new(reason::INVALID_RECORDS, message).in_table(Place::Column(column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::runs::Form;
    use anomaly_detection::table::ColumnView;

    fn column(values: Vec<Kind>) -> Value {
        let values = values.into_iter().map(|kind| Value { kind: Some(kind) });
        let list = ListValue {
            values: values.collect(),
        };
        Value {
            kind: Some(Kind::ListValue(list)),
        }
    }

    fn read_columns<const N: usize>(columns: [(&str, Value); N]) -> Result<Table> {
        let columns = columns.map(|(name, column)| (name.to_owned(), column));
        let fields = BTreeMap::from(columns);
        read(Struct { fields }, &RowIds::None).map_err(|error| Form::Table.locate(error))
    }

    #[test]
    fn columns_are_sorted_by_name_and_null_is_missing() {
        let shops = column(vec![
            Kind::StringValue("bar".to_owned()),
            Kind::NullValue(0),
        ]);
        let amounts = column(vec![Kind::NumberValue(12.0), Kind::BoolValue(true)]);
        let table = read_columns([("shop", shops), ("amount", amounts)]).expect("valid");
        assert_eq!(table.names().expect("names"), ["amount", "shop"]);
        let (ColumnView::Numbers(amounts), ColumnView::Texts(shops)) =
            (table.column(0), table.column(1))
        else {
            panic!("numbers and texts");
        };
        assert_eq!(amounts.to_vec(), [12.0, 1.0]);
        assert_eq!([0, 1].map(|row| shops.get(row)), [Some("bar"), None]);
    }

    #[test]
    fn errors_name_the_place() {
        let number = || Kind::NumberValue(1.0);
        let text = || Kind::StringValue("x".to_owned());
        let scalar = Value {
            kind: Some(number()),
        };
        let refused = [
            (read_columns([("a", scalar)]), Some("records.table.a")),
            (
                read_columns([("a", column(vec![number()])), ("b", column(Vec::new()))]),
                Some("records.table.b"),
            ),
            (
                read_columns([("a", column(vec![number(), text()]))]),
                Some("records.table.a[1]"),
            ),
            (read_columns([("a", column(Vec::new()))]), None),
            (read_columns([]), None),
        ];
        for (outcome, field) in refused {
            let error = outcome.expect_err("refused");
            assert_eq!(error.field_path(), field, "{error}");
        }
    }
}
