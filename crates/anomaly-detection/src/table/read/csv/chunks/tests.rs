use std::io::Cursor;

use super::*;
use crate::table::read::{self, Source};
use crate::table::{ColumnType, ColumnView, Table};

fn opened(content: &[u8], options: &CsvOptions) -> Result<CsvChunks> {
    let options = FileOptions {
        format: Some(Format::Csv),
        csv: options.clone(),
    };
    let reader = Box::new(Cursor::new(content.to_vec()));
    let chunks = CsvChunks::open(reader, &options, Limits::default())?;
    Ok(chunks.expect("it is CSV"))
}

/// A file that is read a few bytes at a time.
fn in_small_windows(content: &[u8], options: &CsvOptions) -> Result<CsvChunks> {
    let reader = Box::new(Cursor::new(content.to_vec()));
    CsvChunks::of_windows(Windows::new(reader, 32), options)
}

fn all(mut chunks: CsvChunks, max_rows: usize) -> Result<Vec<CsvChunk>> {
    let mut given = Vec::new();
    while chunks.has_next()? {
        let chunk = chunks.next_chunk(max_rows, usize::MAX, |_| {})?;
        given.push(chunk.expect("a row follows"));
    }
    assert_eq!(chunks.next_chunk(1, 1, |_| {})?, None);
    Ok(given)
}

fn text(chunk: &CsvChunk) -> &str {
    std::str::from_utf8(&chunk.content).expect("text")
}

fn table(content: &[u8], options: &CsvOptions) -> Result<Table> {
    let options = FileOptions {
        format: Some(Format::Csv),
        csv: options.clone(),
    };
    read::read(content, &options, Limits::default())
}

/// The cells of all rows, printed.
fn cells(table: &Table) -> Vec<Vec<String>> {
    let cell = |column: usize, row: usize| match table.column(column) {
        ColumnView::Numbers(values) | ColumnView::Booleans(values) => match values[row].is_nan() {
            true => "-".to_owned(),
            false => format!("{:?}", values[row]),
        },
        ColumnView::Texts(texts) => texts.get(row).map_or("-".to_owned(), |t| format!("{t:?}")),
        ColumnView::Times(times) => times[row].to_string(),
    };
    let columns = 0..table.n_columns();
    let row = |row| columns.clone().map(|column| cell(column, row)).collect();
    (0..table.n_rows()).map(row).collect()
}

#[test]
fn chunks_read_separately_give_the_rows_of_the_whole() {
    let options = CsvOptions {
        delimiter: Some(b','),
        comment: Some(b'#'),
        ..CsvOptions::default()
    };
    let content = "text,late,n,b\n\" leading\",,1,true\nx ,,2,\n# no row, this\n12,,-3.5,false\n\n  \
                   NA,\"a\n\"\"b\"\",\",.5,1\n\"é\r\",NaN,\"7\",0\n42,7,1e3,TRUE\n,,,\n";
    let whole = cells(&table(content.as_bytes(), &options).expect("valid"));
    assert_eq!(whole.len(), 7);
    assert_eq!(whole[0][0], "\" leading\"");
    for max_rows in 1..9 {
        for chunks in [
            opened(content.as_bytes(), &options).expect("valid"),
            in_small_windows(content.as_bytes(), &options).expect("valid"),
        ] {
            let chunks = all(chunks, max_rows).expect("valid");
            let mut rows = Vec::new();
            for chunk in &chunks {
                assert!(chunk.n_rows <= max_rows);
                let part = table(&chunk.content, &chunk.options).expect("a file of its own");
                assert_eq!(part.n_rows(), chunk.n_rows);
                rows.extend(cells(&part));
            }
            assert_eq!(rows, whole, "{max_rows}");
        }
    }
}

#[test]
fn files_refused_as_a_whole_are_refused_in_chunks() {
    let default = CsvOptions::default();
    for content in [
        "x,kind\n3,\"a\n3,a\n",
        "x,y\n1,2\n3\n",
        "x,y\n1,2\n3,4\n5,shop\n",
        "x,y\n1,2\n3,\"4\"5\n",
        "",
        "x,x\n1,2\n",
    ] {
        let whole = table(content.as_bytes(), &default).expect_err("refused");
        let chunks = opened(content.as_bytes(), &default).and_then(|chunks| all(chunks, 1));
        let chunks = chunks.expect_err("refused, too");
        assert_eq!(chunks.message(), whole.message());
        let small = CsvOptions {
            delimiter: Some(b','),
            ..default.clone()
        };
        let small = in_small_windows(content.as_bytes(), &small).and_then(|chunks| all(chunks, 1));
        assert_eq!(small.expect_err("refused").message(), whole.message());
    }
}

#[test]
fn types_left_open_may_change() {
    let content = b"x,y\n1,2\n3,shop\n";
    let mut chunks = opened(content, &CsvOptions::default()).expect("valid");
    chunks.leave_types_open(|name| name == "y");
    let chunks = all(chunks, 1).expect("valid");
    let texts: Vec<&str> = chunks.iter().map(text).collect();
    assert_eq!(texts, ["x,y\n1,2\n", "x,y\n3,shop\n"]);
    assert!(chunks.iter().all(|c| c.options.text_columns.is_empty()));
}

