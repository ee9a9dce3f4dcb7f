//! The `google.protobuf.Struct` of JSON-like columns, packed.

use std::fmt;

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, message, skip_field, string};
use prost::{DecodeError, Message};
use prost_types::value::Kind;

use super::cell::{
    CellDecoder, END, JsonCell, Nested, field_len, pack_text, put_length, reserve_packed,
    unpack_text,
};

/// Columns by their names, packed into at most as many bytes as they have on the wire. On the wire they are a
/// `google.protobuf.Struct` of lists. Of a column that is there twice the last one counts.
#[derive(Clone, Default)]
pub struct JsonTable {
    /// Of each column its cells, if it has some, and then its name, which may come last on the wire.
    packed: Vec<u8>,
    n_columns: usize,
    n_texts: usize,
    text_bytes: usize,
    /// The column that is being packed.
    column: ColumnInProgress,
}

// the first byte of a packed column
const COLUMN: u8 = 16; // cells and END
const NO_COLUMN: u8 = 17; // a value that is not a list

/// What is known of a column before its end.
#[derive(Debug, Clone, Default)]
struct ColumnInProgress {
    /// Where it begins in the packed columns.
    start: usize,
    is_list: bool,
    name: String,
    cell: CellDecoder,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct JsonColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// The packed cells, up to the end of the list; `None` if its value is not a list.
    packed: Option<&'a [u8]>,
    n_cells: usize,
}

impl<'a> JsonColumn<'a> {
    /// The number of its cells; `None` if its value is not a list.
    pub fn n_cells(&self) -> Option<usize> {
        self.packed.map(|_| self.n_cells)
    }

    /// The packed cells, which are equal for equal cells; `None` if its value is not a list.
    pub fn packed(&self) -> Option<&'a [u8]> {
        self.packed
    }

    /// A reader of its cells, from the first on.
    pub fn reader(&self) -> CellReader<'a> {
        CellReader(self.packed.unwrap_or_default())
    }
}

/// Reads packed cells one after the other.
#[derive(Debug, Clone)]
pub struct CellReader<'a>(&'a [u8]);

impl<'a> Iterator for CellReader<'a> {
    type Item = JsonCell<'a>;

    fn next(&mut self) -> Option<JsonCell<'a>> {
        JsonCell::unpack(&mut self.0)
    }
}

impl JsonTable {
    /// The number of columns, those that are there twice included.
    pub fn len(&self) -> usize {
        self.n_columns
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.n_columns == 0
    }

    /// The number of cells that are texts.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }

    /// The length of all these texts together, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The columns, sorted by the bytes of their names.
    pub fn columns(&self) -> Vec<JsonColumn<'_>> {
        let mut columns = Vec::with_capacity(self.n_columns);
        let mut rest = &self.packed[..];
        while let Some(column) = next_column(&mut rest) {
            columns.push(column);
        }
        // the sort is stable: of equal names the last one comes first, and is kept
        columns.reverse();
        columns.sort_by(|a, b| a.name.cmp(b.name));
        columns.dedup_by(|next, kept| next.name == kept.name);
        columns
    }

    fn begin_column(&mut self) {
        self.column.start = self.packed.len();
        self.column.is_list = false;
        self.column.name.clear();
        self.packed.push(NO_COLUMN);
    }

    /// Makes the value of the column a list, or one that is not. What it was before is dropped.
    fn make_list(&mut self, is_list: bool) {
        if self.column.is_list != is_list {
            self.column.is_list = is_list;
            self.packed.truncate(self.column.start);
            self.packed.push(if is_list { COLUMN } else { NO_COLUMN });
        }
    }

    fn push_cell(&mut self, cell: JsonCell<'_>) {
        cell.pack(&mut self.packed);
        if let JsonCell::Text(text) = cell {
            self.n_texts += 1;
            self.text_bytes += text.len();
        }
    }

    fn end_column(&mut self) {
        if self.column.is_list {
            self.packed.push(END);
        }
        pack_text(&self.column.name, &mut self.packed);
        self.n_columns += 1;
    }
}

