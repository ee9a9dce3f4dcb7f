use super::*;
use crate::features::{Aligned, FeaturePolicy, Matching, Purpose, Vocabulary};
use crate::table::{AbsentCell, Column, TextColumn};

fn table(names: &[&str], values: &[f64]) -> Table {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let n_columns = names.len();
    Table::from_row_major(Some(names), n_columns, values.to_vec()).expect("valid table")
}

fn labelled(label: Option<&str>) -> Roles {
    Roles {
        label: label.map(str::to_owned),
        ..Roles::default()
    }
}

fn schema(names: &[&str], label: Option<&str>) -> Schema {
    Schema::learn(&table(names, &vec![0.0; names.len()]), &labelled(label)).expect("valid schema")
}

fn align(schema: &Schema, table: Table, purpose: Purpose) -> Result<Aligned> {
    let how = Matching {
        purpose,
        policy: FeaturePolicy::Strict,
        needs_history: false,
        vocabulary: &Vocabulary::default(),
    };
    schema.align(table, how)
}

#[test]
fn matches_named_columns_in_any_order_and_drops_the_label_when_scoring() {
    let schema = schema(&["b", "bad", "a"], Some("bad"));
    assert_eq!(schema.features(), ["b", "a"]);
    let shuffled = table(&["a", "bad", "b"], &[1.0, 7.0, 2.0]);
    let scored =
        align(&schema, shuffled.clone(), Purpose::Score).expect("label values are not looked at");
    assert_eq!(scored.features.row(0).to_vec(), [2.0, 1.0]);
    assert!(scored.labels.is_none());
    let refused = align(&schema, shuffled, Purpose::Learn).expect_err("7 is not a label");
    assert!(refused.message().contains("\"bad\" holds 7"), "{refused}");
    let unlabelled = align(&schema, table(&["a", "b"], &[1.0, 2.0]), Purpose::Learn)
        .expect("labels are optional");
    assert!(unlabelled.labels.is_none());
}

#[test]
fn matches_unnamed_columns_by_position_with_or_without_the_label() {
    let schema = schema(&["b", "bad", "a"], Some("bad"));
    let unnamed =
        |values: &[f64]| Table::from_row_major(None, values.len(), values.to_vec()).expect("valid");
    let with = align(&schema, unnamed(&[1.0, 0.0, 2.0]), Purpose::Learn).expect("aligned");
    assert_eq!(with.features.row(0).to_vec(), [1.0, 2.0]);
    assert_eq!(with.labels, Some(vec![Some(false)]));
    let without = align(&schema, unnamed(&[1.0, 2.0]), Purpose::Score).expect("aligned");
    assert_eq!(without.features.row(0).to_vec(), [1.0, 2.0]);
    assert!(align(&schema, unnamed(&[1.0]), Purpose::Score).is_err());
}

#[test]
fn names_what_is_missing_unknown_and_nearest() {
    let error = align(
        &schema(&["amount", "hour"], None),
        table(&["amout", "hour"], &[1.0, 2.0]),
        Purpose::Score,
    )
    .expect_err("misspelt");
    assert_eq!(
        error.message(),
        "missing feature \"amount\" (given: \"amout\"); unknown feature \"amout\" (nearest known: \"amount\")"
    );
    let error = Schema::learn(
        &table(&["x", "label"], &[1.0, 0.0]),
        &labelled(Some("lable")),
    )
    .expect_err("misspelt");
    assert_eq!(
        error.message(),
        "there is no label column \"lable\"; nearest is \"label\""
    );
}

#[test]
fn a_row_without_a_label_hides_no_row_without_a_feature() {
    let schema = schema(&["bad", "x"], Some("bad"));
    let label = AbsentCell { row: 0, column: 0 };
    let feature = AbsentCell { row: 1, column: 1 };
    let with = |absent: &[AbsentCell]| {
        table(&["bad", "x"], &[f64::NAN, 1.0, 0.0, f64::NAN]).with_absent(absent.to_vec())
    };
    assert!(align(&schema, with(&[label]), Purpose::Score).is_ok());
    let error =
        align(&schema, with(&[label, feature]), Purpose::Score).expect_err("row 1 has no x");
    assert_eq!(error.field_path(), Some("records.rows[1]"));
    assert!(align(&schema, with(&[label, feature]), Purpose::Learn).is_ok());
}

#[test]
fn refuses_names_and_tables_that_answers_have_no_room_for() {
    let longest = "x".repeat(256);
    assert!(Schema::of_features(vec![longest.clone()]).is_ok());
    let error = Schema::of_features(vec![longest + "x"]).expect_err("too long");
    assert!(error.message().contains("257 bytes"), "{error}");
    let wide = Table::from_row_major(None, 65_537, vec![0.0; 65_537]).expect("valid");
    let error = Schema::learn(&wide, &Roles::default()).expect_err("too wide");
    assert_eq!(error.field_path(), Some("records"));
}

#[test]
fn refuses_repeated_and_empty_names() {
    for names in [["a", "a"], ["a", ""]] {
        assert!(Schema::learn(&table(&names, &[1.0, 2.0]), &Roles::default()).is_err());
        assert!(
            align(
                &schema(&["a", "b"], None),
                table(&names, &[1.0, 2.0]),
                Purpose::Score
            )
            .is_err()
        );
    }
}

fn texts(values: &[&str]) -> Column {
    let texts: TextColumn = values
        .iter()
        .map(|text| (!text.is_empty()).then_some(*text))
        .collect();
    Column::Texts(texts)
}

