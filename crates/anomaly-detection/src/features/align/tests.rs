use super::*;
use crate::features::Roles;
use crate::features::schema::tests::{labelled, schema, table, texts, typed};
use crate::table::{AbsentCell, Column};

/// Strict scoring without a history.
fn scoring(vocabulary: &Vocabulary) -> Matching<'_> {
    Matching {
        purpose: Purpose::Score,
        policy: FeaturePolicy::Strict,
        needs_history: false,
        vocabulary,
    }
}

fn align(schema: &Schema, table: Table, purpose: Purpose) -> Result<Aligned> {
    let none = Vocabulary::default();
    let how = Matching {
        purpose,
        ..scoring(&none)
    };
    schema.align(Cow::Owned(table), how)
}

#[test]
fn matches_named_columns_in_any_order_and_drops_the_label_when_scoring() {
    let schema = schema(&["b", "bad", "a"], Some("bad"));
    assert_eq!(schema.features(), ["b", "a"]);
    let shuffled = table(&["a", "bad", "b"], &[1.0, 7.0, 2.0]);
    let scored =
        align(&schema, shuffled.clone(), Purpose::Score).expect("label values are not looked at");
    // in the detector's order, by name
    assert_eq!(scored.features.row(0).to_vec(), [1.0, 2.0]);
    assert!(scored.labels.is_none());
    let refused = align(&schema, shuffled, Purpose::Learn).expect_err("7 is not a label");
    assert!(
        refused
            .message()
            .contains("column \"bad\": 7 is not a label"),
        "{refused}"
    );
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
    assert_eq!(with.features.row(0).to_vec(), [2.0, 1.0]);
    assert_eq!(with.labels, Some(vec![Some(false)]));
    let without = align(&schema, unnamed(&[1.0, 2.0]), Purpose::Score).expect("aligned");
    assert_eq!(without.features.row(0).to_vec(), [2.0, 1.0]);
    assert!(align(&schema, unnamed(&[1.0]), Purpose::Score).is_err());
}

#[test]
fn errors_name_missing_unknown_and_nearest_columns() {
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
    let error = align(
        &schema(&["amount"], None),
        table(&["amount", "tip"], &[1.0, 2.0]),
        Purpose::Score,
    )
    .expect_err("unknown");
    assert_eq!(
        error.message(),
        "unknown feature \"tip\"; leave unknown columns out, or train with another feature_policy"
    );
    let error = Schema::learn(
        &table(&["x", "label"], &[1.0, 0.0]),
        &labelled(Some("lable")),
    )
    .expect_err("misspelt");
    assert_eq!(
        error.message(),
        "there is no column \"lable\" for label_column; nearest is \"label\""
    );
}

