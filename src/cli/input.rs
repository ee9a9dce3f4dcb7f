//! CSV files on their way to the server: whole, or in chunks that are each a CSV file of their own.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use bytes::Bytes;
use csv::ByteRecord;

use super::error::{Error, Result};
use super::suggest::did_you_mean;
use crate::proto::v1::{self as pb, FileFormat, Records, records};

/// Where bytes come from: a file, the standard input, or memory.
pub(super) type Source = Box<dyn Read + Send>;

/// gRPC frames a message with a 32-bit length; what is longer cannot be sent as one.
const MAX_WHOLE: u64 = u32::MAX as u64 - 65_536;

/// Opens a file, or the standard input for `-`, and tells its length where that is known.
pub(super) fn open(path: &Path) -> Result<(Source, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
    if metadata.is_dir() {
        return Err(cannot_read(path, &"it is a folder"));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// The whole content of a file.
pub(super) fn read(path: &Path) -> Result<Bytes> {
    let too_long = || {
        cannot_read(path, &"it is too large for one message")
            .hint("score a large file with `predict --stream`; train on fewer rows")
    };
    let (source, length) = open(path)?;
    if length.is_some_and(|length| length > MAX_WHOLE) {
        return Err(too_long());
    }
    let mut content = Vec::new();
    source
        .take(MAX_WHOLE + 1)
        .read_to_end(&mut content)
        .map_err(|error| cannot_read(path, &error))?;
    if content.len() as u64 > MAX_WHOLE {
        return Err(too_long());
    }
    Ok(content.into())
}

/// Records that carry the content of a CSV file, without the columns to drop.
pub(super) fn records(content: &Bytes, path: &Path, drop: &[String]) -> Result<Records> {
    if drop.is_empty() {
        return Ok(csv_records(content.clone()));
    }
    let source = Box::new(Cursor::new(content.clone()));
    match Chunks::new(source, path, drop, false)?.next(Limits::NONE)? {
        Some(chunk) => Ok(csv_records(chunk.content)),
        None => Err(no_rows(path)),
    }
}

/// Records that carry a CSV file.
pub(super) fn csv_records(content: impl Into<Bytes>) -> Records {
    Records {
        form: Some(records::Form::File(pb::File {
            content: content.into(),
            format: FileFormat::Csv.into(),
            csv: None,
        })),
    }
}

/// The error of a table without rows.
pub(super) fn no_rows(path: &Path) -> Error {
    Error::failed(format!("{} has no rows below its header", name(path)))
}

/// How much a chunk may hold. A single row may exceed the bytes, and is then a chunk alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Limits {
    /// All rows.
    pub(super) const NONE: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
}

/// Some rows of a CSV file.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The rows as a CSV file with the header, without the dropped columns.
    pub(super) content: Vec<u8>,
    /// How many rows.
    pub(super) rows: usize,
    /// The rows with all their columns, if they were to be kept.
    pub(super) records: Vec<ByteRecord>,
}

/// Splits a CSV file between records, wherever line breaks in quotes may be. Holds one record beside the chunk.
pub(super) struct Chunks {
    reader: csv::Reader<Source>,
    name: String,
    header: ByteRecord,
    /// The columns to send, where not all.
    columns: Option<Vec<usize>>,
    next: ByteRecord,
    has_next: bool,
    keep_records: bool,
}

impl Chunks {
    /// Reads the header and looks at the first record. Fails where a column to drop does not exist.
    pub(super) fn new(
        source: Source,
        path: &Path,
        drop: &[String],
        keep_records: bool,
    ) -> Result<Self> {
        let name = name(path);
        let mut reader = csv::ReaderBuilder::new()
            .buffer_capacity(1 << 16)
            .from_reader(source);
        let header = reader
            .byte_headers()
            .map_err(|error| malformed(&name, &error))?
            .clone();
        if header.is_empty() {
            return Err(Error::failed(format!(
                "{name} is empty; it needs a header line that names the columns"
            )));
        }
        let columns = kept_columns(&header, drop)?;
        let mut chunks = Self {
            reader,
            name,
            header,
            columns,
            next: ByteRecord::new(),
            has_next: false,
            keep_records,
        };
        chunks.advance()?;
        Ok(chunks)
    }

    /// All columns of the file, the dropped ones included.
    pub(super) fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// Whether there is another record.
    pub(super) fn has_next(&self) -> bool {
        self.has_next
    }