#[test]
fn left_out_columns_do_not_change_the_other_cells() {
    let options = CsvOptions {
        comment: Some(b'#'),
        text_columns: vec!["t".to_owned()],
        ..CsvOptions::default()
    };
    let content = b"t,x\n1,#2\nshop, \"3\"\n,\"\"\r\n\"a,b\" , \t\r\n4,\"5\n\"\"6\" \n";
    let mut chunks = opened(content, &options).expect("valid");
    chunks.leave_out(|name| name == "t").expect("x is left");
    let mut seen = Vec::new();
    let chunk = chunks.next_chunk(9, 999, |cells| {
        seen.push(String::from_utf8_lossy(&cells[0]).into_owned());
    });
    let chunk = chunk.expect("valid").expect("rows");
    assert_eq!(text(&chunk), "x\n#2\n \"3\"\n\"\"\n\"\"\n\"5\n\"\"6\"\n");
    assert_eq!(seen, ["1", "shop", "", "a,b", "4"]);
    assert_eq!(chunk.options.text_columns, ["x"]);
    let mut nothing = opened(content, &options).expect("valid");
    assert!(nothing.leave_out(|_| true).is_err());
}

#[test]
fn without_a_header_the_columns_that_are_left_are_counted_anew() {
    let options = CsvOptions {
        has_header: Some(false),
        text_columns: vec!["f2".to_owned()],
        ..CsvOptions::default()
    };
    let mut chunks = opened(b"1,2,3\n4,5,6\n", &options).expect("valid");
    assert_eq!(chunks.names(), ["f0", "f1", "f2"]);
    chunks.leave_out(|name| name == "f0").expect("two are left");
    let chunks = all(chunks, 1).expect("valid");
    assert_eq!(text(&chunks[1]), "5,6\n");
    assert_eq!(chunks[1].options.text_columns, ["f1"]);
    let part = table(&chunks[1].content, &chunks[1].options).expect("valid");
    assert_eq!(part.column_type(1), ColumnType::Text);
}

#[test]
fn a_chunk_begins_and_ends_its_lines_as_the_file_does() {
    let options = CsvOptions {
        has_header: Some(false),
        delimiter: Some(b','),
        ..CsvOptions::default()
    };
    let long = "x".repeat(70_000);
    let content = format!("\"a\rb\",1\n\u{feff}c,2\n\"d\r{long}\",3\n");
    let whole = cells(&table(content.as_bytes(), &options).expect("valid"));
    assert_eq!(whole[1][0], format!("{:?}", "\u{feff}c"));
    let chunks = all(opened(content.as_bytes(), &options).expect("valid"), 1).expect("valid");
    let parts = chunks.iter().flat_map(|chunk| {
        let part = table(&chunk.content, &chunk.options).expect("a file of its own");
        cells(&part)
    });
    assert_eq!(parts.collect::<Vec<_>>(), whole);
}

#[test]
fn line_ends_are_told_from_the_same_bytes_in_memory_and_on_disk() {
    // in UTF-16 the sample has half as many characters
    let returns = format!("a,b\r1,2\r\"{}\n\",3\r", "x".repeat(40_000));
    let utf16: Vec<u8> = returns.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let options = CsvOptions {
        encoding: Some("utf-16le".to_owned()),
        text_columns: vec!["a".to_owned()],
        ..CsvOptions::default()
    };
    let in_memory = table(&utf16, &options).expect("valid");
    let file_options = FileOptions {
        format: Some(Format::Csv),
        csv: options,
    };
    let source = Source::from(bytes::Bytes::from(utf16));
    let context = crate::context::Context::new();
    let limits = Limits::default();
    let summary = read::scan(&source, &file_options, limits, &context).expect("valid");
    let on_disk = read::whole(&source, &file_options, limits, &summary, None, &context);
    assert_eq!(in_memory.n_rows(), 2);
    assert_eq!(cells(&on_disk.expect("valid")), cells(&in_memory));
}

#[test]
fn a_long_comment_and_blank_lines_are_no_rows() {
    let options = CsvOptions {
        delimiter: Some(b','),
        comment: Some(b'#'),
        ..CsvOptions::default()
    };
    for lines in [format!("#{}\n", "1,2".repeat(50)), "\r\n".repeat(100)] {
        let content = format!("a,b\n{lines}");
        let mut chunks = in_small_windows(content.as_bytes(), &options).expect("valid");
        assert!(!chunks.has_next().expect("readable"));
        let content = format!("a,b\n{lines}1,2\n{lines}3\n");
        let mut chunks = in_small_windows(content.as_bytes(), &options).expect("valid");
        assert!(chunks.has_next().expect("readable"));
        let error = all(chunks, 9).expect_err("a ragged record");
        let line = content.lines().count();
        assert!(
            error.message().starts_with(&format!("line {line}: ")),
            "{error}"
        );
    }
}