#[test]
fn an_absent_label_does_not_hide_an_absent_feature() {
    let schema = schema(&["bad", "x"], Some("bad"));
    let label = AbsentCell { row: 0, column: 0 };
    let feature = AbsentCell { row: 1, column: 1 };
    let with = |absent: &[AbsentCell]| {
        table(&["bad", "x"], &[f64::NAN, 1.0, 0.0, f64::NAN]).with_absent(absent.to_vec())
    };
    assert!(align(&schema, with(&[label]), Purpose::Score).is_ok());
    let error =
        align(&schema, with(&[label, feature]), Purpose::Score).expect_err("row 1 has no x");
    assert_eq!(error.place(), Some(&Place::Row(1)));
    assert!(align(&schema, with(&[label, feature]), Purpose::Learn).is_ok());
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

#[test]
fn columns_with_a_role_are_optional_when_scoring() {
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
    // value and time, as in the training table
    let two = align(&schema, unnamed(&[7.0, 0.0]), Purpose::Score).expect("aligned");
    assert_eq!(two.features[[0, 0]], 7.0);
    assert!(align(&schema, unnamed(&[7.0; 5]), Purpose::Score).is_err());
}

#[test]
fn a_flexible_schema_fills_missing_columns_and_names_unknown_ones() {
    let schema = schema(&["a", "b"], None);
    let none = Vocabulary::default();
    let how = Matching {
        policy: FeaturePolicy::Flexible,
        ..scoring(&none)
    };
    let aligned = schema
        .align(Cow::Owned(table(&["new", "b"], &[9.0, 2.0])), how)
        .expect("aligned");
    assert!(aligned.features[[0, 0]].is_nan() && aligned.features[[0, 1]] == 2.0);
    assert_eq!(aligned.unknown, ["new"]);
    let error = schema
        .align(Cow::Owned(table(&["x", "y"], &[9.0, 2.0])), how)
        .expect_err("nothing in common");
    assert!(
        error.message().contains("missing features \"a\", \"b\""),
        "{error}"
    );
}

#[test]
fn errors_name_values_of_another_type() {
    let trained = typed(&[
        ("shop", texts(&["kiosk", "bar"])),
        ("x", Column::Numbers(vec![1.0, 2.0])),
    ]);
    let schema = Schema::learn(&trained, &Roles::default()).expect("a schema");
    let vocabulary = Vocabulary::learn(&schema, &trained).expect("few");
    let how = scoring(&vocabulary);
    let aligned = schema.align(Cow::Owned(trained), how).expect("aligned");
    assert_eq!(aligned.features.column(0).to_vec(), [1.0, 0.0]);
    let numbers = typed(&[
        ("shop", Column::Numbers(vec![f64::NAN, 5.0])),
        ("x", Column::Numbers(vec![1.0, 2.0])),
    ]);
    let error = schema.align(Cow::Owned(numbers), how).expect_err("numbers");
    assert!(
        error.message().contains(
            "row 1, column \"shop\": feature \"shop\" held texts at training, and this is 5"
        ),
        "{error}"
    );
    let words = typed(&[("shop", texts(&["bar"])), ("x", texts(&["one"]))]);
    let error = schema.align(Cow::Owned(words), how).expect_err("a word");
    assert!(
        error.message().contains(
            "row 0, column \"x\": feature \"x\" held numbers at training, and this is \"one\""
        ),
        "{error}"
    );
}

#[test]
fn rows_that_need_a_history_must_have_times_and_series() {
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
    let none = Vocabulary::default();
    let how = Matching {
        needs_history: true,
        ..scoring(&none)
    };
    let refused = |table: Table| {
        let error = schema.align(Cow::Owned(table), how).expect_err("refused");
        error.message().to_owned()
    };
    let unnamed = Table::from_row_major(None, 1, vec![1.0]).expect("a table");
    assert!(refused(unnamed).contains("lack the column \"when\""));
    let named = typed(&[("value", Column::Numbers(vec![1.0]))]);
    assert!(refused(named).contains("missing features \"when\", \"sensor\""));
    // the series is needed even if only one row lacks it
    let absent = AbsentCell { row: 1, column: 2 };
    assert!(refused(trained.clone().with_absent(vec![absent])).starts_with("row 1: no value"));
    assert!(schema.align(Cow::Owned(trained), how).is_ok());
}

#[test]
fn series_keep_the_type_that_they_had() {
    let schema_of = |series: Column| {
        let n = series.len();
        let trained = typed(&[("value", Column::Numbers(vec![1.0; n])), ("sensor", series)]);
        let roles = Roles {
            series: Some("sensor".to_owned()),
            ..Roles::default()
        };
        Schema::learn(&trained, &roles)
    };
    let series = |schema: &Schema, series: Column| {
        let n = series.len();
        let table = typed(&[("value", Column::Numbers(vec![1.0; n])), ("sensor", series)]);
        let none = Vocabulary::default();
        let how = Matching {
            needs_history: true,
            ..scoring(&none)
        };
        let aligned = schema
            .align(Cow::Owned(table), how)
            .map_err(|error| error.message().to_owned())?;
        let series = aligned.series.expect("needed");
        let names = series
            .codes
            .iter()
            .map(|&code| series.names[code as usize].clone());
        Ok::<Vec<String>, String>(names.collect())
    };
    let of_texts = schema_of(texts(&["7", "b"])).expect("a schema");
    assert_eq!(
        series(&of_texts, texts(&["b", "c"])),
        Ok(vec!["b".to_owned(), "c".to_owned()])
    );
    let refused = series(&of_texts, Column::Numbers(vec![7.0])).expect_err("numbers");
    assert!(
        refused.contains("\"sensor\" held texts at training, and this is 7"),
        "{refused}"
    );
    let of_numbers = schema_of(Column::Numbers(vec![7.0, 8.0])).expect("a schema");
    // both zeros are one series
    assert_eq!(
        series(&of_numbers, Column::Numbers(vec![0.0])),
        series(&of_numbers, Column::Numbers(vec![-0.0]))
    );
    assert_eq!(
        series(&of_numbers, Column::Numbers(vec![8.0])),
        Ok(vec!["8".to_owned()])
    );
    assert!(series(&of_numbers, texts(&["7"])).is_err());
    // a column without any value may have been read as either type
    assert_eq!(
        series(&of_numbers, Column::Texts([None].into_iter().collect())),
        Ok(vec![String::new()])
    );
    assert_eq!(
        series(&of_texts, Column::Numbers(vec![f64::NAN])),
        Ok(vec![String::new()])
    );
    assert!(schema_of(Column::Times(vec![1, 2])).is_err());
}
