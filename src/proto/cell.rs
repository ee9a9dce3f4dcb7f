//! JSON values in the places of cells: as they are packed, and as they are on the wire.

use bytes::{Buf, BufMut};
use prost::encoding::{
    self, DecodeContext, WireType, double, encode_varint, encoded_len_varint, int32, message,
    skip_field, string,
};
use prost::{DecodeError, Message};
use prost_types::value::Kind;

/// A value of an array, an object or a column. Of arrays and objects in this place only their presence is kept, since a cell
/// cannot hold them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum JsonCell<'a> {
    /// A value of no kind, which JSON does not have.
    #[default]
    Unset,
    /// Null.
    Null,
    /// A number.
    Number(f64),
    /// A string.
    Text(&'a str),
    /// A boolean.
    Bool(bool),
    /// An array.
    Array,
    /// An object.
    Object,
}

// the first byte of a packed cell
const UNSET: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

/// Ends a packed list of cells; no cell begins with it.
pub(super) const END: u8 = 8;

impl<'a> JsonCell<'a> {
    /// Appends the cell to packed ones: at most as many bytes as it has on the wire.
    pub(super) fn pack(self, packed: &mut Vec<u8>) {
        packed.push(match self {
            Self::Unset => UNSET,
            Self::Null => NULL,
            Self::Bool(false) => FALSE,
            Self::Bool(true) => TRUE,
            Self::Number(_) => NUMBER,
            Self::Text(_) => TEXT,
            Self::Array => ARRAY,
            Self::Object => OBJECT,
        });
        match self {
            Self::Number(number) => packed.put_f64_le(number),
            Self::Text(text) => pack_text(text, packed),
            _ => {}
        }
    }

    /// Takes the first of packed cells; `None` at the end of a list, which is taken, too, and at the end of all.
    pub(super) fn unpack(packed: &mut &'a [u8]) -> Option<Self> {
        let (&first, rest) = packed.split_first()?;
        *packed = rest;
        Some(match first {
            UNSET => Self::Unset,
            NULL => Self::Null,
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            NUMBER => {
                let (number, rest) = packed.split_first_chunk()?;
                *packed = rest;
                Self::Number(f64::from_le_bytes(*number))
            }
            TEXT => Self::Text(unpack_text(packed)?),
            ARRAY => Self::Array,
            OBJECT => Self::Object,
            _ => return None,
        })
    }

    /// The length of the cell as a `google.protobuf.Value`.
    pub(super) fn wire_len(self) -> usize {
        match self {
            Self::Unset => 0,
            Self::Null | Self::Bool(_) | Self::Array | Self::Object => 2,
            Self::Number(_) => 9,
            Self::Text(text) => 1 + encoded_len_varint(text.len() as u64) + text.len(),
        }
    }

    /// Writes the cell as a `google.protobuf.Value`.
    pub(super) fn put(self, buf: &mut impl BufMut) {
        match self {
            Self::Unset => {}
            Self::Null => int32::encode(1, &0, buf),
            Self::Number(number) => double::encode(2, &number, buf),
            Self::Text(text) => {
                put_length(3, text.len(), buf);
                buf.put_slice(text.as_bytes());
            }
            Self::Bool(value) => encoding::bool::encode(4, &value, buf),
            Self::Object => put_length(5, 0, buf),
            Self::Array => put_length(6, 0, buf),
        }
    }

    /// Writes the cell as a field of a message, with its length.
    pub(super) fn put_field(self, tag: u32, buf: &mut impl BufMut) {
        put_length(tag, self.wire_len(), buf);
        self.put(buf);
    }
}

impl<'a> From<&'a prost_types::Value> for JsonCell<'a> {
    fn from(value: &'a prost_types::Value) -> Self {
        match &value.kind {
            None => Self::Unset,
            Some(Kind::NullValue(_)) => Self::Null,
            Some(Kind::NumberValue(number)) => Self::Number(*number),
            Some(Kind::StringValue(text)) => Self::Text(text),
            Some(Kind::BoolValue(value)) => Self::Bool(*value),
            Some(Kind::StructValue(_)) => Self::Object,
            Some(Kind::ListValue(_)) => Self::Array,
        }
    }
}

/// What is reserved for packed data at first.
const FIRST_BYTES: usize = 64 << 10;

