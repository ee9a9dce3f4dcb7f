//! The `google.protobuf.ListValue` of JSON-like rows, packed.

use std::fmt;

use prost::Message as _;
use prost::encoding::encode_varint;
use prost_types::value::Kind;

use super::cell::{CellDecoder, END, JsonCell, pack_text, unpack_number};

mod reader;
mod wire;

pub use reader::{JsonRow, RowReader};

/// Rows as objects by name or arrays by position, packed into at most as many bytes as they have on the wire. On the wire they
/// are a `google.protobuf.ListValue`.
///
/// The fields of an object are sorted by the bytes of their names, of which the last one counts if it is there twice. So equal
/// rows are packed, and encoded, alike. The names of an object that has the same ones as the object before are left out.
#[derive(Clone, Default)]
pub struct JsonRows {
    packed: Vec<u8>,
    n_rows: usize,
    n_names: usize,
    n_texts: usize,
    text_bytes: usize,
    /// The row that is being packed.
    row: RowInProgress,
}

/// What a row was packed with is kept for the next one, unless it has more bytes: a single long row would hold them until the end.
const MAX_KEPT_BYTES: usize = 64 * wire::USUAL_ROW_BYTES;

// the first byte of a packed row
const ROW_ARRAY: u8 = 16; // cells and END
const ROW_OBJECT: u8 = 17; // the number of fields, their names, their cells
const ROW_ALIKE: u8 = 18; // the cells of an object that has the names of the object before
const ROW_OTHER: u8 = 19; // a cell

/// What is known of a row before its end.
#[derive(Debug, Clone, Default)]
struct RowInProgress {
    /// Where it begins in the packed rows.
    start: usize,
    /// How many texts they had then, and of how many bytes.
    texts_before: (usize, usize),
    kind: RowKind,
    /// The fields of an object, each as its name and its cell.
    fields: Vec<u8>,
    /// Where each of them begins.
    places: Vec<u32>,
    /// The packed names of the object before, if there was one.
    names: Option<Vec<u8>>,
    /// The name of a field, and its value or that of a cell.
    name: String,
    cell: CellDecoder,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum RowKind {
    /// It has no value yet, or one that is neither an array nor an object.
    #[default]
    Other,
    Array,
    Object,
}

impl JsonRows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// How many names there are in all objects that have other names than the object before. No more of them are different.
    pub fn n_names(&self) -> usize {
        self.n_names
    }

    /// The number of cells that are texts.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }

