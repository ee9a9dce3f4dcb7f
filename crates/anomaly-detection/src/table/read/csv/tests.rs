use memchr::memchr_iter;

use super::super::text_file::CHUNK_BYTES;
use super::*;
use crate::error::reason;
use crate::table::MAX_CELLS;
use crate::table::{ColumnType, ColumnView};

fn read_with(content: &[u8], options: &CsvOptions) -> Result<Table> {
    read(&decoded(content, options)?, options, MAX_CELLS)
}

fn table(content: &[u8], options: &CsvOptions) -> Table {
    read_with(content, options).expect("valid")
}

fn refusal(content: &[u8], options: &CsvOptions) -> String {
    let error = read_with(content, options).expect_err("should be refused");
    assert!(matches!(
        error.reason(),
        reason::INVALID_RECORDS | reason::TEXT_VALUE | reason::INVALID_FIELD
    ));
    error.message().to_owned()
}

fn message(content: &[u8]) -> String {
    refusal(content, &CsvOptions::default())
}

/// The cells of a column, printed; a missing one is `-`.
fn cells(table: &Table, column: usize) -> Vec<String> {
    let shown = |value: &f64| {
        if value.is_nan() {
            "-".to_owned()
        } else {
            value.to_string()
        }
    };
    match table.column(column) {
        ColumnView::Numbers(values) | ColumnView::Booleans(values) => {
            values.iter().map(shown).collect()
        }
        ColumnView::Texts(texts) => (0..texts.len())
            .map(|row| texts.get(row).unwrap_or("-").to_owned())
            .collect(),
        ColumnView::Times(times) => times.iter().map(i64::to_string).collect(),
    }
}

fn types(table: &Table) -> Vec<ColumnType> {
    (0..table.n_columns())
        .map(|column| table.column_type(column))
        .collect()
}

#[test]
fn types_follow_from_the_cells() {
    let table = table(
        b"n,b,t,m,mixed,late\n1,true,x,,true,NA\n2e3,FALSE,12,NA,0.5,\n,,  y z ,nan,,shop\n",
        &CsvOptions::default(),
    );
    use ColumnType::{Boolean, Number, Text};
    assert_eq!(types(&table), [Number, Boolean, Text, Number, Number, Text]);
    assert_eq!(cells(&table, 0), ["1", "2000", "-"]);
    assert_eq!(cells(&table, 1), ["1", "0", "-"]);
    assert_eq!(cells(&table, 2), ["x", "12", "y z"]);
    assert_eq!(cells(&table, 3), ["-", "-", "-"]);
    assert_eq!(cells(&table, 4), ["1", "0.5", "-"]);
    assert_eq!(cells(&table, 5), ["-", "-", "shop"]);
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for (cell, value) in [
        ("+5", "5"),
        (" 2.5 ", "2.5"),
        ("-inf", "-inf"),
        (".5", "0.5"),
        ("5.", "5"),
        ("\"3e2\"", "300"),
        ("1e400", "inf"),
        ("0.1", "0.1"),
        ("9007199254740993", "9007199254740992"),
        ("nan", "-"),
        ("-NaN", "-"),
        ("\"\"", "-"),
        ("#N/A", "-"),
    ] {
        let content = format!("a,b\n{cell},1\n2,{cell}\n");
        let table = table(content.as_bytes(), &CsvOptions::default());
        assert_eq!(
            (&cells(&table, 0)[0], &cells(&table, 1)[1]),
            (&value.to_owned(), &value.to_owned())
        );
    }
}

#[test]
fn quotes_protect_delimiters_line_ends_and_white_space() {
    let table = table(
        b"\"a,b\",c\r\n\" x\ny\",1\r\n\r\n\"say \"\"no\"\"\",2\r\nplain \"q\" ,3",
        &CsvOptions::default(),
    );
    assert_eq!(table.names(), Some(&["a,b".to_owned(), "c".to_owned()][..]));
    assert_eq!(cells(&table, 0), [" x\ny", "say \"no\"", "plain \"q\""]);
    assert_eq!(cells(&table, 1), ["1", "2", "3"]);
}

