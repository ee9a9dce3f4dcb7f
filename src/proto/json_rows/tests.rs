use bytes::Buf as _;
use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType};
use prost_types::{ListValue, Struct};

use super::*;
use crate::proto::sample::{damaged, damages, field, list, names, scalars, value, values};

/// Rows of every kind, mostly objects with the same names.
fn lists(
    cells: impl Strategy<Value = prost_types::Value> + Clone + 'static,
) -> impl Strategy<Value = ListValue> {
    let object = |fields| value(Kind::StructValue(Struct { fields }));
    let alike = prop::collection::vec(cells.clone(), 2).prop_map(move |cells| {
        let names = ["a", "b"].map(str::to_owned);
        object(names.into_iter().zip(cells).collect())
    });
    let row = prop_oneof![
        5 => alike,
        2 => prop::collection::btree_map(names(), cells.clone(), 0..4).prop_map(object),
        2 => prop::collection::vec(cells.clone(), 0..4).prop_map(list),
        1 => cells,
    ];
    prop::collection::vec(row, 0..12).prop_map(|values| ListValue { values })
}

/// The rows as they are read, with every number as its bits.
fn read(rows: &JsonRows) -> Vec<String> {
    let mut reader = rows.reader();
    let mut found = Vec::new();
    while let Some(row) = reader.next_row() {
        let names = match row {
            JsonRow::Object { .. } => reader.names().join(","),
            _ => String::new(),
        };
        let cells = std::iter::from_fn(|| reader.next_cell());
        let cells: Vec<String> = cells.map(|cell| format!("{cell:?}")).collect();
        let kind = match row {
            JsonRow::Object { .. } => "object".to_owned(),
            other => format!("{other:?}"),
        };
        found.push(format!("{kind} {names} {cells:?}"));
    }
    found
}

/// The same as [`read`] for the list itself.
fn expected(list: &ListValue) -> Vec<String> {
    let cell = |value: &prost_types::Value| format!("{:?}", JsonCell::from(value));
    let row = |value: &prost_types::Value| match &value.kind {
        Some(Kind::ListValue(items)) => {
            let cells: Vec<String> = items.values.iter().map(cell).collect();
            format!("Array({})  {cells:?}", cells.len())
        }
        Some(Kind::StructValue(object)) => {
            let names: Vec<&str> = object.fields.keys().map(String::as_str).collect();
            let cells: Vec<String> = object.fields.values().map(cell).collect();
            format!("object {} {cells:?}", names.join(","))
        }
        _ => format!("Other({})  []", cell(value)),
    };
    list.values.iter().map(row).collect()
}

proptest! {
    #[test]
    fn rows_are_those_that_prost_decodes(list in lists(values())) {
        let wire = list.encode_to_vec();
        let rows = JsonRows::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&rows), expected(&list));
        prop_assert_eq!(rows.len(), list.values.len());
        prop_assert!(rows.packed().len() <= wire.len());
        let (first, second) = wire.split_at(wire.len() / 2);
        prop_assert_eq!(&JsonRows::decode(first.chain(second)).expect("valid"), &rows);
        prop_assert_eq!(&JsonRows::from(list), &rows);
        // nothing is lost but what is in nested values
        let again = JsonRows::decode(&rows.encode_to_vec()[..]).expect("valid");
        prop_assert_eq!(&again, &rows);
        prop_assert_eq!(rows.encoded_len(), rows.encode_to_vec().len());
    }

    #[test]
    fn rows_without_nested_values_are_encoded_as_prost_does(list in lists(scalars())) {
        let rows = JsonRows::from(list.clone());
        prop_assert_eq!(rows.encode_to_vec(), list.encode_to_vec());
        let mut n_texts = 0;
        let mut text_bytes = 0;
        let mut reader = rows.reader();
        while reader.next_row().is_some() {
            while let Some(cell) = reader.next_cell() {
                if let JsonCell::Text(text) = cell {
                    n_texts += 1;
                    text_bytes += text.len();
                }
            }
        }
        prop_assert_eq!((rows.n_texts(), rows.text_bytes()), (n_texts, text_bytes));
    }

    #[test]
    fn fields_may_come_in_any_order_and_the_last_of_a_name_counts(
        rows in prop::collection::vec(prop::collection::vec((names(), scalars(), any::<bool>()), 0..6), 1..4),
    ) {
        let mut wire = Vec::new();
        for row in &rows {
            let mut object = Vec::new();
            for (name, cell, is_value_first) in row {
                let (name, cell) = (field(1, name.as_bytes()), field(2, &cell.encode_to_vec()));
                let entry = if *is_value_first { [cell, name] } else { [name, cell] };
                object.extend(field(1, &entry.concat()));
            }
            wire.extend(field(1, &field(5, &object)));
        }
        let list = ListValue::decode(&wire[..]).expect("valid");
        let rows = JsonRows::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&rows), expected(&list));
        prop_assert_eq!(&rows, &JsonRows::from(list));
        prop_assert!(rows.packed().len() <= wire.len());
    }

    #[test]
    fn values_that_are_set_again_are_merged_or_replaced(
        parts in prop::collection::vec(values(), 1..4),
        also_within in any::<bool>(),
    ) {
        // the parts of one value, of a row or of the field of one
        let parts: Vec<u8> = parts.iter().flat_map(|part| part.encode_to_vec()).collect();
        let wire = match also_within {
            false => field(1, &parts),
            true => field(1, &field(5, &field(1, &field(2, &parts)))),
        };
        let list = ListValue::decode(&wire[..]).expect("valid");
        let rows = JsonRows::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&rows), expected(&list));
    }

    #[test]
    fn damaged_rows_are_refused_or_read_as_prost_does(
        list in lists(values()),
        damages in damages(),
    ) {
        let wire = damaged(list.encode_to_vec(), &damages);
        if let Ok(rows) = JsonRows::decode(&wire[..]) {
            let list = ListValue::decode(&wire[..]);
            let list = list.expect("prost reads whatever is read here");
            prop_assert_eq!(read(&rows), expected(&list));
            prop_assert!(rows.packed().len() <= wire.len());
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(rows) = JsonRows::decode(&wire[..]) {
            read(&rows);
            rows.encode_to_vec();
        }
    }
}