    /// The length of all these texts together, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The packed rows, which are equal for equal rows.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// A reader of the rows, from the first on.
    pub fn reader(&self) -> RowReader<'_> {
        RowReader::new(&self.packed)
    }

    fn begin_row(&mut self) {
        self.row.start = self.packed.len();
        self.row.texts_before = (self.n_texts, self.text_bytes);
        self.row.kind = RowKind::Other;
        self.row.fields.clear();
        self.row.places.clear();
        self.row.cell.clear();
    }

    /// Makes the row one of this kind. What it had of another kind is dropped.
    fn make(&mut self, kind: RowKind) {
        let row = &mut self.row;
        if row.kind == kind {
            return;
        }
        row.kind = kind;
        row.fields.clear();
        row.places.clear();
        row.cell.clear();
        self.packed.truncate(row.start);
        (self.n_texts, self.text_bytes) = row.texts_before;
        if kind == RowKind::Array {
            self.packed.push(ROW_ARRAY);
        }
    }

    /// Adds a cell to a row that is an array.
    fn push_item(&mut self, cell: JsonCell<'_>) {
        cell.pack(&mut self.packed);
        self.count(cell);
    }

    /// Adds the cell that was decoded, with its name, to a row that is an object.
    fn push_field(&mut self, name: &str, cell: JsonCell<'_>) {
        let row = &mut self.row;
        if let Some(&last) = row.places.last()
            && name_of(&row.fields[last as usize..]) == name.as_bytes()
        {
            row.fields.truncate(last as usize);
            row.places.pop();
        }
        // a message has less than 4 GiB
        row.places.push(row.fields.len() as u32);
        pack_text(name, &mut row.fields);
        cell.pack(&mut row.fields);
    }

    fn count(&mut self, cell: JsonCell<'_>) {
        if let JsonCell::Text(text) = cell {
            self.n_texts += 1;
            self.text_bytes += text.len();
        }
    }

    fn end_row(&mut self) {
        self.n_rows += 1;
        match self.row.kind {
            RowKind::Other => {
                self.packed.push(ROW_OTHER);
                self.row.cell.cell().pack(&mut self.packed);
            }
            RowKind::Array => self.packed.push(END),
            RowKind::Object => self.end_object(),
        }
        if self.row.fields.capacity() > MAX_KEPT_BYTES || self.row.cell.capacity() > MAX_KEPT_BYTES
        {
            self.row.fields = Vec::new();
            self.row.places = Vec::new();
            self.row.cell = CellDecoder::default();
        }
    }

    fn end_object(&mut self) {
        let RowInProgress {
            fields,
            places,
            names,
            ..
        } = &mut self.row;
        let field = |place: u32| &fields[place as usize..];
        if !places.is_sorted_by(|&a, &b| name_of(field(a)) < name_of(field(b))) {
            // the sort is stable, so that the last of equal names comes last
            places.sort_by(|&a, &b| name_of(field(a)).cmp(name_of(field(b))));
            let mut n_kept = 0;
            for at in 0..places.len() {
                let is_last = places
                    .get(at + 1)
                    .is_none_or(|&next| name_of(field(next)) != name_of(field(places[at])));
                if is_last {
                    places[n_kept] = places[at];
                    n_kept += 1;
                }
            }
            places.truncate(n_kept);
        }
        let is_alike = names.as_ref().is_some_and(|names| {
            let mut rest = &names[..];
            places.iter().all(|&place| {
                let after = rest.strip_prefix(packed_name(field(place)));
                rest = after.unwrap_or(rest);
                after.is_some()
            }) && rest.is_empty()
        });
        if is_alike {
            self.packed.push(ROW_ALIKE);
        } else {
            self.packed.push(ROW_OBJECT);
            encode_varint(places.len() as u64, &mut self.packed);
            let names = names.get_or_insert_default();
            names.clear();
            names.reserve(fields.len());
            for &place in &*places {
                names.extend_from_slice(packed_name(field(place)));
            }
            self.packed.extend_from_slice(names);
            self.n_names += places.len();
        }
        for &place in &*places {
            let name = packed_name(field(place));
            let mut rest = &field(place)[name.len()..];
            let cell = JsonCell::unpack(&mut rest).unwrap_or_default();
            cell.pack(&mut self.packed);
            if let JsonCell::Text(text) = cell {
                self.n_texts += 1;
                self.text_bytes += text.len();
            }
        }
    }
}

/// The packed name at the start of a field.
fn packed_name(field: &[u8]) -> &[u8] {
    let mut rest = field;
    let length = unpack_number(&mut rest).unwrap_or_default();
    &field[..field.len() - rest.len() + length]
}

/// The bytes of the name at the start of a field.
fn name_of(mut field: &[u8]) -> &[u8] {
    let length = unpack_number(&mut field).unwrap_or_default();
    &field[..length]
}

impl From<prost_types::ListValue> for JsonRows {
    fn from(list: prost_types::ListValue) -> Self {
        let mut rows = Self::default();
        for value in &list.values {
            rows.begin_row();
            match &value.kind {
                Some(Kind::ListValue(items)) => {
                    rows.make(RowKind::Array);
                    for item in &items.values {
                        rows.push_item(item.into());
                    }
                    rows.end_row();
                }
                Some(Kind::StructValue(object)) => {
                    rows.make(RowKind::Object);
                    for (name, field) in &object.fields {
                        rows.push_field(name, field.into());
                    }
                    rows.end_row();
                }
                _ => {
                    rows.packed.push(ROW_OTHER);
                    JsonCell::from(value).pack(&mut rows.packed);
                    rows.n_rows += 1;
                }
            }
        }
        rows
    }
}

impl PartialEq for JsonRows {
    fn eq(&self, other: &Self) -> bool {
        self.packed == other.packed
    }
}

impl fmt::Debug for JsonRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRows")
            .field("len", &self.n_rows)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
