//! CSV in several dialects, JSON, times, and files that are compressed or have a stored summary.

use anomaly_detection::context::Context;
use anomaly_detection::table::read::{FileOptions, Limits, Source, scan};

use super::Seed;
use crate::bodies::csv::PREFIX;

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, prefix, content) in csv() {
        let content = [&prefix[..], content].concat();
        seeds.push(Seed::new("csv", name, content));
    }
    for (name, content) in JSON {
        seeds.push(Seed::new("json", *name, *content));
    }
    for (name, content) in TIMES {
        seeds.push(Seed::new("times", *name, *content));
    }
    seeds.push(Seed::new("times", "epoch", epochs()));
    for (name, how, content) in [
        ("plain", 0, &b"a,b\n1,x\n2,y\n"[..]),
        ("gzip-csv", 1, b"a,b\n1,x\n2,y\n"),
        ("gzip-json", 1, b"[{\"a\":1},{\"a\":2}]"),
        ("zstd-lines", 2, b"{\"a\":1}\n{\"a\":2}\n"),
        ("gzip-in-two-parts", 3, b"a,b\n1,x\n2,y\n"),
    ] {
        seeds.push(Seed::new("compressed", name, [&[how], content].concat()));
    }
    let zstd = zstd::encode_all(&b"a,b\n1,x\n2,y\n"[..], 1).expect("to memory");
    seeds.push(Seed::new(
        "compressed",
        "zstd-as-it-is",
        [&[0], &zstd[..]].concat(),
    ));
    for (name, content) in [
        ("csv", &b"a,b,c\n1,x,true\n2,y,\n,z,false\n"[..]),
        ("json", b"[{\"a\":1,\"b\":\"x\"},{\"a\":null}]"),
        ("json-lines", b"{\"a\":1}\n{\"b\":true}\n{\"a\":2}\n"),
    ] {
        seeds.push(Seed::new("summary", name, summarised(content)));
    }
    seeds
}

/// An input of the target `summary`: a summary followed by its file.
pub(super) fn summarised(content: &[u8]) -> Vec<u8> {
    let source = Source::from(bytes::Bytes::copy_from_slice(content));
    let options = FileOptions::default();
    let summary = scan(&source, &options, Limits::default(), &Context::new()).expect("valid");
    let summary = rmp_serde::to_vec_named(&summary).expect("encodable");
    let length = u16::try_from(summary.len()).expect("a seed is small");
    [&length.to_le_bytes(), &summary[..], content].concat()
}

/// Name, options and content of each file.
fn csv() -> Vec<(&'static str, [u8; PREFIX], &'static [u8])> {
    // has_header, delimiter, decimal, encoding, na_values, quote, comment, text_columns, rows of a chunk
    vec![
        (
            "plain",
            [0; PREFIX],
            b"a,b,c\n1,x,true\n2.5,y,FALSE\n-3e4,,\n",
        ),
        (
            "semicolons-and-decimal-commas",
            [0, b';', b',', 0, 0b1000, 0, 0, 0, 1],
            b"a;b\n1,5;x\n-2,25;none at all\n",
        ),
        (
            "tabs-no-header",
            [2, b'\t', 0, 0, 0, 0, 0, 0, 2],
            b"1\t2\t3\r\n4\t5\t6\r\n\r\n7\t8\t9",
        ),
        (
            "quotes",
            [1, 0, 0, 0, 0, b'\'', 0, 0, 1],
            b"a,b\n'x, y','it''s'\n'line\nend',2\n",
        ),
        (
            "comments-and-missing",
            [0, b'|', 0, 0, 0b11, 0, b'#', 0, 3],
            b"# first\na|b\n-|NaN\n# between\n99|NULL\n 5 |inf\n",
        ),
        (
            "windows-1252",
            [0, 0, 0, 2, 0, 0, 0, 0, 1],
            b"name,v\ncaf\xe9,1\n\x80uro,2\n",
        ),
        (
            "utf-16le",
            [0, 0, 0, 3, 0, 0, 0, 0, 1],
            b"\xff\xfea\0,\0b\0\n\x001\0,\0\xe9\0\n\0",
        ),
        (
            "text-columns",
            [0, 0, 0, 1, 0, 0, 0, 0b0101, 1],
            b"\xef\xbb\xbfa,b\n007,1\n42,2\n",
        ),
        (
            "changes-its-mind",
            [0, 0, 0, 0, 0, 0, 0, 0, 1],
            b"a,b,c\n,,\n,,\n1,,true\ntrue,2,false\n0,,0\n",
        ),
        (
            "leading-spaces-and-returns-in-quotes",
            [0, 0, 0, 0, 0, 0, 0, 0, 1],
            b"a,kind\n1,\" x\"\n2, x\n3,\"\r\"\n",
        ),
        (
            "texts-that-look-like-numbers",
            [0, b',', 0, 0, 0, 0, b'#', 0, 1],
            b"a,b\n,\n\xef\xbb\xbfx,true\n#\n5,2\n\"#6\",\n",
        ),
        (
            "numbers",
            [0, b' ', 0, 0, 0, 0, 0, 0, 2],
            b"a b c\n1e308 -0 .5\n5. +7 10\n1e-400 9007199254740993 00\n",
        ),
    ]
}

const JSON: &[(&str, &[u8])] = &[
    (
        "array",
        b"[{\"a\":1,\"b\":\"x\"},{\"b\":null,\"a\":-2.5e3}]",
    ),
    (
        "array-spaced",
        b" [ \n{ \"a\" : true } , {\"c\": false}\t]\n",
    ),
    (
        "lines",
        b"{\"a\":1,\"t\":\"\\u00e9\\n\\\"\"}\n\n{\"a\":2,\"t\":null}\r\n{\"t\":\"x\"}",
    ),
    ("lines-bom", b"\xef\xbb\xbf{\"a\":1}\n{\"a\":1e300}\n"),
    (
        "late-columns",
        b"[{},{\"a\":null},{\"b\":1},{\"a\":\"z\",\"b\":2}]",
    ),
    (
        "surrogates",
        b"[{\"\\ud83d\\ude00\":\"\\ud83d\\ude00\",\"k\":0.1}]",
    ),
    (
        "brackets-in-texts",
        b"[{\"a\":\"]},{[\\\\\"},{\"a\":\"\\\"}\"}]",
    ),
];

const TIMES: &[(&str, &[u8])] = &[
    (
        "iso",
        b"2024-01-31\n2024-01-31T13:45\n2024-01-31 13:45:00.123456789+05:30\n20240131T134500Z\n1677-09-21T00:12:44Z",
    ),
    ("rfc2822", b"Wed, 31 Jan 2024 13:45:00 +0000\n1 Feb 2024 00:00:00 EST"),
    ("year-month-day", b"2024/01/31\n2024.1.31, 1:45 PM"),
    ("day-month-name", b"31 Jan 2024\n31-January-2024 13:45\n1sept2024"),
    ("month-name-day", b"Jan 31 2024\nJanuary 31, 2024T23:59:59.5 UTC"),
    ("month-day", b"01/31/2024\n1-2-2024 12:00 AM -0330"),
    ("day-month", b"31/01/2024\n31.01.2024 00:00:00 GMT"),
    ("leap-seconds-and-week-dates", b"2016-12-31T23:59:60Z\n+002024-02-29\n2024-01-31T13"),
];

fn epochs() -> Vec<u8> {
    let seconds = [1.706_708_700e9, 1.706_708_700_25e9, f64::NAN, 4e9];
    seconds.iter().flat_map(|x: &f64| x.to_le_bytes()).collect()
}