#[test]
fn objects_with_the_names_of_the_one_before_are_packed_without_them() {
    let object = |names: [&str; 2]| {
        let fields = names.map(|name| (name.to_owned(), value(Kind::NumberValue(1.0))));
        value(Kind::StructValue(Struct {
            fields: fields.into(),
        }))
    };
    let values = vec![object(["amount", "hour"]); 100];
    let rows = JsonRows::from(ListValue { values });
    assert_eq!(rows.n_names(), 2);
    assert!(rows.packed().len() < 100 * (1 + 2 * 9) + 20);
    let different = vec![object(["a", "b"]), object(["a", "c"]), object(["a", "b"])];
    let rows = JsonRows::from(ListValue { values: different });
    assert_eq!(rows.n_names(), 6);
}

#[test]
fn nesting_is_limited() {
    let nested = |depth| {
        let mut wire = Vec::new();
        for _ in 0..depth {
            wire = field(1, &field(6, &wire));
        }
        JsonRows::decode(&wire[..])
    };
    assert!(nested(40).is_ok());
    let error = nested(60).expect_err("too deep");
    assert!(error.to_string().contains("recursion limit"), "{error}");
    // groups of the unknown field 15
    let groups = [&[0x7b; 200][..], &[0x7c; 200][..]].concat();
    for wire in [
        groups.clone(),
        field(1, &groups),
        field(1, &field(5, &groups)),
    ] {
        assert!(JsonRows::decode(&wire[..]).is_err());
    }
}

#[test]
fn unknown_fields_are_skipped() {
    let mut wire = field(9, b"x");
    wire.extend(field(
        1,
        &[field(9, b"y"), field(6, &field(1, &[0x48, 0x05]))].concat(),
    ));
    let rows = JsonRows::decode(&wire[..]).expect("valid");
    assert_eq!(read(&rows), ["Array(1)  [\"Unset\"]"]);
}

#[test]
fn memory_is_reserved_as_rows_come_and_only_for_what_is_left() {
    let row = prost_types::Value::from(vec![0.0.into(), 1.0.into()]);
    let list = ListValue {
        values: vec![row; 20_000],
    };
    let bytes = list.encode_to_vec();
    let mut first = JsonRows::default();
    let (wire_type, mut rest) = (WireType::LengthDelimited, &bytes[1..]);
    let merged = first.merge_field(1, wire_type, &mut rest, DecodeContext::default());
    merged.expect("valid");
    assert_eq!(first.len(), 1);
    assert!(first.packed.capacity() <= bytes.len() / 4);
    let all = JsonRows::decode(&bytes[..]).expect("valid");
    assert!(all.packed.capacity() <= bytes.len());
}

#[test]
fn what_a_long_row_was_packed_with_is_not_kept() {
    let long = || prost_types::Value::from("a".repeat(MAX_KEPT_BYTES + 1));
    let object = Struct {
        fields: [("a".to_owned(), long())].into(),
    };
    for row in [long(), list(vec![long()]), value(Kind::StructValue(object))] {
        let bytes = ListValue { values: vec![row] }.encode_to_vec();
        let rows = JsonRows::decode(&bytes[..]).expect("valid");
        assert_eq!(rows.row.fields.capacity() + rows.row.cell.capacity(), 0);
    }
}