fn next_column<'a>(packed: &mut &'a [u8]) -> Option<JsonColumn<'a>> {
    let (&first, rest) = packed.split_first()?;
    *packed = rest;
    let mut n_cells = 0;
    let cells = (first == COLUMN).then(|| {
        while JsonCell::unpack(packed).is_some() {
            n_cells += 1;
        }
        &rest[..rest.len() - packed.len()]
    });
    Some(JsonColumn {
        name: unpack_text(packed)?,
        packed: cells,
        n_cells,
    })
}

/// A part of a column on the wire, decoded into the column in progress. It encodes as an empty message.
#[derive(Debug)]
struct Part<'a>(PartOf, &'a mut JsonTable);

#[derive(Debug, Clone, Copy)]
enum PartOf {
    /// The name and the value.
    Entry,
    Value,
    /// The cells.
    List,
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
        let Self(part, table) = self;
        match (*part, tag) {
            (PartOf::Entry, 1) => string::merge(wire_type, &mut table.column.name, buf, ctx),
            (PartOf::Entry, 2) => {
                message::merge(wire_type, &mut Part(PartOf::Value, table), buf, ctx)
            }
            (PartOf::Value, 6) => {
                table.make_list(true);
                message::merge(wire_type, &mut Part(PartOf::List, table), buf, ctx)
            }
            (PartOf::Value, 1..=5) => {
                table.make_list(false);
                Nested::Value.merge_field(tag, wire_type, buf, ctx)
            }
            (PartOf::List, 1) => {
                table.column.cell.clear();
                message::merge(wire_type, &mut table.column.cell, buf, ctx)?;
                let cell = std::mem::take(&mut table.column.cell);
                table.push_cell(cell.cell());
                table.column.cell = cell;
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

/// The length of a list of cells on the wire.
fn list_len(column: &JsonColumn<'_>) -> usize {
    column
        .reader()
        .map(|cell| field_len(cell.wire_len()))
        .sum::<usize>()
}

/// The lengths of a field of the table: of its name, of its value, and of both together.
fn entry_len(column: &JsonColumn<'_>) -> (usize, usize, usize) {
    let name = match column.name.len() {
        0 => 0,
        length => field_len(length),
    };
    let value = match column.packed {
        Some(_) => field_len(list_len(column)),
        None => JsonCell::Null.wire_len(),
    };
    (name, value, name + field_len(value))
}

impl Message for JsonTable {
    /// A value that is not a list becomes null, which is refused likewise.
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for column in self.columns() {
            let (name, value, entry) = entry_len(&column);
            put_length(1, entry, buf);
            if name > 0 {
                put_length(1, column.name.len(), buf);
                buf.put_slice(column.name.as_bytes());
            }
            put_length(2, value, buf);
            match column.packed {
                Some(_) => {
                    put_length(6, list_len(&column), buf);
                    for cell in column.reader() {
                        cell.put_field(1, buf);
                    }
                }
                None => JsonCell::Null.put(buf),
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
        self.begin_column();
        let mut entry = Part(PartOf::Entry, self);
        let whole = buf.chunk();
        if whole.len() == buf.remaining() {
            // a slice is read faster than any buffer
            let mut rest = whole;
            message::merge(wire_type, &mut entry, &mut rest, ctx)?;
            let n_read = whole.len() - rest.len();
            buf.advance(n_read);
        } else {
            message::merge(wire_type, &mut entry, buf, ctx)?;
        }
        self.end_column();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        let columns = self.columns();
        let entries = columns.iter().map(|column| entry_len(column).2);
        entries.map(field_len).sum()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl From<prost_types::Struct> for JsonTable {
    fn from(fields: prost_types::Struct) -> Self {
        let mut table = Self::default();
        for (name, value) in &fields.fields {
            table.begin_column();
            table.column.name.push_str(name);
            if let Some(Kind::ListValue(list)) = &value.kind {
                table.make_list(true);
                for cell in &list.values {
                    table.push_cell(cell.into());
                }
            }
            table.end_column();
        }
        table
    }
}

impl PartialEq for JsonTable {
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |column: JsonColumn<'_>| (column.name.to_owned(), column.packed.map(<[u8]>::to_vec));
        let columns = self.columns().into_iter().map(parts);
        columns.eq(other.columns().into_iter().map(parts))
    }
}

impl fmt::Debug for JsonTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonTable")
            .field("len", &self.n_columns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
