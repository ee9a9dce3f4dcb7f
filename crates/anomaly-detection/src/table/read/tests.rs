//! Tests of every format: a table that is written reads back equal, whole and in chunks of any size, and no bytes cause a panic.

use std::fs::File;
use std::io::Write as _;

use ::parquet::basic::Compression as Codec;
use proptest::prelude::*;

use super::*;
use crate::error::reason;
use crate::table::{ColumnType, ColumnView, MISSING_TIME};

mod sample;

use self::sample::{Sample, samples};

/// The cells of each row as one string, so that tables can be compared regardless of their dictionaries.
fn rows(table: &Table) -> Vec<String> {
    let cell = |column, row: usize| match table.column(column) {
        ColumnView::Numbers(v) | ColumnView::Booleans(v) => format!("{:x}", v[row].to_bits()),
        ColumnView::Texts(t) => format!("{:?}", t.get(row)),
        ColumnView::Times(t) => t[row].to_string(),
    };
    let row = |row| {
        (0..table.n_columns())
            .map(|column| cell(column, row))
            .collect::<Vec<_>>()
            .join("|")
    };
    (0..table.n_rows()).map(row).collect()
}

fn types(table: &Table) -> Vec<ColumnType> {
    (0..table.n_columns())
        .map(|i| table.column_type(i))
        .collect()
}

fn same(found: &Table, expected: &Table) {
    assert_eq!(found.names(), expected.names());
    assert_eq!(types(found), types(expected));
    assert_eq!(rows(found), rows(expected));
    for column in 0..found.n_columns() {
        if let (ColumnView::Texts(a), ColumnView::Texts(b)) =
            (found.column(column), expected.column(column))
        {
            assert_eq!(a, b);
        }
    }
}

