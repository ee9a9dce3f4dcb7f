//! Checksums of the chunks of a blob, by which every read of a part of it is checked.
//!
//! They are there for what disks and people do by accident. CRC-32 finds every change within 32 neighbouring bits of a chunk,
//! and misses one of 2^32 larger ones; it takes next to nothing beside the reading of a file. Which content a blob must have is
//! for the SHA-256 in its reference to say, to which the checksums are tied (`blob_trailer.rs`).

use super::{BlobName, StoreError};

/// How many bytes share a checksum. A read of fewer bytes reads them all, and a buffered reader asks for 8 KiB at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 14;

/// The CRC-32 of each chunk of a blob; the last chunk may be shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksums(pub(super) Vec<u32>);

/// The checksums of bytes that come piece by piece.
#[derive(Debug, Default)]
pub(super) struct Summing {
    done: Vec<u32>,
    chunk: crc32fast::Hasher,
    n_in_chunk: usize,
}

impl Summing {
    /// Adds the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.n_in_chunk;
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.chunk.update(now);
            self.n_in_chunk += now.len();
            if self.n_in_chunk == CHUNK_BYTES {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    /// The checksums of all bytes.
    pub(super) fn finish(mut self) -> Checksums {
        if self.n_in_chunk > 0 {
            self.end_chunk();
        }
        Checksums(self.done)
    }

    fn end_chunk(&mut self) {
        self.done.push(std::mem::take(&mut self.chunk).finalize());
        self.n_in_chunk = 0;
    }
}

/// What a blob must hold, chunk by chunk.
#[derive(Debug)]
pub(super) struct Expected {
    name: BlobName,
    size: u64,
    checksums: Checksums,
}

impl Expected {
    /// The content of a blob of this size, which has one checksum a chunk.
    pub(super) fn new(name: BlobName, size: u64, checksums: Checksums) -> Self {
        Self {
            name,
            size,
            checksums,
        }
    }

    /// Reads into the buffer from `offset` on, and returns how many bytes were read: at least one, but at or behind the end.
    /// All of them were checked after they were read. `read_exact` fills a buffer with what is stored from an offset on.
    pub(super) fn read(
        &self,
        buffer: &mut [u8],
        offset: u64,
        read_exact: impl FnOnce(&mut [u8], u64) -> Result<(), StoreError>,
    ) -> Result<usize, StoreError> {
        let left = self.size.saturating_sub(offset);
        let n = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if n == 0 {
            return Ok(0);
        }
        let chunk = offset / CHUNK_BYTES as u64;
        let start = chunk * CHUNK_BYTES as u64;
        let before = (offset - start) as usize;
        let n_whole = match n as u64 == left {
            true => n,
            false => n - n % CHUNK_BYTES,
        };
        if before == 0 && n_whole > 0 {
            let buffer = &mut buffer[..n_whole];
            read_exact(buffer, offset)?;
            self.check(buffer, chunk)?;
            return Ok(n_whole);
        }
        // a part of one chunk
        let mut whole = vec![0; (self.size - start).min(CHUNK_BYTES as u64) as usize];
        read_exact(&mut whole, start)?;
        self.check(&whole, chunk)?;
        let part = &whole[before..];
        let n = n.min(part.len());
        buffer[..n].copy_from_slice(&part[..n]);
        Ok(n)
    }

    /// Checks bytes that begin with the chunk of this number.
    fn check(&self, bytes: &[u8], first: u64) -> Result<(), StoreError> {
        for (chunk, bytes) in (first..).zip(bytes.chunks(CHUNK_BYTES)) {
            let expected = usize::try_from(chunk)
                .ok()
                .and_then(|chunk| self.checksums.0.get(chunk));
            if expected != Some(&crc32fast::hash(bytes)) {
                return Err(StoreError::Damaged {
                    what: "a blob",
                    how: format!(
                        "{} bytes of {} from {} on do not have the checksum that they were written with",
                        bytes.len(),
                        self.name,
                        chunk * CHUNK_BYTES as u64
                    ),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checksums(bytes: &[u8]) -> Checksums {
        let mut summing = Summing::default();
        summing.update(bytes);
        summing.finish()
    }

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i % 251) as u8).collect()
    }

    #[test]
    fn each_chunk_has_a_checksum_however_the_bytes_came() {
        // computed with Python: zlib.crc32
        assert_eq!(checksums(b"123456789").0, [0xCBF4_3926]);
        assert_eq!(checksums(b"").0, [0; 0]);
        for size in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 70_000] {
            let bytes = content(size);
            let whole = checksums(&bytes);
            assert_eq!(whole.0.len(), size.div_ceil(CHUNK_BYTES));
            for cut in [1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1] {
                let mut summing = Summing::default();
                for part in bytes.chunks(cut) {
                    summing.update(part);
                }
                assert_eq!(summing.finish(), whole, "{size} bytes in pieces of {cut}");
            }
        }
    }

    proptest! {
        /// A read gives bytes as they were written, at least one where there are any, or an error if they have changed.
        #[test]
        fn a_read_is_right_or_fails(
            size in 0..4 * CHUNK_BYTES,
            offset in 0..5 * CHUNK_BYTES,
            length in 0..3 * CHUNK_BYTES,
            changed in prop::option::of(0..4 * CHUNK_BYTES),
        ) {
            let bytes = content(size);
            let blob = BlobName::random();
            let expected = Expected::new(blob, size as u64, checksums(&bytes));
            let mut stored = bytes.clone();
            let changed = changed.filter(|at| *at < size);
            if let Some(at) = changed {
                stored[at] ^= 1;
            }
            let mut buffer = vec![0; length];
            let read = expected.read(&mut buffer, offset as u64, |buffer, offset| {
                let offset = offset as usize;
                buffer.copy_from_slice(&stored[offset..offset + buffer.len()]);
                Ok(())
            });
            match read {
                Ok(n) => {
                    let rest = bytes.get(offset..).unwrap_or_default();
                    prop_assert!(n <= length.min(rest.len()));
                    prop_assert!(n > 0 || length == 0 || rest.is_empty());
                    prop_assert_eq!(&buffer[..n], &rest[..n]);
                }
                Err(error) => {
                    let at = changed.expect("nothing else fails");
                    let is_damage = matches!(error, StoreError::Damaged { .. });
                    prop_assert!(is_damage, "{error}");
                    let touched = offset / CHUNK_BYTES..=(offset + length) / CHUNK_BYTES;
                    prop_assert!(touched.contains(&(at / CHUNK_BYTES)), "only what is read is checked");
                }
            }
        }
    }
}
