//! Files that are compressed as a whole, by gzip or zstd.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

use super::Limits;
use super::source::{Source, unreadable};
use crate::error::{Error, Result};
use crate::table::invalid;

/// Windows of zstd above 128 MiB are refused: the window is memory that the file alone asks for.
const MAX_WINDOW_LOG: u32 = 27;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        if start.starts_with(&[0x1f, 0x8b]) {
            Some(Self::Gzip)
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The content itself, or what it decompresses to.
pub(super) fn decompressed(content: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>> {
    let Some(compression) = Compression::detect(content) else {
        return Ok(Cow::Borrowed(content));
    };
    let mut decompressed = Vec::new();
    Decompressed::new(content, compression, limits)
        .and_then(|mut reader| reader.read_to_end(&mut decompressed))
        .map_err(error_of)?;
    Ok(Cow::Owned(decompressed))
}

/// A reader of what a source holds, decompressed where it is compressed.
pub(super) fn open(source: &Source, limits: Limits) -> Result<Box<dyn Read + Send>> {
    Ok(match compression_of(source)? {
        None => Box::new(source.reader(0)),
        Some(compression) => {
            let reader = BufReader::with_capacity(1 << 16, source.reader(0));
            Box::new(Decompressed::new(reader, compression, limits).map_err(error_of)?)
        }
    })
}

pub(super) fn compression_of(source: &Source) -> Result<Option<Compression>> {
    let start = source.bytes(0, source.len().min(4) as usize);
    Ok(Compression::detect(&start.map_err(unreadable)?))
}

/// What went wrong while a file was read: what this room says of it, or what the system says.
pub(super) fn error_of(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => unreadable(error),
    }
}

/// Decompresses up to a limit, and says what is wrong in the words of this room.
struct Decompressed<R> {
    decoder: R,
    compression: Compression,
    limit: u64,
    left: u64,
}

impl<'a> Decompressed<Box<dyn Read + Send + 'a>> {
    fn new(
        reader: impl io::BufRead + Send + 'a,
        compression: Compression,
        limits: Limits,
    ) -> io::Result<Self> {
        let decoder: Box<dyn Read + Send + 'a> = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Self {
            decoder,
            compression,
            limit: limits.decompressed_bytes,
            left: limits.decompressed_bytes,
        })
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = self.compression.name();
        let n = self.decoder.read(buffer).map_err(|error| {
            io::Error::other(match error.kind() {
                io::ErrorKind::UnexpectedEof => invalid(format!("the {name} data is cut off")),
                _ => invalid(format!("the {name} data is damaged: {error}")),
            })
        })?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::other(invalid(format!(
                    "the {name} data decompresses to more than {} bytes",
                    self.limit
                ))));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("to memory");
        encoder.finish().expect("to memory")
    }

    fn refusal(content: &[u8], limit: u64) -> String {
        let limits = Limits {
            decompressed_bytes: limit,
        };
        let in_memory = decompressed(content, limits).expect_err("should be refused");
        let source = Source::from(bytes::Bytes::copy_from_slice(content));
        let streamed = open(&source, limits)
            .and_then(|mut reader| io::copy(&mut reader, &mut io::sink()).map_err(error_of))
            .expect_err("should be refused");
        assert_eq!(in_memory.message(), streamed.message());
        in_memory.message().to_owned()
    }

    #[test]
    fn gzip_and_zstd_are_known_by_their_magic() {
        let content = b"a,b\n1,2\n".repeat(1000);
        let zstd = zstd::encode_all(&content[..], 1).expect("to memory");
        for compressed in [gzip(&content), zstd] {
            let back = decompressed(&compressed, Limits::default()).expect("valid");
            assert_eq!(back, content);
        }
        assert!(matches!(
            decompressed(b"a,b", Limits::default()),
            Ok(Cow::Borrowed(_))
        ));
        // the parts of a concatenation are one file
        let two = [gzip(b"a\n"), gzip(b"1\n")].concat();
        assert_eq!(
            decompressed(&two, Limits::default()).expect("valid"),
            &b"a\n1\n"[..]
        );
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        let zeros = vec![0; 1 << 24];
        let zstd = zstd::encode_all(&zeros[..], 1).expect("to memory");
        assert_eq!(
            refusal(&gzip(&zeros), 1 << 20),
            "the gzip data decompresses to more than 1048576 bytes"
        );
        assert_eq!(
            refusal(&zstd, 1 << 20),
            "the zstd data decompresses to more than 1048576 bytes"
        );
        let mut state = 1_u64;
        let random = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        let random: Vec<u8> = random.take(10_000).collect();
        let compressed = gzip(&random);
        assert_eq!(
            refusal(&compressed[..compressed.len() / 2], 1 << 20),
            "the gzip data is cut off"
        );
        assert_eq!(
            refusal(&compressed[..compressed.len() - 1], 1 << 20),
            "the gzip data is cut off"
        );
        assert_eq!(
            refusal(&zstd[..zstd.len() - 1], 1 << 30),
            "the zstd data is cut off"
        );
        let mut damaged = compressed.clone();
        damaged[5000] ^= 0xff;
        assert!(refusal(&damaged, 1 << 20).starts_with("the gzip data is damaged"));
    }
}
