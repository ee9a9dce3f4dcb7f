use super::super::text_file::CHUNK_BYTES;
use super::*;
use crate::table::MAX_CELLS;
use crate::table::{ColumnType, ColumnView};

fn array(content: &str) -> Result<Table> {
    read(content.as_bytes(), Layout::Array, MAX_CELLS)
}

fn lines(content: &str) -> Result<Table> {
    read(content.as_bytes(), Layout::Lines, MAX_CELLS)
}

fn refusal(table: Result<Table>) -> String {
    table.expect_err("should be refused").message().to_owned()
}

fn names(table: &Table) -> Vec<&str> {
    table
        .names()
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect()
}

#[test]
fn objects_become_columns_sorted_by_name() {
    let rows = [
        r#"{"b": 1, "a": true, "z": null}"#,
        r#"{"t": "x\n\"é", "b": -2.5e3}"#,
        r#"{"a": false, "t": null, "b": 18446744073709551615}"#,
    ];
    for table in [
        array(&format!("[{}]", rows.join(" ,\n"))),
        lines(&rows.join("\r\n\n")),
    ] {
        let table = table.expect("valid");
        assert_eq!(names(&table), ["a", "b", "t", "z"]);
        let types: Vec<ColumnType> = (0..4).map(|i| table.column_type(i)).collect();
        use ColumnType::{Boolean, Number, Text};
        assert_eq!(types, [Boolean, Number, Text, Number]);
        assert!(
            matches!(table.column(0), ColumnView::Booleans(a) if a[0] == 1.0 && a[1].is_nan() && a[2] == 0.0)
        );
        assert!(
            matches!(table.column(1), ColumnView::Numbers(b) if b.to_vec() == [1.0, -2500.0, 18446744073709551615.0])
        );
        assert!(
            matches!(table.column(2), ColumnView::Texts(t) if t.get(0).is_none() && t.get(1) == Some("x\n\"é"))
        );
        let absent = [(0, 2), (1, 0), (1, 3)].map(|(row, column)| AbsentCell { row, column });
        assert_eq!(table.absent(), absent);
    }
}

#[test]
fn names_the_row_and_key_of_what_is_wrong() {
    for (content, expected) in [
        (
            r#"[{"a": 1}, {"a": "x"}]"#,
            "row 1, key \"a\": \"x\" is text, but the values before it are numbers; a column holds values of one type",
        ),
        (
            r#"[{"a": "x"}, {"a": 1}]"#,
            "row 1, key \"a\": a number stands here, but the values before it are text; a column holds values of one type",
        ),
        (
            r#"[{"a": "x"}, {"a": true}]"#,
            "row 1, key \"a\": a boolean stands here, but the values before it are text; a column holds values of one type",
        ),
        (
            r#"[{"a": [1]}]"#,
            "row 0, key \"a\": an array is no value of a table; give its parts keys of their own, or leave it out",
        ),
        (
            r#"[{"a": {"b": 1}}]"#,
            "row 0, key \"a\": an object is no value of a table; give its parts keys of their own, or leave it out",
        ),
        (
            r#"[{"a": 1}, 5]"#,
            "row 1: the row is not an object; give an array of objects, or one object a line",
        ),
        (r#"[{"a": 1, "a": 2}]"#, "row 0: the key \"a\" stands twice"),
        (r#"[{"": 1}]"#, "row 0: a key is empty; name every column"),
        (
            r#"[{"a": 1}"#,
            "row 1: the array is cut off; its closing bracket is missing",
        ),
        (
            r#"[{"a": 1}, {"a": "#,
            "row 1: the array is cut off; its closing bracket is missing",
        ),
        (
            r#"[{"a": 1} {"a": 2}]"#,
            "row 1: a comma or a closing bracket is missing",
        ),
        (
            r#"[{"a": 1}, ]"#,
            "row 1: the row is not an object; give an array of objects, or one object a line",
        ),
        (r#"[{"a": 1}] x"#, "something follows the end of the array"),
        (r#"{"a": 1}"#, "the file is no array of objects"),
        ("", "the file is empty; it must hold an array of objects"),
        ("[]", "the records have no rows"),
        ("[{}]", "the records have no columns"),
    ] {
        assert_eq!(refusal(array(content)), expected, "{content}");
    }
    assert!(
        refusal(array(r#"[{"a": 1}, {"a": nul}]"#))
            .starts_with("row 1: the row is no valid JSON: ")
    );
    assert!(
        refusal(lines("{\"a\": 1} {\"a\": 2}\n"))
            .starts_with("row 0: the row is no valid JSON: trailing")
    );
    assert!(refusal(lines("{\"a\": 1}\n[1]\n")).starts_with("row 1: the row is not an object"));
    assert_eq!(refusal(lines("\n\n")), "the records have no rows");
}

#[test]
fn deep_nesting_is_refused_without_following_it() {
    let deep = format!("[{{\"a\": {}", "[".repeat(1 << 20));
    assert!(refusal(array(&deep)).contains("cut off"));
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert!(refusal(lines(&deep)).contains("an array is no value"));
}

#[test]
fn too_many_keys_are_refused_at_once() {
    let one_row: Vec<String> = (0..1_000_000).map(|i| format!("\"key {i}\":1")).collect();
    assert_eq!(
        refusal(array(&format!("[{{{}}}]", one_row.join(",")))),
        "row 0: there are more than 65536 columns"
    );
    let many_rows: String = (0..1_000_000).map(|i| format!("{{\"{i}\":1}}\n")).collect();
    assert!(refusal(lines(&many_rows)).contains("send fewer rows"));
}

#[test]
fn types_and_absence_hold_across_chunks() {
    let mut content = String::new();
    let mut n_rows = 0;
    while content.len() < 4 * CHUNK_BYTES {
        content.push_str(&format!(
            "{{\"n\": {n_rows}, \"t\": \"text {}\", \"late\": null}}\n",
            n_rows % 89
        ));
        n_rows += 1;
    }
    let with = |last: &str| lines(&format!("{content}{last}\n"));
    let table = with(r#"{"n": 1, "late": "x", "new": 5}"#).expect("valid");
    assert_eq!(names(&table), ["late", "n", "new", "t"]);
    assert!(
        matches!(table.column(0), ColumnView::Texts(t) if t.n_missing() == n_rows && t.get(n_rows) == Some("x"))
    );
    let absent = [(0, 2), (n_rows, 3)].map(|(row, column)| AbsentCell { row, column });
    assert_eq!(table.absent(), absent);
    assert!(refusal(with(r#"{"n": "x"}"#)).starts_with(&format!("row {n_rows}, key \"n\"")));
    assert!(
        refusal(with(r#"{"n": }"#)).starts_with(&format!("row {n_rows}: the row is no valid JSON"))
    );
    let array = array(&format!("[{}]", content.trim_end().replace('\n', ","))).expect("valid");
    assert_eq!(array.n_rows(), n_rows);
}