    /// How many bytes of the file were read into records.
    pub(super) fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next chunk, of at least one record; `None` at the end.
    pub(super) fn next(&mut self, limits: Limits) -> Result<Option<Chunk>> {
        if !self.has_next {
            return Ok(None);
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        write(
            &mut writer,
            &self.header,
            self.columns.as_deref(),
            &self.name,
        )?;
        let mut records = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while self.has_next && (rows == 0 || (rows < limits.rows && bytes < limits.bytes)) {
            write(&mut writer, &self.next, self.columns.as_deref(), &self.name)?;
            rows += 1;
            // close enough: the delimiters, without the quotes
            bytes += self.next.as_slice().len() + self.next.len();
            if self.keep_records {
                records.push(self.next.clone());
            }
            self.advance()?;
        }
        let content = writer
            .into_inner()
            .map_err(|error| Error::failed(format!("cannot split {}: {error}", self.name)))?;
        Ok(Some(Chunk {
            content,
            rows,
            records,
        }))
    }

    fn advance(&mut self) -> Result<()> {
        self.has_next = self
            .reader
            .read_byte_record(&mut self.next)
            .map_err(|error| malformed(&self.name, &error))?;
        Ok(())
    }
}

fn write(
    writer: &mut csv::Writer<Vec<u8>>,
    record: &ByteRecord,
    columns: Option<&[usize]>,
    name: &str,
) -> Result<()> {
    let written = match columns {
        None => writer.write_byte_record(record),
        // the reader refuses ragged records, so every column is there
        Some(columns) => {
            writer.write_record(columns.iter().filter_map(|&column| record.get(column)))
        }
    };
    written.map_err(|error| malformed(name, &error))
}

fn kept_columns(header: &ByteRecord, drop: &[String]) -> Result<Option<Vec<usize>>> {
    if drop.is_empty() {
        return Ok(None);
    }
    for column in drop {
        if !header.iter().any(|name| name == column.as_bytes()) {
            let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
            return Err(Error::usage(format!(
                "there is no column {column:?} to drop{}",
                did_you_mean(column, names.iter().map(AsRef::as_ref))
            )));
        }
    }
    let kept: Vec<_> = (0..header.len())
        .filter(|&i| {
            !drop
                .iter()
                .any(|column| header.get(i) == Some(column.as_bytes()))
        })
        .collect();
    if kept.is_empty() {
        return Err(Error::usage("--drop leaves no column"));
    }
    Ok(Some(kept))
}

fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "the standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

fn cannot_read(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("cannot read {}: {why}", name(path)))
}

fn malformed(name: &str, error: &csv::Error) -> Error {
    Error::failed(format!("cannot read {name} as CSV: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunks(content: impl Into<Vec<u8>>, drop: &[&str]) -> Result<Chunks> {
        let drop: Vec<_> = drop.iter().map(|&column| column.to_owned()).collect();
        Chunks::new(
            Box::new(Cursor::new(content.into())),
            Path::new("t.csv"),
            &drop,
            true,
        )
    }

    fn parse(content: &[u8]) -> (ByteRecord, Vec<ByteRecord>) {
        let mut reader = csv::Reader::from_reader(content);
        let header = reader.byte_headers().expect("a header").clone();
        let records = reader
            .byte_records()
            .collect::<Result<_, _>>()
            .expect("valid CSV");
        (header, records)
    }

    fn table() -> impl Strategy<Value = (Vec<Vec<String>>, bool)> {
        let cell = "[a-z0-9 ,\"\r\n]{0,6}";
        let rows = (1usize..5).prop_flat_map(move |columns| {
            prop::collection::vec(prop::collection::vec(cell, columns), 1..20)
        });
        (rows, any::<bool>())
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
            for record in &table {
                writer.write_record(record).expect("equal lengths");
            }
            let content = writer.into_inner().expect("a vector takes everything");

            let (header, records) = parse(&content);
            prop_assert_eq!(records.len(), table.len() - 1);
            let mut source = chunks(content, &[]).expect("valid CSV");
            let (mut sent, mut kept) = (Vec::new(), Vec::new());
            while let Some(chunk) = source.next(Limits { rows, bytes }).expect("valid CSV") {
                let (chunk_header, chunk_records) = parse(&chunk.content);
                prop_assert_eq!(&chunk_header, &header);
                prop_assert_eq!(chunk_records.len(), chunk.rows);
                prop_assert!(chunk.rows >= 1 && chunk.rows <= rows);
                sent.extend(chunk_records);
                kept.extend(chunk.records);
            }
            prop_assert!(!source.has_next());
            prop_assert_eq!(&sent, &records);
            prop_assert_eq!(&kept, &records);
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
    fn wrong_tables_are_named() {
        let cases = [
            (chunks("", &[]).err(), "is empty"),
            (
                chunks("time,x\n1,2\n", &["tine"]).err(),
                r#"did you mean \"time\"?"#,
            ),
            (chunks("x\n1\n", &["x"]).err(), "leaves no column"),
            (chunks("x,y\n1\n", &[]).err(), "line: 2"),
        ];
        for (error, expected) in cases {
            let error = error.expect(expected);
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        }
        assert!(!chunks("x,y\n", &[]).expect("valid").has_next());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nonexistent/x.csv")).expect_err("not there");
        assert!(format!("{error:?}").contains("/nonexistent/x.csv"));
    }
}
