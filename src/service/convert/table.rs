//! Converts JSON-like columns to a table.

use super::cells::Cells;
use super::names_bytes;
use crate::error::{Error, Place, PlacedColumn, Result, reason};
use crate::memory::Share;
use crate::proto::{JsonColumn, JsonTable};
use crate::runs::RowIds;
use anomaly_detection::table::{Table, check_cells};

/// Reads columns, one of which may hold the ids of the rows; the table has them sorted by the bytes of their names. What it takes
/// is added to the share before.
pub(super) fn read(table: &JsonTable, ids: &RowIds, share: &mut Share) -> Result<Table> {
    // the list of the columns, and that of their readers
    share.grow(table.len() * 2 * size_of::<JsonColumn<'_>>())?;
    let columns = table.columns();
    let mut lengths = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let Some(n_cells) = column.n_cells() else {
            let message = format!("column {:?} is not an array of values", column.name);
            return Err(invalid(message, index, column.name));
        };
        lengths.push(n_cells);
    }
    let n_rows = lengths.first().copied().unwrap_or(0);
    if let Some(other) = lengths.iter().position(|&length| length != n_rows) {
        let message = format!(
            "column {:?} has {} values, and column {:?} has {n_rows}; give each as many, null where there is none",
            columns[other].name, lengths[other], columns[0].name,
        );
        return Err(invalid(message, other, columns[other].name));
    }
    check_cells(n_rows, columns.len())?;
    let n_cells = n_rows * columns.len();
    share.grow(Cells::max_bytes(
        n_cells,
        table.n_texts(),
        table.text_bytes(),
    ))?;
    share.grow(names_bytes(columns.iter().map(|column| column.name)))?;
    let names: Vec<String> = columns
        .iter()
        .map(|column| column.name.to_owned())
        .collect();
    let id_column = ids.place_in(Some(&names), names.len());
    let mut cells = Cells::new(n_rows, names.len()).with_ids(id_column);
    let mut readers: Vec<_> = columns.iter().map(JsonColumn::reader).collect();
    for row in 0..n_rows {
        for (place, reader) in readers.iter_mut().enumerate() {
            let cell = reader.next().unwrap_or_default();
            cells
                .push(place, cell)
                .map_err(|problem| problem.at(row, place, Some(&names[place])))?;
        }
    }
    cells.into_table(Some(names))
}

fn invalid(message: String, index: usize, name: &str) -> Error {
    let column = PlacedColumn {
        index,
        name: Some(name.to_owned()),
    };
    Error::new(reason::INVALID_RECORDS, message).in_table(Place::Column(column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value};

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
        let table = JsonTable::from(Struct { fields });
        let read = read(&table, &RowIds::None, &mut Share::uncounted());
        read.map_err(|error| Form::Table.locate(error))
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