/// Reserves memory for packed data before a part of a message is packed, whose length comes next. What is left of the message, with
/// the tag of the part, has at least as many bytes as all that is still packed. All of that is reserved once there is much: a message
/// may begin any number of lists with little in them.
pub(super) fn reserve_packed(packed: &mut Vec<u8>, buf: &impl Buf) {
    let left = buf.remaining() + 1;
    if packed.capacity() - packed.len() >= left {
        return;
    }
    let length = unpack_number(&mut buf.chunk()).unwrap_or_default();
    if packed.len().max(length) >= FIRST_BYTES / 2 {
        packed.reserve_exact(left);
    } else if packed.is_empty() {
        packed.reserve_exact(left.min(FIRST_BYTES));
    }
}

/// Appends a text to packed data.
pub(super) fn pack_text(text: &str, packed: &mut Vec<u8>) {
    encode_varint(text.len() as u64, packed);
    packed.extend_from_slice(text.as_bytes());
}

/// Takes a text from the start of packed data.
pub(super) fn unpack_text<'a>(packed: &mut &'a [u8]) -> Option<&'a str> {
    let length = unpack_number(packed)?;
    let (text, rest) = packed.split_at_checked(length)?;
    *packed = rest;
    std::str::from_utf8(text).ok()
}

/// Takes a number from the start of packed data.
pub(super) fn unpack_number(packed: &mut &[u8]) -> Option<usize> {
    let number = encoding::decode_varint(packed).ok()?;
    usize::try_from(number).ok()
}

/// Writes the head of a field that is a message or a text of this many bytes.
pub(super) fn put_length(tag: u32, length: usize, buf: &mut impl BufMut) {
    encoding::encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(length as u64, buf);
}

/// The length of a field that is a message or a text of this many bytes. All tags here take one byte.
pub(super) fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// A decoder of a `google.protobuf.Value` in the place of a cell.
#[derive(Debug, Clone, Default)]
pub(super) struct CellDecoder {
    kind: JsonCell<'static>,
    /// The text, if it is one. Kept from cell to cell, so that it is allocated once.
    text: String,
}

impl CellDecoder {
    /// What was decoded.
    pub(super) fn cell(&self) -> JsonCell<'_> {
        match self.kind {
            JsonCell::Text(_) => JsonCell::Text(&self.text),
            other => other,
        }
    }

    /// The bytes that it keeps for a text.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }
}

impl Message for CellDecoder {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.cell().put(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.kind = match tag {
            1 => {
                int32::merge(wire_type, &mut 0, buf, ctx)?;
                JsonCell::Null
            }
            2 => {
                let mut number = 0.0;
                double::merge(wire_type, &mut number, buf, ctx)?;
                JsonCell::Number(number)
            }
            3 => {
                string::merge(wire_type, &mut self.text, buf, ctx)?;
                JsonCell::Text("")
            }
            4 => {
                let mut value = false;
                encoding::bool::merge(wire_type, &mut value, buf, ctx)?;
                JsonCell::Bool(value)
            }
            5 => {
                message::merge(wire_type, &mut Nested::Object, buf, ctx)?;
                JsonCell::Object
            }
            6 => {
                message::merge(wire_type, &mut Nested::Array, buf, ctx)?;
                JsonCell::Array
            }
            _ => return skip_field(wire_type, tag, buf, ctx),
        };
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.cell().wire_len()
    }

    fn clear(&mut self) {
        self.kind = JsonCell::Unset;
    }
}

/// A part of an array or an object in a cell, which is checked as any message and not kept. It encodes as an empty one.
#[derive(Debug)]
pub(super) enum Nested {
    Object,
    /// A field of an object.
    Entry,
    Array,
    Value,
}

impl Message for Nested {
    fn encode_raw(&self, _: &mut impl BufMut) {}

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match (self, tag) {
            (Self::Object, 1) => message::merge(wire_type, &mut Self::Entry, buf, ctx),
            (Self::Entry, 2) | (Self::Array, 1) => {
                message::merge(wire_type, &mut Self::Value, buf, ctx)
            }
            (Self::Value, 1) => int32::merge(wire_type, &mut 0, buf, ctx),
            (Self::Value, 2) => double::merge(wire_type, &mut 0.0, buf, ctx),
            (Self::Entry, 1) | (Self::Value, 3) => {
                string::merge(wire_type, &mut String::new(), buf, ctx)
            }
            (Self::Value, 4) => encoding::bool::merge(wire_type, &mut false, buf, ctx),
            (Self::Value, 5) => message::merge(wire_type, &mut Self::Object, buf, ctx),
            (Self::Value, 6) => message::merge(wire_type, &mut Self::Array, buf, ctx),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        0
    }

    fn clear(&mut self) {}
}
