//! Decodes encodings other than UTF-8.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::super::format::START_BYTES;
use super::options::CsvOptions;
use crate::error::{Error, Result};
use crate::table::shortened;

/// The replacement for bytes that are invalid in their encoding. It is not valid UTF-8, so that a cell with it is refused.
const MEANINGLESS: u8 = 0xff;

/// The encoding of a file with this start, and the length of its byte order mark, which takes precedence over the options.
///
/// Fails when the options name no known encoding.
pub(super) fn find(options: &CsvOptions, start: &[u8]) -> Result<(&'static Encoding, usize)> {
    let given = match &options.encoding {
        None => UTF_8,
        Some(label) => Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            Error::field(
                "encoding",
                format!(
                    "{} is no known encoding; give a label such as utf-8, windows-1252 or shift_jis",
                    shortened(label)
                ),
            )
        })?,
    };
    Ok(Encoding::for_bom(start).unwrap_or((given, 0)))
}

/// The content as UTF-8, without a byte order mark and with normal line ends.
pub(in crate::table::read) fn decoded<'a>(
    content: &'a [u8],
    options: &CsvOptions,
) -> Result<Cow<'a, [u8]>> {
    let (encoding, mark) = find(options, content)?;
    let has_lone_returns =
        has_lone_returns(&content[..content.len().min(START_BYTES)], mark, encoding);
    let content = &content[mark..];
    let mut decoded = if encoding == UTF_8 {
        Cow::Borrowed(content)
    } else {
        let mut decoded = Vec::with_capacity(content.len());
        let mut decoder = encoding.new_decoder_without_bom_handling();
        decode(&mut decoder, content, true, &mut decoded);
        Cow::Owned(decoded)
    };
    if has_lone_returns {
        return_to_newline(decoded.to_mut());
    }
    Ok(decoded)
}

/// A reader that decodes another one to UTF-8; `start` is what has already been read of it: [`START_BYTES`], or all.
pub(in crate::table::read) fn decoding(
    start: Vec<u8>,
    rest: Box<dyn Read + Send>,
    options: &CsvOptions,
) -> Result<Box<dyn Read + Send>> {
    let (encoding, mark) = find(options, &start)?;
    let has_lone_returns = has_lone_returns(&start, mark, encoding);
    let start = start[mark..].to_vec();
    let mut reader: Box<dyn Read + Send> = Box::new(io::Cursor::new(start).chain(rest));
    if encoding != UTF_8 {
        reader = Box::new(Decoding {
            reader,
            decoder: encoding.new_decoder_without_bom_handling(),
            decoded: Vec::new(),
            read: 0,
            is_done: false,
        });
    }
    if has_lone_returns {
        reader = Box::new(ReturnToNewline(reader));
    }
    Ok(reader)
}

/// Appends the decoded bytes.
fn decode(decoder: &mut encoding_rs::Decoder, mut bytes: &[u8], is_last: bool, to: &mut Vec<u8>) {
    loop {
        let length = to.len();
        let room = decoder
            .max_utf8_buffer_length_without_replacement(bytes.len())
            .unwrap_or(bytes.len())
            .max(16);
        to.resize(length + room, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut to[length..], is_last);
        to.truncate(length + written);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(_, _) => to.push(MEANINGLESS),
        }
    }
}

struct Decoding {
    reader: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    decoded: Vec<u8>,
    read: usize,
    is_done: bool,
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.decoded.len() && !self.is_done {
            let mut bytes = [0; 1 << 13];
            let n = self.reader.read(&mut bytes)?;
            self.is_done = n == 0;
            self.decoded.clear();
            self.read = 0;
            decode(
                &mut self.decoder,
                &bytes[..n],
                self.is_done,
                &mut self.decoded,
            );
        }
        let n = (&self.decoded[self.read..]).read(buffer)?;
        self.read += n;
        Ok(n)
    }
}

/// Whether the lines of a file with this start and a byte order mark of this length end with carriage returns alone, as on old
/// Macintoshes.
fn has_lone_returns(start: &[u8], mark: usize, encoding: &'static Encoding) -> bool {
    let mut sample = Cow::Borrowed(&start[mark..]);
    if encoding != UTF_8 {
        let mut decoded = Vec::new();
        let mut decoder = encoding.new_decoder_without_bom_handling();
        decode(&mut decoder, &sample, false, &mut decoded);
        sample = Cow::Owned(decoded);
    }
    let found = |byte| memchr::memchr(byte, &sample);
    // at the end of a sample, a line feed may follow
    found(b'\r').is_some_and(|at| at + 1 < sample.len()) && found(b'\n').is_none()
}

fn return_to_newline(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte == b'\r') {
        *byte = b'\n';
    }
}

struct ReturnToNewline<R>(R);

impl<R: Read> Read for ReturnToNewline<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        return_to_newline(&mut buffer[..n]);
        Ok(n)
    }
}
