use proptest::prelude::*;
use prost_types::Struct;

use super::*;
use crate::proto::sample::{damaged, damages, field, list, names, scalars, values};

/// Columns, mostly lists.
fn tables(
    cells: impl Strategy<Value = prost_types::Value> + Clone + 'static,
) -> impl Strategy<Value = Struct> {
    let column = prop_oneof![
        4 => prop::collection::vec(cells, 0..6).prop_map(list),
        1 => values(),
    ];
    prop::collection::btree_map(names(), column, 0..5).prop_map(|fields| Struct { fields })
}

fn read(table: &JsonTable) -> Vec<String> {
    let column = |column: &JsonColumn<'_>| {
        let cells: Vec<String> = column.reader().map(|cell| format!("{cell:?}")).collect();
        format!("{} {:?} {cells:?}", column.name, column.n_cells())
    };
    table.columns().iter().map(column).collect()
}

fn expected(fields: &Struct) -> Vec<String> {
    let column = |(name, value): (&String, &prost_types::Value)| match &value.kind {
        Some(Kind::ListValue(list)) => {
            let cells = list.values.iter();
            let cells: Vec<String> = cells
                .map(|cell| format!("{:?}", JsonCell::from(cell)))
                .collect();
            format!("{name} {:?} {cells:?}", Some(cells.len()))
        }
        _ => format!("{name} None []"),
    };
    fields.fields.iter().map(column).collect()
}

proptest! {
    #[test]
    fn columns_are_those_that_prost_decodes(fields in tables(values())) {
        let wire = fields.encode_to_vec();
        let table = JsonTable::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&table), expected(&fields));
        prop_assert!(table.packed.len() <= wire.len());
        let (first, second) = wire.split_at(wire.len() / 2);
        prop_assert_eq!(&JsonTable::decode(first.chain(second)).expect("valid"), &table);
        prop_assert_eq!(&JsonTable::from(fields), &table);
        let again = JsonTable::decode(&table.encode_to_vec()[..]).expect("valid");
        prop_assert_eq!(read(&again), read(&table));
        prop_assert_eq!(table.encoded_len(), table.encode_to_vec().len());
    }

    #[test]
    fn columns_of_cells_are_encoded_as_prost_does(
        columns in prop::collection::btree_map(names(), prop::collection::vec(scalars(), 0..6), 0..5),
    ) {
        let fields = columns.into_iter().map(|(name, cells)| (name, list(cells)));
        let fields = Struct { fields: fields.collect() };
        let table = JsonTable::from(fields.clone());
        prop_assert_eq!(table.encode_to_vec(), fields.encode_to_vec());
    }

    #[test]
    fn columns_may_come_in_any_order_and_the_last_of_a_name_counts(
        columns in prop::collection::vec((names(), values(), any::<bool>()), 0..6),
    ) {
        let mut wire = Vec::new();
        for (name, column, is_value_first) in &columns {
            let (name, column) = (field(1, name.as_bytes()), field(2, &column.encode_to_vec()));
            let entry = if *is_value_first { [column, name] } else { [name, column] };
            wire.extend(field(1, &entry.concat()));
        }
        let fields = Struct::decode(&wire[..]).expect("valid");
        let table = JsonTable::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&table), expected(&fields));
        prop_assert_eq!(&table, &JsonTable::from(fields));
        prop_assert!(table.packed.len() <= wire.len());
    }

    #[test]
    fn a_column_that_is_set_again_is_merged_or_replaced(
        parts in prop::collection::vec(values(), 1..4),
    ) {
        let parts: Vec<u8> = parts.iter().flat_map(|part| part.encode_to_vec()).collect();
        let wire = field(1, &field(2, &parts));
        let fields = Struct::decode(&wire[..]).expect("valid");
        let table = JsonTable::decode(&wire[..]).expect("valid");
        prop_assert_eq!(read(&table), expected(&fields));
    }

    #[test]
    fn damaged_columns_are_refused_or_read_as_prost_does(
        fields in tables(values()),
        damages in damages(),
    ) {
        let wire = damaged(fields.encode_to_vec(), &damages);
        if let Ok(table) = JsonTable::decode(&wire[..]) {
            let fields = Struct::decode(&wire[..]);
            let fields = fields.expect("prost reads whatever is read here");
            prop_assert_eq!(read(&table), expected(&fields));
            prop_assert!(table.packed.len() <= wire.len());
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(table) = JsonTable::decode(&wire[..]) {
            read(&table);
            table.encode_to_vec();
        }
    }
}

#[test]
fn memory_is_reserved_only_for_what_is_left() {
    let column = |n_cells| list(vec![1.0.into(); n_cells]);
    for lengths in [vec![20_000], vec![10, 20_000], vec![10; 1000]] {
        let names = (0..).map(|i| format!("c{i}"));
        let fields = names.zip(lengths.into_iter().map(column)).collect();
        let wire = Struct { fields }.encode_to_vec();
        let table = JsonTable::decode(&wire[..]).expect("valid");
        assert!(table.packed.capacity() <= wire.len());
    }
}
