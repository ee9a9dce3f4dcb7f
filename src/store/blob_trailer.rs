//! The end of the file of a blob, behind its content: what the content is checked by.
//!
//! With integers in little-endian order:
//!
//! | bytes | what |
//! |---|---|
//! | 4 each | the CRC-32 of each chunk of 16 KiB, of which the last may be shorter |
//! | 8 | the size of the content |
//! | 32 | the SHA-256 of the content |
//! | 8 | `ANOMBLOB` |
//! | 1 | the format of this trailer, 1 |
//! | 4 | CRC-32 of the trailer up to here |
//!
//! The reference to the blob has the same SHA-256, so that a whole file in the place of another is noticed, too.

use super::checksums::{CHUNK_BYTES, Checksums};
use super::{BlobRef, StoreError};

const MAGIC: [u8; 8] = *b"ANOMBLOB";
const FORMAT: u8 = 1;
const FOOTER_BYTES: u64 = 8 + 32 + 8 + 1 + 4;

/// The length of the trailer of a blob of this size.
pub(super) fn length(size: u64) -> u64 {
    size.div_ceil(CHUNK_BYTES as u64) * 4 + FOOTER_BYTES
}

/// The size of the content of a file of this length; `None` if no file of a blob is so long.
pub(super) fn content_size(file_bytes: u64) -> Option<u64> {
    let chunk = CHUNK_BYTES as u64;
    let chunks = file_bytes.checked_sub(FOOTER_BYTES)?;
    let (n_whole, last) = (chunks / (chunk + 4), chunks % (chunk + 4));
    match last {
        0 => Some(n_whole * chunk),
        1..=4 => None,
        _ => Some(n_whole * chunk + last - 4),
    }
}

/// Encodes the trailer of a blob.
pub(super) fn encode(blob: &BlobRef, checksums: &Checksums) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(checksums.0.len() * 4 + FOOTER_BYTES as usize);
    for checksum in &checksums.0 {
        bytes.extend_from_slice(&checksum.to_le_bytes());
    }
    bytes.extend_from_slice(&blob.size.to_le_bytes());
    bytes.extend_from_slice(&blob.sha256);
    bytes.extend_from_slice(&MAGIC);
    bytes.push(FORMAT);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks the trailer of a blob against the reference to it.
pub(super) fn decode(bytes: &[u8], blob: &BlobRef) -> Result<Checksums, StoreError> {
    let damaged = |how: &str| StoreError::Damaged {
        what: "a blob",
        how: format!("{} {how}", blob.name),
    };
    let cut = || damaged("has no trailer");
    let (rest, checksum) = bytes.split_last_chunk().ok_or_else(cut)?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*checksum) {
        return Err(damaged("has a trailer that does not match its checksum"));
    }
    let (rest, &[format]) = rest.split_last_chunk().ok_or_else(cut)?;
    let (rest, magic) = rest.split_last_chunk::<8>().ok_or_else(cut)?;
    if *magic != MAGIC || format != FORMAT {
        return Err(damaged(&format!(
            "has a trailer of format {format}, and this server reads format {FORMAT}"
        )));
    }
    let (rest, sha256) = rest.split_last_chunk::<32>().ok_or_else(cut)?;
    let (checksums, size) = rest.split_last_chunk().ok_or_else(cut)?;
    if *sha256 != blob.sha256 || u64::from_le_bytes(*size) != blob.size {
        return Err(damaged("is another blob than its reference says"));
    }
    let (checksums, _) = checksums.as_chunks::<4>();
    let checksums: Vec<u32> = checksums.iter().map(|c| u32::from_le_bytes(*c)).collect();
    if checksums.len() as u64 != blob.size.div_ceil(CHUNK_BYTES as u64) {
        return Err(damaged("does not have one checksum for each chunk"));
    }
    Ok(Checksums(checksums))
}

#[cfg(test)]
mod tests {
    use super::super::BlobName;
    use super::*;

    fn blob(size: u64) -> BlobRef {
        BlobRef {
            name: BlobName::random(),
            sha256: [7; 32],
            size,
        }
    }

    #[test]
    fn a_trailer_survives_its_round_trip_and_damage_is_refused() {
        let blob = blob(CHUNK_BYTES as u64 + 1);
        let checksums = Checksums(vec![1, 2]);
        let bytes = encode(&blob, &checksums);
        assert_eq!(bytes.len() as u64, length(blob.size));
        assert_eq!(decode(&bytes, &blob).expect("whole"), checksums);
        for i in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[i] ^= 0x41;
            assert!(decode(&turned, &blob).is_err(), "byte {i}");
            assert!(decode(&bytes[..i], &blob).is_err(), "cut at {i}");
            assert!(decode(&bytes[i + 1..], &blob).is_err(), "from {i} on");
        }
    }

    #[test]
    fn the_trailer_of_another_blob_is_refused() {
        let blob = blob(5);
        let bytes = encode(&blob, &Checksums(vec![1]));
        let others = [
            BlobRef {
                sha256: [8; 32],
                ..blob.clone()
            },
            BlobRef {
                size: 6,
                ..blob.clone()
            },
        ];
        for other in others {
            assert!(decode(&bytes, &other).is_err(), "{other:?}");
        }
        let too_few = encode(&blob, &Checksums(Vec::new()));
        assert!(decode(&too_few, &blob).is_err());
    }

    #[test]
    fn the_size_of_the_content_follows_from_that_of_the_file() {
        let sizes = (0..100).chain(16_370..16_400).chain(32_760..32_790);
        let mut files = Vec::new();
        for size in sizes.chain([1 << 40]) {
            let file = size + length(size);
            assert_eq!(content_size(file), Some(size), "{size}");
            files.push(file);
        }
        for file in (0..200).chain(16_400..16_500).chain([u64::MAX]) {
            let size = content_size(file);
            assert!(
                size.is_none_or(|size| size + length(size) == file),
                "{file}"
            );
            assert!(size.is_some() || !files.contains(&file), "{file}");
        }
    }

    /// The documented format: newer servers must be able to read it.
    #[test]
    fn the_bytes_of_a_trailer_stay_what_they_are() {
        let mut expected = vec![4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0];
        expected.extend_from_slice(&[7; 32]);
        expected.extend_from_slice(b"ANOMBLOB\x01");
        // computed with Python: zlib.crc32(the bytes so far)
        expected.extend_from_slice(&CHECKSUM.to_le_bytes());
        assert_eq!(encode(&blob(5), &Checksums(vec![0x0102_0304])), expected);
    }

    const CHECKSUM: u32 = 0x96F5_7EF0;
}
