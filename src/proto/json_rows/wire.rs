//! Rows on the wire.

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, message, skip_field, string};
use prost::{DecodeError, Message};

use super::super::cell::{JsonCell, field_len, put_length, reserve_packed};
use super::{JsonRow, JsonRows, RowKind, RowReader};

/// Most rows are shorter.
pub(super) const USUAL_ROW_BYTES: usize = 1024;

/// A part of a row on the wire, decoded into the row in progress. prost counts the depth of messages only in messages, so that a
/// decoder has to be one. It encodes as an empty one.
#[derive(Debug)]
struct Part<'a>(PartOf, &'a mut JsonRows);

#[derive(Debug, Clone, Copy)]
enum PartOf {
    /// The value of the row.
    Row,
    /// The fields of an object.
    Object,
    /// One of them.
    Entry,
    /// The items of an array.
    Array,
}

impl Message for Part<'_> {
    fn encode_raw(&self, _: &mut impl BufMut) {}

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let Self(part, rows) = self;
        match (*part, tag) {
            (PartOf::Row, 5) => {
                rows.make(RowKind::Object);
                message::merge(wire_type, &mut Part(PartOf::Object, rows), buf, ctx)
            }
            (PartOf::Row, 6) => {
                rows.make(RowKind::Array);
                message::merge(wire_type, &mut Part(PartOf::Array, rows), buf, ctx)
            }
            (PartOf::Row, 1..=4) => {
                rows.make(RowKind::Other);
                rows.row.cell.merge_field(tag, wire_type, buf, ctx)
            }
            (PartOf::Object, 1) => {
                rows.row.name.clear();
                rows.row.cell.clear();
                message::merge(wire_type, &mut Part(PartOf::Entry, rows), buf, ctx)?;
                let name = std::mem::take(&mut rows.row.name);
                let cell = std::mem::take(&mut rows.row.cell);
                rows.push_field(&name, cell.cell());
                (rows.row.name, rows.row.cell) = (name, cell);
                Ok(())
            }
            (PartOf::Entry, 1) => string::merge(wire_type, &mut rows.row.name, buf, ctx),
            (PartOf::Entry, 2) => message::merge(wire_type, &mut rows.row.cell, buf, ctx),
            (PartOf::Array, 1) => {
                rows.row.cell.clear();
                message::merge(wire_type, &mut rows.row.cell, buf, ctx)?;
                let cell = std::mem::take(&mut rows.row.cell);
                rows.push_item(cell.cell());
                rows.row.cell = cell;
                Ok(())
            }
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        0
    }

    fn clear(&mut self) {}
}

impl Message for JsonRows {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        let mut reader = self.reader();
        while let Some(row) = reader.next_row() {
            // the cells are read twice, first for the length
            let content = content_len(&mut reader.clone(), row);
            put_length(1, value_len(row, content), buf);
            match row {
                JsonRow::Array(_) => {
                    put_length(6, content, buf);
                    while let Some(cell) = reader.next_cell() {
                        cell.put_field(1, buf);
                    }
                }
                JsonRow::Object { .. } => {
                    put_length(5, content, buf);
                    for index in 0..reader.names().len() {
                        let name = reader.names()[index];
                        let cell = reader.next_cell().unwrap_or_default();
                        put_length(1, entry_len(name, cell), buf);
                        if !name.is_empty() {
                            put_length(1, name.len(), buf);
                            buf.put_slice(name.as_bytes());
                        }
                        if cell != JsonCell::Unset {
                            cell.put_field(2, buf);
                        }
                    }
                }
                JsonRow::Other(cell) => cell.put(buf),
            }
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != 1 {
            return skip_field(wire_type, tag, buf, ctx);
        }
        reserve_packed(&mut self.packed, buf);
        self.begin_row();
        let usual = buf.remaining().min(USUAL_ROW_BYTES);
        self.row.fields.reserve(usual);
        let mut row = Part(PartOf::Row, self);
        let whole = buf.chunk();
        if whole.len() == buf.remaining() {
            // a slice is read faster than any buffer
            let mut rest = whole;
            message::merge(wire_type, &mut row, &mut rest, ctx)?;
            let n_read = whole.len() - rest.len();
            buf.advance(n_read);
        } else {
            message::merge(wire_type, &mut row, buf, ctx)?;
        }
        self.end_row();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        let mut reader = self.reader();
        let mut length = 0;
        while let Some(row) = reader.next_row() {
            let content = content_len(&mut reader, row);
            length += field_len(value_len(row, content));
        }
        length
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The length on the wire of the fields of an object or the items of an array, whose cells the reader takes.
fn content_len(reader: &mut RowReader<'_>, row: JsonRow<'_>) -> usize {
    let mut length = 0;
    match row {
        JsonRow::Array(_) => {
            while let Some(cell) = reader.next_cell() {
                length += field_len(cell.wire_len());
            }
        }
        JsonRow::Object { .. } => {
            for index in 0..reader.names().len() {
                let cell = reader.next_cell().unwrap_or_default();
                length += field_len(entry_len(reader.names()[index], cell));
            }
        }
        JsonRow::Other(_) => {}
    }
    length
}

/// The length of a row as a `google.protobuf.Value`.
fn value_len(row: JsonRow<'_>, content_len: usize) -> usize {
    match row {
        JsonRow::Array(_) | JsonRow::Object { .. } => field_len(content_len),
        JsonRow::Other(cell) => cell.wire_len(),
    }
}

/// The length of a field of an object, in which an empty name and a value of no kind are left out.
fn entry_len(name: &str, cell: JsonCell<'_>) -> usize {
    let name = match name.len() {
        0 => 0,
        length => field_len(length),
    };
    match cell {
        JsonCell::Unset => name,
        cell => name + field_len(cell.wire_len()),
    }
}