/// Reads a file in memory, and from disk in chunks.
fn reads_back(content: &[u8], options: &FileOptions, expected: &Table, chunk_rows: usize) {
    let limits = Limits::default();
    let in_memory = read(content, options, limits).expect("valid");
    same(&in_memory, expected);
    let mut n_bytes = 0;
    let counted = read_counted(content, options, limits, &mut |more| {
        n_bytes += more;
        Ok(())
    });
    same(&counted.expect("valid"), expected);
    assert!(n_bytes >= content.len());

    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("to disk");
    let source = Source::from_file(file).expect("a file");
    let summary = scan(&source, options, limits, &Context::new()).expect("valid");
    assert_eq!(summary.n_rows(), expected.n_rows() as u64);
    assert_eq!(summary.names().as_deref(), expected.names());
    for (i, column) in summary.columns().iter().enumerate() {
        let n_missing = match expected.column(i) {
            ColumnView::Numbers(v) | ColumnView::Booleans(v) => {
                v.iter().filter(|v| v.is_nan()).count()
            }
            ColumnView::Texts(t) => t.n_missing(),
            ColumnView::Times(t) => t.iter().filter(|&&t| t == MISSING_TIME).count(),
        };
        assert_eq!(
            (column.column_type, column.n_missing),
            (expected.column_type(i), n_missing as u64)
        );
    }
    let from_disk = whole(&source, options, limits, &summary, None, &Context::new());
    let from_disk = from_disk.expect("valid");
    same(&from_disk, expected);
    assert_eq!(from_disk.absent(), in_memory.absent());

    let mut n_rows = 0;
    for chunk in chunks(&source, options, limits, &summary, chunk_rows).expect("valid") {
        let chunk = chunk.expect("valid");
        assert!(chunk.n_rows() <= chunk_rows);
        same(
            &chunk,
            &expected.slice_rows(n_rows..n_rows + chunk.n_rows()),
        );
        n_rows += chunk.n_rows();
    }
    assert_eq!(n_rows, expected.n_rows());
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("to memory");
    encoder.finish().expect("to memory")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_formats_read_back(file in samples().prop_map(Sample::for_text), chunk_rows in 1..100_usize) {
        let expected = file.table();
        let csv = FileOptions { format: Some(Format::Csv), ..FileOptions::default() };
        reads_back(&file.csv(), &csv, &expected, chunk_rows);
        let detected = FileOptions::default();
        reads_back(file.objects().join("\n").as_bytes(), &detected, &expected, chunk_rows);
        reads_back(&gzip(format!("[{}]", file.objects().join(", ")).as_bytes()), &detected, &expected, chunk_rows);
    }

    #[test]
    fn binary_formats_read_back(file in samples(), chunk_rows in 1..100_usize, codec in 0..4_usize) {
        let expected = file.table();
        let options = FileOptions::default();
        let codec = [Codec::UNCOMPRESSED, Codec::SNAPPY, Codec::ZSTD(Default::default()), Codec::GZIP(Default::default())][codec];
        reads_back(&file.parquet(codec), &options, &expected, chunk_rows);
        reads_back(&file.ipc_stream(), &options, &expected, chunk_rows);
        reads_back(&file.ipc_file(), &options, &expected, chunk_rows);
    }

    #[test]
    fn any_bytes_are_read_or_refused(content in prop::collection::vec(any::<u8>(), 0..300), format in 0..6_usize) {
        harmless(&content, format);
    }

    #[test]
    fn texts_of_marks_are_read_or_refused(content in "[\\[\\]{}\":,a1 \n\r;|#\\\\e.-]{0,60}", format in 0..3_usize) {
        harmless(content.as_bytes(), format);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        file in samples(),
        kind in 0..6_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut content = match kind {
            0 => file.clone().for_text().csv(),
            1 => file.objects().join("\n").into_bytes(),
            2 => format!("[{}]", file.objects().join(", ")).into_bytes(),
            3 => file.parquet(Codec::SNAPPY),
            4 => file.ipc_stream(),
            _ => file.ipc_file(),
        };
        for (at, byte) in damage {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(content.len()));
        }
        harmless(&content, 5);
    }

    #[test]
    fn a_failed_read_of_the_source_is_the_error_in_every_format(
        file in samples(),
        kind in 0..7_usize,
        at in any::<prop::sample::Index>(),
    ) {
        let content = match kind {
            0 => file.clone().for_text().csv(),
            1 => gzip(&file.clone().for_text().csv()),
            2 => {
                let lines = file.clone().for_text().objects().join("\n");
                zstd::encode_all(lines.as_bytes(), 1).expect("to memory")
            }
            3 => format!("[{}]", file.clone().for_text().objects().join(", ")).into_bytes(),
            4 => file.parquet(Codec::SNAPPY),
            5 => file.ipc_stream(),
            _ => file.ipc_file(),
        };
        let at = at.index(content.len());
        fails_where_a_read_fails(content, at);
    }
}

/// Bytes of which one cannot be read.
#[derive(Debug)]
struct Broken {
    content: Vec<u8>,
    at: usize,
}

impl ReadAt for Broken {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let start = self.content.len().min(offset as usize);
        let n = buffer.len().min(self.content.len() - start);
        if (start..start + n).contains(&self.at) {
            let error = Error::new(reason::DAMAGED_ARTIFACT, "the disk is broken");
            return Err(std::io::Error::other(error));
        }
        buffer[..n].copy_from_slice(&self.content[start..start + n]);
        Ok(n)
    }
}

