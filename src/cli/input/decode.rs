//! Bytes of a file as text: decompressed, and in UTF-8.

use std::io::{self, BufReader, Cursor, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::Source;

/// How much of a file tells what it is.
const START_BYTES: u64 = 1 << 16;
/// Windows of zstd above 128 MiB are refused: the window is memory that the file alone asks for.
const MAX_WINDOW_LOG: u32 = 27;

/// What stands for bytes that mean nothing in their encoding. No UTF-8 has it, so that the server refuses the cell.
const MEANINGLESS: u8 = 0xff;

/// A file that has been looked at.
pub(super) struct Opened {
    /// All its bytes, the start included.
    pub(super) source: Source,
    pub(super) start: Vec<u8>,
    /// Whether the start is all.
    pub(super) is_whole: bool,
}

/// Looks at the start of what a source gives.
fn opened(mut source: Source) -> io::Result<Opened> {
    let mut start = Vec::new();
    source.by_ref().take(START_BYTES).read_to_end(&mut start)?;
    let is_whole = (start.len() as u64) < START_BYTES;
    Ok(Opened {
        source: Box::new(Cursor::new(start.clone()).chain(source)),
        start,
        is_whole,
    })
}

/// The content, decompressed where it is compressed as a whole by gzip or zstd.
pub(super) fn decompressed(source: Source) -> io::Result<Opened> {
    let file = opened(source)?;
    if file.start.starts_with(&[0x1f, 0x8b]) {
        return opened(Box::new(flate2::read::MultiGzDecoder::new(file.source)));
    }
    if file.start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(file.source))?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        return opened(Box::new(decoder));
    }
    Ok(file)
}

/// The text in UTF-8, without a byte order mark, which outdoes the label. `None` for a label that is not known.
pub(super) fn decoded(file: Opened, label: Option<&str>) -> io::Result<Option<Opened>> {
    let given = match label {
        None => UTF_8,
        Some(label) => match Encoding::for_label(label.as_bytes()) {
            None => return Ok(None),
            Some(encoding) => encoding,
        },
    };
    let (encoding, mark) = Encoding::for_bom(&file.start).unwrap_or((given, 0));
    let mut source = file.source;
    source.read_exact(&mut vec![0; mark])?;
    if encoding != UTF_8 {
        source = Box::new(Decoding {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            text: Vec::new(),
            read: 0,
            is_done: false,
        });
    }
    opened(source).map(Some)
}

struct Decoding {
    source: Source,
    decoder: encoding_rs::Decoder,
    text: Vec<u8>,
    /// How much of the text has been given away.
    read: usize,
    is_done: bool,
}

impl Decoding {
    /// Appends what bytes mean.
    fn decode(&mut self, mut bytes: &[u8]) {
        loop {
            let length = self.text.len();
            let room = self
                .decoder
                .max_utf8_buffer_length_without_replacement(bytes.len());
            self.text
                .resize(length + room.unwrap_or(bytes.len()).max(16), 0);
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                bytes,
                &mut self.text[length..],
                self.is_done,
            );
            self.text.truncate(length + written);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, _) => self.text.push(MEANINGLESS),
            }
        }
    }
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.text.len() && !self.is_done {
            let mut bytes = [0; 1 << 13];
            let n = self.source.read(&mut bytes)?;
            self.is_done = n == 0;
            self.text.clear();
            self.read = 0;
            self.decode(&bytes[..n]);
        }
        let n = (&self.text[self.read..]).read(buffer)?;
        self.read += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: Vec<u8>, label: Option<&str>) -> Option<Vec<u8>> {
        let file = decompressed(Box::new(Cursor::new(content))).expect("readable");
        let mut text = Vec::new();
        let mut file = decoded(file, label).expect("readable")?;
        file.source.read_to_end(&mut text).expect("readable");
        assert!(text.starts_with(&file.start));
        Some(text)
    }

    #[test]
    fn files_are_decompressed_and_decoded() {
        let latin = b"a,b\n\xe4,1\n".repeat(20_000);
        let plain = "a,b\nä,1\n".repeat(20_000).into_bytes();
        let zstd = zstd::encode_all(&latin[..], 1).expect("to memory");
        let mut gzip = Vec::new();
        flate2::read::GzEncoder::new(&latin[..], flate2::Compression::fast())
            .read_to_end(&mut gzip)
            .expect("to memory");
        for content in [latin.clone(), zstd, gzip] {
            assert_eq!(text(content, Some("latin1")), Some(plain.clone()));
        }
        assert_eq!(
            text(b"\xff\xfea\0\n\0".to_vec(), None),
            Some(b"a\n".to_vec())
        );
        assert_eq!(
            text(b"\xef\xbb\xbfa\n".to_vec(), None),
            Some(b"a\n".to_vec())
        );
        assert_eq!(text(b"a".to_vec(), Some("klingon")), None);
        let half = text(b"a\n\xff".to_vec(), Some("utf-16le"));
        assert_eq!(half.expect("known").last(), Some(&MEANINGLESS));
        assert_eq!(text(Vec::new(), None), Some(Vec::new()));
    }
}
