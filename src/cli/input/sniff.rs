//! What the first bytes of a file tell: its format, and the delimiter of CSV. By the rules of the server, because pieces of a
//! file must be read as the whole would be.

use super::options::FileArgs;
use crate::proto::v1::FileFormat;

/// The delimiters that are tried, the likelier ones first.
const DELIMITERS: [u8; 4] = *b",;\t|";
const SAMPLE_RECORDS: usize = 20;

/// Whether a file that starts so, decompressed, is CSV.
pub(super) fn is_csv(args: &FileArgs, start: &[u8]) -> bool {
    if args.format() != 0 {
        return args.format() == i32::from(FileFormat::Csv);
    }
    if start.starts_with(b"PAR1") || start.starts_with(b"ARROW1") || start.starts_with(&[0xff; 4]) {
        return false;
    }
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let mut visible = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    !matches!(
        (visible.next(), visible.next()),
        (Some(b'['), Some(b'{' | b']') | None) | (Some(b'{'), Some(b'"' | b'}') | None)
    )
}

/// The delimiter that splits the records of a sample into the most cells, each record into as many; failing that, the first
/// record. `is_whole` says that nothing follows the sample.
pub(super) fn delimiter(args: &FileArgs, sample: &[u8], is_whole: bool) -> u8 {
    let taken = [Some(args.decimal()), args.quote, args.comment];
    let candidates = DELIMITERS
        .into_iter()
        .filter(|&delimiter| !taken.contains(&Some(char::from(delimiter))));
    let counts = candidates.map(|delimiter| {
        let (n_cells, is_regular) = cells_of(args, sample, is_whole, delimiter);
        (delimiter, (n_cells > 1 && is_regular, n_cells))
    });
    // the first of equals, where `max_by_key` would give the last
    let best = counts.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(b',', |(delimiter, _)| delimiter)
}

/// How many cells the first record has, and whether every other whole record has as many.
fn cells_of(args: &FileArgs, sample: &[u8], is_whole: bool, delimiter: u8) -> (usize, bool) {
    let mut reader = reader(args, delimiter).flexible(true).from_reader(sample);
    let mut records = Vec::new();
    for record in reader.byte_records().take(SAMPLE_RECORDS + 1) {
        match record {
            Ok(record) => records.push(record.len()),
            Err(_) => return (1, false),
        }
    }
    // the last one may be cut off
    if !is_whole && records.len() > 1 {
        records.pop();
    }
    records.truncate(SAMPLE_RECORDS);
    let first = records.first().copied().unwrap_or(0);
    (first, records.iter().all(|&n_cells| n_cells == first))
}

/// A reader of CSV as the options say, without a header of its own.
pub(super) fn reader(args: &FileArgs, delimiter: u8) -> csv::ReaderBuilder {
    let byte = |character: char| u8::try_from(character).ok();
    let mut builder = csv::ReaderBuilder::new();
    builder
        .has_headers(false)
        .buffer_capacity(1 << 16)
        .delimiter(delimiter)
        .quote(args.quote.and_then(byte).unwrap_or(b'"'))
        .comment(args.comment.and_then(byte));
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_delimiter() {
        let args = FileArgs::default();
        for (content, expected) in [
            (&b"a,b\n1,2\n"[..], b','),
            (b"a;b\n1,5;2,5\n", b';'),
            (b"a\tb c\n1\t2\n", b'\t'),
            (b"a|b\r\n1|2\r\n", b'|'),
            (b"\"a,b,c\";d\n\"1;2\";3\n", b';'),
            (b"a\n1\n2\n", b','),
            (b"a;b,c\n1,2;3\n4,5;6\n", b','),
            (b"", b','),
        ] {
            assert_eq!(delimiter(&args, content, true), expected, "{content:?}");
        }
        // a record that is cut off counts for nothing
        assert_eq!(delimiter(&args, b"a;b,c\n1;2,3\n4;5", false), b',');
    }

    #[test]
    fn tells_csv_from_the_other_formats() {
        let args = FileArgs::default();
        for (start, expected) in [
            (&b"a,b\n"[..], true),
            (b"[a],b\n", true),
            (b"{a},b\n", true),
            (b"\xff\xfea\0", true),
            (b" [\n {\"a\": 1}]", false),
            (b"\xef\xbb\xbf[]", false),
            (b"{\"a\": 1}\n", false),
            (b"PAR1\x15", false),
            (b"ARROW1\0\0", false),
        ] {
            assert_eq!(is_csv(&args, start), expected, "{start:?}");
        }
    }
}