#[test]
fn names_the_place_of_what_is_wrong() {
    assert_eq!(
        message(b"a,b\n1,2\n3,shop\n"),
        "line 3, column \"b\": \"shop\" is not a number, as the values before it are; correct it, list it in na_values if it is missing, or read texts by text_columns"
    );
    assert_eq!(
        message(b"a,b\n1,2\n3\n"),
        "line 3: 1 cell where the header has 2"
    );
    assert_eq!(
        message(b"a,b\n1,2\n\n3,4,5,\n"),
        "line 4: 4 cells where the header has 2"
    );
    assert_eq!(
        message(b"a,b\n1,2\n3,\"4\n5,6\n"),
        "line 3: a quote is opened and never closed"
    );
    assert_eq!(
        message(b"a,b\n1,\"2\"3\n"),
        "line 2: text follows a closing quote; inside of quotes a quote is written twice"
    );
    assert_eq!(
        message(b"a\nx\n\xff\xfe\n"),
        "line 3, column \"a\": \"\u{fffd}\u{fffd}\" is not UTF-8"
    );
    assert_eq!(
        message(b"\xff,b\n1,2\n"),
        "line 1: the column name \"\u{fffd}\" is not UTF-8"
    );
    assert_eq!(
        message(b""),
        "the file is empty; its first line must name the columns"
    );
    assert_eq!(
        message(b"\n\n"),
        "the file is empty; its first line must name the columns"
    );
    assert_eq!(message(b"a,b\n"), "the records have no rows");
    assert_eq!(
        message(b"a,b,a\n1,2,3\n"),
        "line 1: columns 0 and 2 are both named \"a\"; names must be unique"
    );
    assert_eq!(
        message(b"\na,,c\n1,2,3\n"),
        "line 2: column 1 has an empty name; name every column"
    );
    assert_eq!(
        message(b"\"a,b\n1,2\n"),
        "line 1: a quote is opened and never closed"
    );
    let long = format!("a\n1\n{}\n", "x".repeat(1000));
    assert!(message(long.as_bytes()).len() < 200);
}

#[test]
fn a_header_of_too_many_columns_is_refused() {
    let header = "a,".repeat(1 << 22);
    assert_eq!(
        message(header.as_bytes()),
        "line 1: there are more than 65536 columns"
    );
}

#[test]
fn files_without_header_have_no_names() {
    let options = CsvOptions {
        has_header: Some(false),
        text_columns: vec!["f1".to_owned()],
        ..CsvOptions::default()
    };
    let table = table(b"1,2\n3,4\n", &options);
    assert_eq!(table.names(), None);
    assert_eq!(
        (cells(&table, 0), cells(&table, 1)),
        (vec!["1".into(), "3".into()], vec!["2".into(), "4".into()])
    );
    assert_eq!(types(&table), [ColumnType::Number, ColumnType::Text]);
    assert_eq!(
        refusal(b"1,2\n3\n", &options),
        "line 2: 1 cell where the first record has 2"
    );
    assert!(refusal(b"1\n", &options).contains("no column \"f1\""));
}

#[test]
fn options_say_how_the_file_is_written() {
    let options = CsvOptions {
        delimiter: Some(b';'),
        decimal: ',',
        quote: Some(b'\''),
        comment: Some(b'#'),
        na_values: vec!["-999".to_owned(), "void".to_owned(), "2.5e0".to_owned()],
        text_columns: vec!["zip".to_owned()],
        ..CsvOptions::default()
    };
    let table = table(
        b"# it's a comment; with 'quotes\nx;zip;t\n1,5;01234;'a;b'\n# ;;;\n-999,0;;void\n2.5e0;NA;c\n",
        &options,
    );
    assert_eq!(cells(&table, 0), ["1.5", "-", "-"]);
    assert_eq!(cells(&table, 1), ["01234", "-", "-"]);
    assert_eq!(cells(&table, 2), ["a;b", "-", "c"]);
}

