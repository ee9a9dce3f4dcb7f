use super::*;

fn typed() -> Table {
    Table::from_columns(
        Some(["n", "b", "t", "s"].map(str::to_owned).to_vec()),
        vec![
            Column::Numbers(vec![1.5, f64::NAN, -2.0]),
            Column::Booleans(vec![1.0, 0.0, f64::NAN]),
            Column::Texts([Some("x"), None, Some("y")].into_iter().collect()),
            Column::Times(vec![1, MISSING_TIME, 3]),
        ],
    )
    .expect("valid")
}

#[test]
fn columns_have_types_and_views() {
    let table = typed();
    assert_eq!((table.n_rows(), table.n_columns()), (3, 4));
    let types: Vec<ColumnType> = (0..4).map(|i| table.column_type(i)).collect();
    assert_eq!(
        types,
        [
            ColumnType::Number,
            ColumnType::Boolean,
            ColumnType::Text,
            ColumnType::Timestamp
        ]
    );
    assert!(matches!(table.column(0), ColumnView::Numbers(v) if v[2] == -2.0));
    assert!(matches!(table.column(1), ColumnView::Booleans(v) if v[0] == 1.0));
    assert!(matches!(table.column(2), ColumnView::Texts(t) if t.get(2) == Some("y")));
    assert!(matches!(table.column(3), ColumnView::Times(t) if t == [1, MISSING_TIME, 3]));
    assert!(table.as_matrix().is_none());
}

#[test]
fn number_columns_become_a_matrix_in_the_order_asked_for() {
    let matrix = typed().numbers(&[1, 0]).expect("numbers and booleans");
    assert!(matrix.is_standard_layout());
    assert_eq!(matrix.row(0).to_vec(), [1.0, 1.5]);
    assert!(matrix[[1, 1]].is_nan() && matrix[[2, 0]].is_nan());

    let rows: Vec<f64> = (0..3000).map(f64::from).collect();
    let table = Table::from_row_major(None, 3, rows.clone()).expect("valid");
    assert_eq!(
        table.numbers(&[2, 0]).expect("numbers").row(999).to_vec(),
        [2999.0, 2997.0]
    );
    let columns =
        (0..3).map(|c| Column::Numbers(rows.iter().skip(c).step_by(3).copied().collect()));
    let columns = Table::from_columns(None, columns.collect()).expect("valid");
    assert_eq!(
        columns.into_matrix().expect("numbers"),
        table.into_matrix().expect("numbers")
    );
}

#[test]
fn text_in_place_of_numbers_names_the_column() {
    let error = typed().into_matrix().expect_err("text");
    assert_eq!(error.reason(), reason::TEXT_VALUE);
    assert_eq!(
        error.message(),
        "column \"t\" holds text values where numbers are needed"
    );
}

#[test]
fn slices_hold_their_rows_alone() {
    let slice = typed().slice_rows(1..3);
    assert_eq!(slice.n_rows(), 2);
    let selected = typed().select_rows(&[1, 2]);
    assert_eq!(format!("{selected:?}"), format!("{slice:?}"));
    assert!(matches!(slice.column(2), ColumnView::Texts(t) if t.dictionary().iter().eq(["y"])));
    let matrix = Table::from_row_major(None, 2, vec![1.0, 2.0, 3.0, 4.0])
        .and_then(|table| table.with_labels(vec![0.0, 1.0]))
        .expect("valid");
    let slice = matrix.slice_rows(1..2);
    assert_eq!(matrix.select_rows(&[1]), slice);
    assert_eq!(slice.labels(), Some(&[1.0][..]));
    let values = slice.into_matrix().expect("numbers");
    assert_eq!(values.row(0).to_vec(), [3.0, 4.0]);
}

#[test]
fn invalid_columns_are_refused() {
    let refusal = |names: Option<Vec<String>>, columns| {
        let error = Table::from_columns(names, columns).expect_err("should be refused");
        error.message().to_owned()
    };
    assert_eq!(refusal(None, vec![]), "the records have no columns");
    assert_eq!(
        refusal(None, vec![Column::Numbers(vec![])]),
        "the records have no rows"
    );
    assert_eq!(
        refusal(
            None,
            vec![Column::Numbers(vec![1.0]), Column::Times(vec![])]
        ),
        "column \"f1\" has 0 values, the first one has 1"
    );
    assert_eq!(
        refusal(Some(vec![]), vec![Column::Numbers(vec![1.0])]),
        "there are 0 names for 1 columns"
    );
}

#[test]
fn places_count_the_column_that_was_taken_out() {
    let mut table = Table::from_row_major(None, 3, vec![0.0; 6]).expect("valid");
    assert_eq!(table.given_names(), ["f0", "f1", "f2"]);
    table.take_column(1).expect("two are left");
    assert_eq!(table.given_names(), ["f0", "f2"]);
    assert_eq!(table.taken_name(), Some("f1"));
    for table in [table.slice_rows(0..1), table.select_rows(&[1]), table] {
        assert_eq!(table.place(5, 1).to_string(), "row 5, column \"f2\"");
    }
}

#[test]
fn a_column_of_another_length_is_named() {
    let columns = [2, 3].map(|n| Column::Numbers(vec![0.0; n])).to_vec();
    let names = ["a", "b"].map(str::to_owned).to_vec();
    let error = Table::from_columns(Some(names), columns).expect_err("unequal");
    assert!(
        error.message().contains("column \"b\" has 3 values"),
        "{error}"
    );
    let Some(crate::error::Place::Column(column)) = error.place() else {
        panic!("a column: {error:?}");
    };
    assert_eq!(column.index, 1);
}

#[test]
fn the_memory_of_a_table_is_that_of_its_values() {
    // numbers, booleans and times of 8 bytes, codes of 4, two texts of a byte with their ends, and four names of a byte
    let names = 4 * (size_of::<String>() + 1);
    assert_eq!(typed().n_bytes(), 3 * 3 * 8 + 3 * 4 + 2 * (1 + 8) + names);
    let matrix = Table::from_row_major(None, 2, vec![0.0; 6]).expect("valid");
    assert_eq!(matrix.n_bytes(), 6 * 8);
    let labelled = matrix.with_labels(vec![1.0; 3]).expect("as many");
    assert_eq!(labelled.n_bytes(), 9 * 8);
}