/// Reads a file whose byte `at` cannot be read: all of it is right, because that byte is not needed, or the error is the one of
/// the read.
fn fails_where_a_read_fails(content: Vec<u8>, at: usize) {
    let (options, limits) = (FileOptions::default(), Limits::default());
    let source = Source::from(bytes::Bytes::from(content.clone()));
    let n_bytes = content.len() as u64;
    let broken = Source::from_reader(std::sync::Arc::new(Broken { content, at }), n_bytes);
    let summary = scan(&source, &options, limits, &Context::new()).expect("valid");
    let expected: Vec<Table> = chunks(&source, &options, limits, &summary, 7)
        .and_then(Iterator::collect::<Result<_>>)
        .expect("valid");
    let is_of_the_read = |error: &Error| {
        assert_eq!(
            error.reason(),
            reason::DAMAGED_ARTIFACT,
            "byte {at}: {error}"
        );
        assert_eq!(error.message(), "the disk is broken");
    };
    match scan(&broken, &options, limits, &Context::new()) {
        Ok(found) => assert_eq!(found, summary),
        Err(error) => is_of_the_read(&error),
    }
    match chunks(&broken, &options, limits, &summary, 7) {
        Err(error) => is_of_the_read(&error),
        Ok(found) => {
            let mut n_read = 0;
            for chunk in found {
                match chunk {
                    Ok(chunk) => assert_eq!(rows(&chunk), rows(&expected[n_read])),
                    Err(error) => {
                        is_of_the_read(&error);
                        return;
                    }
                }
                n_read += 1;
            }
            assert_eq!(n_read, expected.len());
        }
    }
}

/// Reads a file whole and in chunks: both return the same rows, or both refuse it.
fn harmless(content: &[u8], format: usize) {
    let formats = [
        Format::Csv,
        Format::Json,
        Format::JsonLines,
        Format::Parquet,
        Format::ArrowIpc,
    ];
    let options = FileOptions {
        format: formats.get(format).copied(),
        ..FileOptions::default()
    };
    let limits = Limits {
        decompressed_bytes: 1 << 24,
    };
    let whole = read(content, &options, limits);
    let source = Source::from(bytes::Bytes::copy_from_slice(content));
    let chunked = scan(&source, &options, limits, &Context::new()).and_then(|summary| {
        chunks(&source, &options, limits, &summary, 7)?.collect::<Result<Vec<Table>>>()
    });
    match (whole, chunked) {
        (Ok(whole), Ok(chunked)) => {
            let chunked: Vec<String> = chunked.iter().flat_map(rows).collect();
            assert_eq!(rows(&whole), chunked);
        }
        (Err(whole), Err(chunked)) => {
            assert_ne!(whole.reason(), reason::INTERNAL, "{whole}");
            assert_ne!(chunked.reason(), reason::INTERNAL, "{chunked}");
        }
        (whole, chunked) => panic!("{whole:?}\nbut\n{chunked:?}"),
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut content = b"n,t,late\n".to_vec();
    let mut state = 1_u64;
    while content.len() < 3 << 20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let late = if content.len() > 2 << 20 { "x" } else { "" };
        let line = format!("{},\"text, {}\",{late}\n", state as f64 / 1e15, state >> 57);
        content.extend_from_slice(line.as_bytes());
    }
    let read_on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let whole = read(&content, &FileOptions::default(), Limits::default()).expect("valid");
            let source = Source::from(bytes::Bytes::from(content.clone()));
            let options = FileOptions::default();
            let summary =
                scan(&source, &options, Limits::default(), &Context::new()).expect("valid");
            (whole, summary)
        })
    };
    let (one, one_summary) = read_on(1);
    let (many, many_summary) = read_on(5);
    same(&one, &many);
    assert_eq!(one_summary, many_summary);
    assert_eq!(one.column_type(2), ColumnType::Text);
}

#[test]
fn a_cancelled_scan_stops() {
    let content = [&b"a\n"[..], &b"1\n".repeat(8 << 20)].concat();
    let source = Source::from(bytes::Bytes::from(content));
    let context = Context::new();
    context.cancel();
    let error = scan(
        &source,
        &FileOptions::default(),
        Limits::default(),
        &context,
    )
    .expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
}

#[test]
fn a_file_that_changed_after_its_scan_is_refused() {
    let of = |content: &'static [u8]| Source::from(bytes::Bytes::from_static(content));
    let (options, limits) = (FileOptions::default(), Limits::default());
    let summary = scan(&of(b"a,b\n1,x\n"), &options, limits, &Context::new()).expect("valid");
    let other = &b"a,b\n1,x\n2,y\n"[..];
    for content in [other, b"a,c\n1,x\n", b"{\"a\":1}", b"a,b\n"] {
        let chunks = chunks(&of(content), &options, limits, &summary, 5);
        let error = chunks
            .and_then(Iterator::collect::<Result<Vec<_>>>)
            .expect_err("changed");
        assert_eq!(
            error.message(),
            "the file has changed since it was scanned",
            "{content:?}"
        );
    }
}

