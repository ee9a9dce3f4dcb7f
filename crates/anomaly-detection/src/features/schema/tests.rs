use super::*;
use crate::table::{Column, TextColumn};

pub(in crate::features) fn table(names: &[&str], values: &[f64]) -> Table {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let n_columns = names.len();
    Table::from_row_major(Some(names), n_columns, values.to_vec()).expect("valid table")
}

pub(in crate::features) fn labelled(label: Option<&str>) -> Roles {
    Roles {
        label: label.map(str::to_owned),
        ..Roles::default()
    }
}

pub(in crate::features) fn schema(names: &[&str], label: Option<&str>) -> Schema {
    Schema::learn(&table(names, &vec![0.0; names.len()]), &labelled(label)).expect("valid schema")
}

#[test]
fn refuses_names_that_are_too_long_and_tables_that_are_too_wide() {
    let longest = "x".repeat(256);
    assert!(Schema::of_features(vec![longest.clone()]).is_ok());
    let error = Schema::of_features(vec![longest + "x"]).expect_err("too long");
    assert!(error.message().contains("257 bytes"), "{error}");
    let wide = Table::from_row_major(None, 65_537, vec![0.0; 65_537]).expect("valid");
    let error = Schema::learn(&wide, &Roles::default()).expect_err("too wide");
    assert_eq!(error.field_path(), Some("records"));
}

pub(in crate::features) fn texts(values: &[&str]) -> Column {
    let texts: TextColumn = values
        .iter()
        .map(|text| (!text.is_empty()).then_some(*text))
        .collect();
    Column::Texts(texts)
}

pub(in crate::features) fn typed(columns: &[(&str, Column)]) -> Table {
    let (names, columns) = columns
        .iter()
        .map(|(name, column)| ((*name).to_owned(), column.clone()))
        .unzip();
    Table::from_columns(Some(names), columns).expect("a table")
}

fn roles_of(schema: &Schema) -> Vec<(&str, Role)> {
    let others = schema.others().iter();
    others
        .map(|column| (column.name.as_str(), column.role))
        .collect()
}

#[test]
fn timestamps_and_dates_take_precedence_over_numbers() {
    let numbers = || Column::Numbers(vec![1.0, 2.0]);
    let epoch = || Column::Numbers(vec![1.7e9, 1.7e9 + 60.0]);
    let dates = || texts(&["2024-01-31", "2024-02-01"]);
    let clock = || Column::Times(vec![0, 1]);
    let found = |columns: &[(&str, Column)]| {
        let schema = Schema::learn(&typed(columns), &Roles::default()).expect("a schema");
        schema
            .column_of(Role::Time)
            .map(|column| column.name.clone())
            .zip(schema.time())
    };
    let name = |found: Option<(String, TimeSource)>| {
        found.map(|(name, source)| (name, source.to_string()))
    };
    let all = [
        ("ts", epoch()),
        ("day", dates()),
        ("at", clock()),
        ("x", numbers()),
    ];
    assert_eq!(
        name(found(&all)),
        Some(("at".to_owned(), "timestamp".to_owned()))
    );
    assert_eq!(
        name(found(&[
            ("ts", epoch()),
            ("day", dates()),
            ("x", numbers())
        ]))
        .map(|f| f.0),
        Some("day".to_owned())
    );
    assert_eq!(
        name(found(&[("ts", epoch()), ("x", numbers())])),
        Some(("ts".to_owned(), "epoch seconds".to_owned()))
    );
    // seconds since the start of a measurement, and numbers whose name does not suggest times
    assert_eq!(
        found(&[
            ("time", Column::Numbers(vec![0.0, 172_792.0])),
            ("x", numbers())
        ]),
        None
    );
    assert_eq!(found(&[("volume", epoch()), ("x", numbers())]), None);
}

#[test]
fn a_column_that_is_listed_as_a_feature_is_not_the_time_column() {
    let table = typed(&[
        ("ts", Column::Numbers(vec![1.7e9, 1.8e9])),
        ("x", Column::Numbers(vec![1.0, 2.0])),
    ]);
    let roles = Roles {
        features: vec!["ts".to_owned()],
        ..Roles::default()
    };
    let schema = Schema::learn(&table, &roles).expect("a schema");
    assert_eq!(schema.features(), ["ts"]);
    assert_eq!(roles_of(&schema), [("x", Role::Ignored)]);
}

#[test]
fn roles_are_checked() {
    let table = typed(&[
        ("value", Column::Numbers(vec![1.0, 2.0])),
        ("when", texts(&["2024-01-31", "31 of May"])),
        ("sensor", texts(&["a", "b"])),
    ]);
    let refused = |roles: Roles| {
        let error = Schema::learn(&table, &roles).expect_err("refused");
        (
            error.field_path().unwrap_or_default().to_owned(),
            error.message().to_owned(),
        )
    };
    let some = |name: &str| Some(name.to_owned());
    let roles = Roles::default;
    assert_eq!(
        refused(Roles {
            target: some("valeu"),
            ..roles()
        }),
        (
            "target_column".to_owned(),
            "there is no column \"valeu\" for target_column; nearest is \"value\"".to_owned()
        )
    );
    let (field, message) = refused(Roles {
        time: some("when"),
        ..roles()
    });
    assert_eq!(field, "time_column");
    assert!(message.contains("row 1 has \"31 of May\""), "{message}");
    assert_eq!(
        refused(Roles {
            target: some("sensor"),
            ..roles()
        })
        .0,
        "target_column"
    );
    let twice = Roles {
        series: some("sensor"),
        ignored: vec!["sensor".to_owned()],
        ..roles()
    };
    assert_eq!(refused(twice).0, "ignore_columns");
    assert_eq!(
        refused(Roles {
            label: some("value"),
            target: some("value"),
            ..roles()
        })
        .0,
        "label_column"
    );
}

#[test]
fn a_stored_order_that_is_not_a_permutation_is_refused() {
    let stored = |order: &[usize]| -> Schema {
        let mut value = serde_json::to_value(schema(&["b", "c", "a"], None)).expect("JSON");
        assert_eq!(value["order"], serde_json::json!([2, 0, 1]));
        value["order"] = serde_json::json!(order);
        serde_json::from_value(value).expect("a schema")
    };
    for order in [&[2, 0, 1][..], &[]] {
        assert!(stored(order).is_valid(), "{order:?}");
    }
    for order in [&[2, 0, 0][..], &[0, 1], &[1, 2, 3], &[0, 1, 2, 3]] {
        assert!(!stored(order).is_valid(), "{order:?}");
    }
}