#[test]
fn cells_are_missing_before_and_after_texts() {
    let options = CsvOptions {
        na_values: vec!["99".to_owned()],
        ..CsvOptions::default()
    };
    for missing in ["+NaN", "NAN", "99.0", "9.9e1"] {
        let content = format!("before,after\n{missing},x\nx,{missing}\n");
        let table = table(content.as_bytes(), &options);
        assert_eq!(cells(&table, 0), ["-", "x"], "{missing}");
        assert_eq!(cells(&table, 1), ["x", "-"], "{missing}");
    }
}

#[test]
fn other_encodings_are_decoded() {
    let latin = |encoding: &str| CsvOptions {
        encoding: Some(encoding.to_owned()),
        ..CsvOptions::default()
    };
    let table_of = |content: &[u8], options| cells(&table(content, &options), 0);
    assert_eq!(table_of(b"a\nGr\xfc\xdfe\n", latin("latin1")), ["Grüße"]);
    let utf16: Vec<u8> = "\u{feff}a\nGrüße\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    // the mark takes precedence over the option
    assert_eq!(table_of(&utf16, latin("latin1")), ["Grüße"]);
    assert_eq!(
        table_of(b"\xef\xbb\xbfa\nx\n", CsvOptions::default()),
        ["x"]
    );
    assert_eq!(
        refusal(b"a,b\nx,1\n\x81,2\n", &latin("shift_jis")),
        "line 3, column \"a\": \"\u{fffd}\" is not Shift_JIS"
    );
    assert!(refusal(b"a\n", &latin("klingon")).starts_with("\"klingon\" is no known encoding"));
}

#[test]
fn all_line_ends_are_line_ends() {
    for content in [
        &b"a,b\n1,x\n2,y\n"[..],
        b"a,b\r\n1,x\r\n2,y",
        b"a,b\r1,x\r2,y\r",
    ] {
        let table = table(content, &CsvOptions::default());
        assert_eq!(cells(&table, 0), ["1", "2"]);
        assert_eq!(cells(&table, 1), ["x", "y"]);
    }
}

/// A file of several chunks, in which the type of the last column is clear only near the end.
fn long(last: &str, quoted: bool) -> Vec<u8> {
    let mut content = b"n,t,late\n".to_vec();
    let quote = if quoted { "\"" } else { "" };
    while content.len() < 5 * CHUNK_BYTES {
        let row = content.len();
        content.extend_from_slice(format!("{row},{quote}text {}{quote},\n", row % 97).as_bytes());
    }
    content.extend_from_slice(last.as_bytes());
    content
}

#[test]
fn wrong_guesses_of_a_chunk_are_corrected() {
    for quoted in [false, true] {
        let content = long("1,x,5\n2,y,shop\n", quoted);
        let n_lines = memchr_iter(b'\n', &content).count();
        assert_eq!(
            message(&content),
            format!(
                "line {n_lines}, column \"late\": \"shop\" is not a number, as the values before it are; correct it, list it in na_values if it is missing, or read texts by text_columns"
            )
        );
        // text occurs first in an early chunk, so that numbers in later ones are text
        let mut content = b"n,t,late\n".to_vec();
        content.extend(long("", quoted).split_off(9));
        content.extend_from_slice(b"1,x,shop\n");
        content.extend(long("3,z,0012\n", quoted).split_off(9));
        let table = table(&content, &CsvOptions::default());
        let late = cells(&table, 2);
        assert_eq!(
            (late.len(), late.last().map(String::as_str)),
            (n_lines * 2 - 4, Some("0012"))
        );
        assert_eq!(cells(&table, 1)[0], "text 9");
    }
}

#[test]
fn a_table_takes_no_more_cells_than_it_may() {
    let content = [
        &b"a,b,c,d,e,f,g,h\n"[..],
        &b",,,,,,,\n".repeat((1 << 22) + 1),
    ]
    .concat();
    assert!(message(&content).contains("send fewer rows"));
}
