//! Tests of how files are cut.

use super::*;
use std::io::Cursor;

use proptest::prelude::*;

fn chunks_as(
    args: &FileArgs,
    content: impl Into<Vec<u8>>,
    drop: &[&str],
) -> Result<Option<Chunks>> {
    let drop: Vec<_> = drop.iter().map(|&column| column.to_owned()).collect();
    let source = Box::new(Cursor::new(content.into()));
    Chunks::of_csv(source, Path::new("t.csv"), args, &drop, true)
}

fn chunks(content: impl Into<Vec<u8>>, drop: &[&str]) -> Result<Chunks> {
    let comma = FileArgs {
        delimiter: Some(','),
        ..FileArgs::default()
    };
    chunks_as(&comma, content, drop).map(|chunks| chunks.expect("CSV"))
}

fn table() -> impl Strategy<Value = (Vec<Vec<String>>, bool)> {
    let cell = "[a-z0-9 ,\"\r\n]{0,6}";
    let rows = (1usize..5).prop_flat_map(move |columns| {
        prop::collection::vec(prop::collection::vec(cell, columns), 1..20)
    });
    (rows, any::<bool>())
}

/// A cell as it is read back: unquoted cells lose the white space around them.
fn held(cell: &str) -> &str {
    match cell.contains([',', '"', '\r', '\n']) {
        true => cell,
        false => cell.trim(),
    }
}

fn records(mut chunks: Chunks, limits: Limits) -> Result<(Vec<Vec<u8>>, Vec<ByteRecord>)> {
    chunks.leave_types_open(|_| true);
    let (mut sent, mut kept) = (Vec::new(), Vec::new());
    while let Some(chunk) = chunks.next(limits)? {
        assert!(chunk.rows >= 1 && chunk.rows <= limits.rows);
        assert_eq!(chunk.records.len(), chunk.rows);
        sent.push(chunk.content);
        kept.extend(chunk.records);
    }
    assert!(!chunks.has_next());
    Ok((sent, kept))
}

proptest! {
    #[test]
    fn chunks_rejoin_to_the_same_records(
        (table, crlf) in table(),
        rows in 1usize..6,
        bytes in 1usize..60,
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        let header = (0..table[0].len()).map(|column| format!("c{column}"));
        writer.write_record(header).expect("to memory");
        for record in &table {
            writer.write_record(record).expect("equal lengths");
        }
        let content = writer.into_inner().expect("a vector takes everything");
        let expected: Vec<ByteRecord> = table
            .iter()
            .map(|record| record.iter().map(|cell| held(cell)).collect())
            .collect();

        let limits = Limits { rows, bytes };
        let (sent, kept) = records(chunks(content, &[]).expect("CSV"), limits).expect("CSV");
        prop_assert_eq!(&kept, &expected);
        let mut again = Vec::new();
        for content in sent {
            let (_, records) = records(chunks(content, &[]).expect("CSV"), Limits::NONE).expect("CSV");
            again.extend(records);
        }
        prop_assert_eq!(&again, &expected);
    }
}

#[test]
fn a_row_longer_than_the_limit_is_a_chunk_alone() {
    let mut source = chunks("a\n111111\n2\n3\n", &[]).expect("valid");
    let limits = Limits { rows: 10, bytes: 3 };
    let first = source.next(limits).expect("valid").expect("rows");
    assert_eq!(first.content, b"a\n111111\n");
    let second = source.next(limits).expect("valid").expect("rows");
    assert_eq!(second.content, b"a\n2\n3\n");
    assert!(source.next(limits).expect("valid").is_none());
}

#[test]
fn dropped_columns_are_kept_back_and_stay_in_the_records() {
    let mut source = chunks("\u{feff}t,x,y\nmon,1,2\n", &["t"]).expect("valid");
    assert_eq!(source.header().get(0), Some(&b"t"[..]));
    let chunk = source.next(Limits::NONE).expect("valid").expect("rows");
    assert_eq!(chunk.content, b"x,y\n1,2\n");
    assert_eq!(chunk.records[0].len(), 3);
}

#[test]
fn errors_name_what_is_wrong_with_a_table() {
    let ragged = chunks("x,y\n1\n", &[]).and_then(|mut chunks| chunks.next(Limits::NONE));
    let cases = [
        (chunks("", &[]).err(), "is empty"),
        (
            chunks("time,x\n1,2\n", &["tine"]).err(),
            r#"did you mean \"time\"?"#,
        ),
        (chunks("x\n1\n", &["x"]).err(), "leaves no column"),
        (ragged.err(), "line 2"),
    ];
    for (error, expected) in cases {
        let error = error.expect(expected);
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
    assert!(!chunks("x,y\n", &[]).expect("valid").has_next());
}

#[test]
fn chunks_keep_the_delimiter_and_lose_comments_and_encoding() {
    let german = FileArgs {
        encoding: Some("latin1".to_owned()),
        comment: Some('#'),
        ..FileArgs::default()
    };
    let content = b"# made by hand\nort;wert\nK\xf6ln;1,5\n\"#1\";2\n".to_vec();
    let mut source = chunks_as(&german, content, &[])
        .expect("valid")
        .expect("CSV");
    let chunk = source.next(Limits::NONE).expect("valid").expect("rows");
    assert_eq!(
        (chunk.csv.delimiter.as_str(), chunk.csv.comment.as_str()),
        (";", "")
    );
    assert!(chunk.csv.encoding.is_empty());
    assert_eq!(chunk.csv.text_columns, ["ort", "wert"]);
    assert_eq!(
        String::from_utf8(chunk.content).expect("text"),
        "ort;wert\nKöln;1,5\n\"#1\";2\n"
    );
}

#[test]
fn without_a_header_every_line_is_a_row() {
    let args = FileArgs {
        no_header: true,
        ..FileArgs::default()
    };
    let mut source = chunks_as(&args, "1|2\n3|4\n", &["f0"])
        .expect("valid")
        .expect("CSV");
    assert_eq!(source.header(), &ByteRecord::from(vec!["f0", "f1"]));
    let chunk = source.next(Limits::NONE).expect("valid").expect("rows");
    assert_eq!((&chunk.content[..], chunk.rows), (&b"2\n4\n"[..], 2));
    assert_eq!(chunk.csv.has_header, Some(false));
}