#[test]
fn sparse_json_is_scanned_and_read_in_chunks() {
    let content: String = (0..20_000)
        .map(|i| format!("{{\"key {}\": {i}}}\n", i % 500))
        .collect();
    let source = Source::from(bytes::Bytes::from(content));
    let (options, limits) = (FileOptions::default(), Limits::default());
    let summary = scan(&source, &options, limits, &Context::new()).expect("valid");
    assert_eq!(
        (summary.columns().len(), summary.columns()[0].n_missing),
        (500, 20_000 - 40)
    );
    assert_eq!((summary.absent()[0].row, summary.absent().len()), (0, 500));
    let mut n_rows = 0;
    for chunk in chunks(&source, &options, limits, &summary, 1000).expect("valid") {
        n_rows += chunk.expect("valid").n_rows();
    }
    assert_eq!(n_rows, 20_000);
}

#[test]
fn a_record_without_end_is_refused_on_disk_before_it_fills_the_memory() {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(b"a\n\"").expect("to disk");
    file.set_len(1 << 28).expect("a hole");
    let source = Source::from_file(File::try_clone(&file).expect("a file")).expect("a file");
    let error = scan(
        &source,
        &FileOptions::default(),
        Limits::default(),
        &Context::new(),
    )
    .expect_err("endless");
    assert!(
        error.message().contains("is a quote never closed?"),
        "{error}"
    );
}

#[test]
fn files_on_disk_are_decoded_too() {
    let utf16 = "\u{feff}a,b\nGrüße,1\n,2\n".encode_utf16();
    let latin = FileOptions {
        csv: CsvOptions {
            encoding: Some("latin1".to_owned()),
            ..CsvOptions::default()
        },
        ..FileOptions::default()
    };
    let expected = read(
        "a,b\nGrüße,1\n,2\n".as_bytes(),
        &FileOptions::default(),
        Limits::default(),
    )
    .expect("valid");
    let content: Vec<u8> = utf16.flat_map(u16::to_be_bytes).collect();
    reads_back(&content, &FileOptions::default(), &expected, 1);
    reads_back(b"a,b\rGr\xfc\xdfe,1\r,2", &latin, &expected, 5);
    let zstd = zstd::encode_all(&b"a,b\nGr\xfc\xdfe,1\n,2\n"[..], 1).expect("to memory");
    reads_back(&zstd, &latin, &expected, 2);
}

#[test]
fn the_values_of_a_file_are_counted_even_if_each_takes_few_bytes() {
    let csv = b"a,b,c\n".iter().copied();
    let csv: Vec<u8> = csv.chain(b"1,2,3\n".repeat(20_000)).collect();
    let sparse: Vec<String> = (0..200).map(|i| format!("{{\"c{i}\":1}}")).collect();
    let sparse = sparse.join("\n").into_bytes();
    let read_with = |content: &[u8], limit: usize| {
        let mut n_bytes = 0;
        let table = read_counted(
            content,
            &FileOptions::default(),
            Limits::default(),
            &mut |more| {
                n_bytes += more;
                match n_bytes <= limit {
                    true => Ok(()),
                    false => Err(invalid("no more memory")),
                }
            },
        );
        (table, n_bytes)
    };
    for content in [csv, sparse] {
        let expected = read(&content, &FileOptions::default(), Limits::default()).expect("valid");
        let (table, n_bytes) = read_with(&content, usize::MAX);
        same(&table.expect("valid"), &expected);
        assert!(n_bytes >= content.len() + expected.n_rows() * expected.n_columns() * 8);
        let refused = read_with(&content, n_bytes - 1)
            .0
            .expect_err("one byte short");
        assert_eq!(refused.message(), "no more memory");
    }
}
