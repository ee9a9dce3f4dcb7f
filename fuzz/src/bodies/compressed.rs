//! Files of any format that are compressed as a whole. The first byte says how the rest becomes one.

use std::io::Write as _;

use anomaly_detection::table::read::FileOptions;

use super::files::{assert_same_rows, check, chunk_rows};

/// Reads the rest as it is, or compressed, which must give the same table as the rest itself.
pub fn run(data: &[u8]) -> bool {
    let Some((&how, content)) = data.split_first() else {
        return false;
    };
    let options = FileOptions::default();
    let chunk_rows = chunk_rows(content);
    let compressed = match how % 4 {
        1 => gzip(content),
        2 => zstd::encode_all(content, 1).expect("to memory"),
        3 => {
            // the parts of a concatenation are one file
            let (first, second) = content.split_at(content.len() / 2);
            [gzip(first), gzip(second)].concat()
        }
        _ => return check(content, &options, chunk_rows).is_ok(),
    };
    let read = check(&compressed, &options, chunk_rows);
    let is_compressed_twice =
        content.starts_with(&[0x1f, 0x8b]) || content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    // compressed as a whole, Parquet cannot be read in chunks
    if is_compressed_twice || content.starts_with(b"PAR1") {
        return read.is_ok();
    }
    match (read, check(content, &options, chunk_rows)) {
        (Ok(read), Ok(plain)) => {
            assert_eq!(read.n_rows(), plain.n_rows(), "rows");
            assert_same_rows(&plain, 0, &read);
            true
        }
        (Err(_), Err(_)) => false,
        (Err(error), Ok(_)) => panic!("read plain, but not compressed: {error}"),
        (Ok(_), Err(error)) => panic!("read compressed, but not plain: {error}"),
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("to memory");
    encoder.finish().expect("to memory")
}
