use super::*;
use crate::table::AbsentCell;

fn table(names: &[&str], values: &[f64]) -> Table {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let n_columns = names.len();
    Table::from_row_major(Some(names), n_columns, values.to_vec()).expect("valid table")
}

fn schema(names: &[&str], label: Option<&str>) -> Schema {
    Schema::learn(&table(names, &vec![0.0; names.len()]), label).expect("valid schema")
}

#[test]
fn matches_named_columns_in_any_order_and_drops_the_label_when_scoring() {
    let schema = schema(&["b", "bad", "a"], Some("bad"));
    assert_eq!(schema.features(), ["b", "a"]);
    let shuffled = table(&["a", "bad", "b"], &[1.0, 7.0, 2.0]);
    let scored = schema
        .align(shuffled.clone(), Purpose::Score)
        .expect("label values are not looked at");
    assert_eq!(scored.features.row(0).to_vec(), [2.0, 1.0]);
    assert!(scored.labels.is_none());
    let refused = schema
        .align(shuffled, Purpose::Learn)
        .expect_err("7 is not a label");
    assert!(refused.message().contains("\"bad\" holds 7"), "{refused}");
    let unlabelled = schema
        .align(table(&["a", "b"], &[1.0, 2.0]), Purpose::Learn)
        .expect("labels are optional");
    assert!(unlabelled.labels.is_none());
}

#[test]
fn matches_unnamed_columns_by_position_with_or_without_the_label() {
    let schema = schema(&["b", "bad", "a"], Some("bad"));
    let unnamed =
        |values: &[f64]| Table::from_row_major(None, values.len(), values.to_vec()).expect("valid");
    let with = schema
        .align(unnamed(&[1.0, 0.0, 2.0]), Purpose::Learn)
        .expect("aligned");
    assert_eq!(with.features.row(0).to_vec(), [1.0, 2.0]);
    assert_eq!(with.labels, Some(vec![Some(false)]));
    let without = schema
        .align(unnamed(&[1.0, 2.0]), Purpose::Score)
        .expect("aligned");
    assert_eq!(without.features.row(0).to_vec(), [1.0, 2.0]);
    assert!(schema.align(unnamed(&[1.0]), Purpose::Score).is_err());
}

#[test]
fn names_what_is_missing_unknown_and_nearest() {
    let error = schema(&["amount", "hour"], None)
        .align(table(&["amout", "hour"], &[1.0, 2.0]), Purpose::Score)
        .expect_err("misspelt");
    assert_eq!(
        error.message(),
        "missing feature \"amount\" (given: \"amout\"); unknown feature \"amout\" (nearest known: \"amount\")"
    );
    let error =
        Schema::learn(&table(&["x", "label"], &[1.0, 0.0]), Some("lable")).expect_err("misspelt");
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
    assert!(schema.align(with(&[label]), Purpose::Score).is_ok());
    let error = schema
        .align(with(&[label, feature]), Purpose::Score)
        .expect_err("row 1 has no x");
    assert_eq!(error.field_path(), Some("records.rows[1]"));
    assert!(
        schema
            .align(with(&[label, feature]), Purpose::Learn)
            .is_ok()
    );
}

#[test]
fn refuses_names_and_tables_that_answers_have_no_room_for() {
    let longest = "x".repeat(256);
    assert!(Schema::of_features(vec![longest.clone()]).is_ok());
    let error = Schema::of_features(vec![longest + "x"]).expect_err("too long");
    assert!(error.message().contains("257 bytes"), "{error}");
    let wide = Table::from_row_major(None, 65_537, vec![0.0; 65_537]).expect("valid");
    let error = Schema::learn(&wide, None).expect_err("too wide");
    assert_eq!(error.field_path(), Some("records"));
}

#[test]
fn refuses_repeated_and_empty_names() {
    for names in [["a", "a"], ["a", ""]] {
        assert!(Schema::learn(&table(&names, &[1.0, 2.0]), None).is_err());
        assert!(
            schema(&["a", "b"], None)
                .align(table(&names, &[1.0, 2.0]), Purpose::Score)
                .is_err()
        );
    }
}
