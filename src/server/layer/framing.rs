//! Finds the length-prefixed messages of gRPC in the chunks of a body.

/// The bytes before a message: whether it is compressed, and its length.
pub(super) const HEADER: usize = 5;

/// How much of a message has come.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// How many bytes of the header of the message have arrived.
    header: usize,
    /// The length in its header, as far as it has arrived.
    length: u32,
    /// How many bytes of its content are still to arrive, once its header is complete.
    missing: usize,
}

/// The next bytes of a message.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) part: Part<'a>,
    /// Whether the message is complete.
    pub(super) ends_message: bool,
}

/// A part of a message.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A byte of the header before the last one.
    Header,
    /// The last byte of the header, with which the length of the content is known.
    Length(u32),
    /// Bytes of the content.
    Content(&'a [u8]),
}

impl Framing {
    /// Takes the next part of a message off the data; `None` if there is no more.
    pub(super) fn step<'a>(&mut self, data: &mut &'a [u8]) -> Option<Step<'a>> {
        let (first, rest) = data.split_first()?;
        let part = if self.header < HEADER {
            // the first byte says whether the message is compressed
            let byte = if self.header == 0 { 0 } else { *first };
            self.length = self.length << 8 | u32::from(byte);
            self.header += 1;
            *data = rest;
            if self.header < HEADER {
                Part::Header
            } else {
                self.missing = self.length as usize;
                Part::Length(self.length)
            }
        } else {
            let (content, rest) = data.split_at(self.missing.min(data.len()));
            self.missing -= content.len();
            *data = rest;
            Part::Content(content)
        };
        let ends_message = self.header == HEADER && self.missing == 0;
        if ends_message {
            *self = Self::default();
        }
        Some(Step { part, ends_message })
    }
}
