//! Files that are compressed as a whole with gzip or zstd.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

use super::source::{Source, unreadable};
use super::{Limits, MoreMemory};
use crate::error::{Error, Result};
use crate::table::invalid;

/// Windows of zstd above 128 MiB are refused, because the file alone decides how much memory they take.
const MAX_WINDOW_LOG: u32 = 27;
/// How many bytes are decompressed before more memory is asked for.
const LEAST_STEP: usize = 1 << 16;
const MOST_STEP: usize = 1 << 22;
/// How many bytes of a file are needed to detect its compression.
const MAGIC_BYTES: u64 = 4;

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

/// The content, decompressed if it is compressed, into memory that is asked for.
pub(super) fn decompressed<'a>(
    content: &'a [u8],
    limits: Limits,
    more: MoreMemory<'_>,
) -> Result<Cow<'a, [u8]>> {
    let Some(compression) = Compression::detect(content) else {
        return Ok(Cow::Borrowed(content));
    };
    let mut reader = Decompressed::new(content, compression, limits).map_err(error_of)?;
    let mut decompressed = Vec::new();
    loop {
        let step = decompressed.len().clamp(LEAST_STEP, MOST_STEP);
        more(step)?;
        let mut part = reader.by_ref().take(step as u64);
        let n = part.read_to_end(&mut decompressed).map_err(error_of)?;
        if n < step {
            return Ok(Cow::Owned(decompressed));
        }
    }
}

/// A reader of a source, decompressed if it is compressed.
pub(super) fn open(source: &Source, limits: Limits) -> Result<Box<dyn Read + Send>> {
    decompressing(Box::new(source.reader(0)), limits)
}

/// A reader on top of another one, decompressed if it is compressed.
pub(super) fn decompressing(
    mut reader: Box<dyn Read + Send>,
    limits: Limits,
) -> Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    let taken = reader.by_ref().take(MAGIC_BYTES).read_to_end(&mut start);
    taken.map_err(error_of)?;
    let compression = Compression::detect(&start);
    let reader = io::Cursor::new(start).chain(reader);
    Ok(match compression {
        None => Box::new(reader),
        Some(compression) => {
            let reader = BufReader::with_capacity(1 << 16, reader);
            Box::new(Decompressed::new(reader, compression, limits).map_err(error_of)?)
        }
    })
}

pub(super) fn compression_of(source: &Source) -> Result<Option<Compression>> {
    let start = source.bytes(0, source.len().min(MAGIC_BYTES) as usize);
    Ok(Compression::detect(&start.map_err(unreadable)?))
}

/// The error for a failed read: the one that this module raised, or that of the system.
pub(super) fn error_of(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => unreadable(error),
    }
}

/// Decompresses up to a limit, with the errors of this module.
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
            Compression::Zstd => Box::new(zstd_decoder(reader, MAX_WINDOW_LOG)?),
        };
        Ok(Self {
            decoder,
            compression,
            limit: limits.decompressed_bytes,
            left: limits.decompressed_bytes,
        })
    }
}

fn zstd_decoder<'a, R: io::BufRead>(
    reader: R,
    max_window_log: u32,
) -> io::Result<zstd::stream::read::Decoder<'a, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
    decoder.window_log_max(max_window_log)?;
    Ok(decoder)
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

    fn in_memory(content: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>> {
        decompressed(content, limits, &mut |_| Ok(()))
    }

    #[test]
    fn memory_is_asked_for_before_it_is_filled() {
        let content = vec![7; 10 << 20];
        let compressed = gzip(&content);
        let mut given = 0;
        let back = decompressed(&compressed, Limits::default(), &mut |bytes| {
            given += bytes;
            Ok(())
        });
        assert_eq!(back.expect("valid"), content);
        assert!(
            (content.len()..content.len() + MOST_STEP).contains(&given),
            "{given}"
        );

        let mut left = 1 << 20;
        let refused = decompressed(&compressed, Limits::default(), &mut |bytes| {
            let taken = usize::checked_sub(left, bytes);
            left = taken.ok_or_else(|| invalid("no more memory"))?;
            Ok(())
        });
        assert_eq!(
            refused.expect_err("ten times too large").message(),
            "no more memory"
        );
    }

    fn refusal(content: &[u8], limit: u64) -> String {
        let limits = Limits {
            decompressed_bytes: limit,
        };
        let in_memory = in_memory(content, limits).expect_err("should be refused");
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
            let back = in_memory(&compressed, Limits::default()).expect("valid");
            assert_eq!(back, content);
        }
        assert!(matches!(
            in_memory(b"a,b", Limits::default()),
            Ok(Cow::Borrowed(_))
        ));
        // the parts of a concatenation are one file
        let two = [gzip(b"a\n"), gzip(b"1\n")].concat();
        assert_eq!(
            in_memory(&two, Limits::default()).expect("valid"),
            &b"a\n1\n"[..]
        );
    }

    #[test]
    fn the_size_of_windows_is_limited() {
        let content = vec![7; 1 << 16];
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("to memory");
        encoder.window_log(15).expect("a window of 32 KiB");
        // without the total length, which would otherwise bound the window
        for part in content.chunks(1 << 12) {
            encoder.write_all(part).expect("to memory");
        }
        let compressed = encoder.finish().expect("to memory");
        for (max_window_log, is_read) in [(15, true), (14, false)] {
            let mut back = Vec::new();
            let read = zstd_decoder(&compressed[..], max_window_log)
                .and_then(|mut decoder| decoder.read_to_end(&mut back));
            assert_eq!(read.is_ok(), is_read, "{max_window_log}");
            assert_eq!(back == content, is_read);
        }
    }

    #[test]
    fn damaged_and_oversized_data_is_refused() {
        let zeros = vec![0; 1 << 21];
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