fn typed(columns: &[(&str, Column)]) -> Table {
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
fn times_are_found_in_clocks_before_texts_before_numbers() {
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
    // seconds since the start of a measurement, and numbers whose name says nothing of time
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
fn a_column_that_is_called_a_feature_is_not_taken_for_times() {
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
            "there is no target column \"valeu\"; nearest is \"value\"".to_owned()
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
fn columns_with_a_role_are_allowed_and_not_needed_when_rows_are_scored() {
    let columns = |n: usize| {
        [
            ("note", texts(&["x", "y"])),
            ("value", Column::Numbers(vec![1.0, 2.0])),
            ("when", Column::Times(vec![0, 1])),
            ("bad", Column::Booleans(vec![0.0, 1.0])),
        ][n..]
            .to_vec()
    };
    let roles = Roles {
        label: Some("bad".to_owned()),
        ignored: vec!["note".to_owned()],
        ..Roles::default()
    };
    let schema = Schema::learn(&typed(&columns(0)), &roles).expect("a schema");
    for table in [
        typed(&columns(0)),
        typed(&columns(1)),
        typed(&columns(1)[..1]),
    ] {
        let aligned = align(&schema, table, Purpose::Score).expect("aligned");
        assert_eq!(aligned.features.column(0).to_vec(), [1.0, 2.0]);
    }
    let unnamed = |values: &[f64]| {
        Table::from_row_major(None, values.len(), values.to_vec()).expect("a table")
    };
    assert!(align(&schema, unnamed(&[7.0]), Purpose::Score).is_ok());
    // value and time, as the training had them
    let two = align(&schema, unnamed(&[7.0, 0.0]), Purpose::Score).expect("aligned");
    assert_eq!(two.features[[0, 0]], 7.0);
    assert!(align(&schema, unnamed(&[7.0; 5]), Purpose::Score).is_err());
}

#[test]
fn a_flexible_schema_fills_what_is_missing_and_names_what_is_unknown() {
    let schema = schema(&["a", "b"], None);
    let how = Matching {
        purpose: Purpose::Score,
        policy: FeaturePolicy::Flexible,
        needs_history: false,
        vocabulary: &Vocabulary::default(),
    };
    let aligned = schema
        .align(table(&["new", "b"], &[9.0, 2.0]), how)
        .expect("aligned");
    assert!(aligned.features[[0, 0]].is_nan() && aligned.features[[0, 1]] == 2.0);
    assert_eq!(aligned.unknown, ["new"]);
    let error = schema
        .align(table(&["x", "y"], &[9.0, 2.0]), how)
        .expect_err("nothing in common");
    assert!(
        error.message().contains("missing features \"a\", \"b\""),
        "{error}"
    );
}

#[test]
fn values_of_another_type_are_named() {
    let trained = typed(&[
        ("shop", texts(&["kiosk", "bar"])),
        ("x", Column::Numbers(vec![1.0, 2.0])),
    ]);
    let schema = Schema::learn(&trained, &Roles::default()).expect("a schema");
    let vocabulary = Vocabulary::learn(&schema, &trained).expect("few");
    let how = Matching {
        purpose: Purpose::Score,
        policy: FeaturePolicy::Strict,
        needs_history: false,
        vocabulary: &vocabulary,
    };
    let aligned = schema.align(trained, how).expect("aligned");
    assert_eq!(aligned.features.column(0).to_vec(), [1.0, 0.0]);
    let numbers = typed(&[
        ("shop", Column::Numbers(vec![f64::NAN, 5.0])),
        ("x", Column::Numbers(vec![1.0, 2.0])),
    ]);
    let error = schema.align(numbers, how).expect_err("numbers");
    assert!(
        error
            .message()
            .contains("\"shop\" held texts at training, and row 1 has 5"),
        "{error}"
    );
    let words = typed(&[("shop", texts(&["bar"])), ("x", texts(&["one"]))]);
    let error = schema.align(words, how).expect_err("a word");
    assert!(
        error
            .message()
            .contains("\"x\" held numbers at training, and row 0 has \"one\""),
        "{error}"
    );
}

#[test]
fn rows_that_need_a_history_say_when_and_of_which_series_they_are() {
    let trained = typed(&[
        ("when", Column::Times(vec![0, 1])),
        ("value", Column::Numbers(vec![1.0, 2.0])),
        ("sensor", texts(&["a", "b"])),
    ]);
    let roles = Roles {
        series: Some("sensor".to_owned()),
        ..Roles::default()
    };
    let schema = Schema::learn(&trained, &roles).expect("a schema");
    let how = Matching {
        purpose: Purpose::Score,
        policy: FeaturePolicy::Strict,
        needs_history: true,
        vocabulary: &Vocabulary::default(),
    };
    let refused = |table: Table| {
        let error = schema.align(table, how).expect_err("refused");
        error.message().to_owned()
    };
    let unnamed = Table::from_row_major(None, 1, vec![1.0]).expect("a table");
    assert!(refused(unnamed).contains("lack the column \"when\""));
    let named = typed(&[("value", Column::Numbers(vec![1.0]))]);
    assert!(refused(named).contains("missing features \"when\", \"sensor\""));
    // a row beside others that have a series does not do without one
    let absent = AbsentCell { row: 1, column: 2 };
    assert!(refused(trained.clone().with_absent(vec![absent])).starts_with("row 1 has no value"));
    assert!(schema.align(trained, how).is_ok());
}
