//! Random messages of any type, made from its descriptor: mostly plausible, so that they get past the first check, and some
//! hostile.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, MethodDescriptor,
    OneofDescriptor, Value,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// The deepest nesting of random messages.
pub(super) const MOST_DEPTH: usize = 6;

pub(crate) const RUNS: [&str; 4] = ["numbers", "shops", "labels", "new"];
pub(crate) const DATASETS: [&str; 3] = ["table", "other", "new"];
const COLUMNS: [&str; 6] = ["x", "y", "shop", "time", "label", "f0"];
const HOSTILE: [&str; 10] = [
    "",
    " ",
    "a\0b",
    "\u{202e}gnp.exe",
    "../../etc/passwd",
    "NaN",
    "12",
    "2024-02-30T25:61:00Z",
    "{\"x\": [",
    "%s%n\r\n",
];
/// Makes messages from a seed.
pub(crate) struct Generator {
    pub(super) rng: SmallRng,
    /// A text and a number that are also put into cells.
    pub(super) planted: Option<(&'static str, f64)>,
    /// What the chunks of the present upload hold together.
    sent: Vec<u8>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            planted: None,
            sent: Vec::new(),
        }
    }

    /// Also puts these into many cells.
    pub(crate) fn planting(seed: u64, text: &'static str, number: f64) -> Self {
        Self {
            planted: Some((text, number)),
            ..Self::new(seed)
        }
    }

    /// The encoded messages of a call, some of them damaged.
    pub(crate) fn call(&mut self, method: &MethodDescriptor) -> Vec<Bytes> {
        self.sent.clear();
        let messages = match method.is_client_streaming() {
            true => self.stream(&method.input()),
            false => vec![self.message(&method.input(), 0)],
        };
        let encoded = messages.iter().map(DynamicMessage::encode_to_vec);
        encoded.map(|bytes| self.damaged(bytes).into()).collect()
    }

    /// Which of so many.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Most often the first.
    fn often<const N: usize>(&mut self, of: [&'static str; N]) -> &'static str {
        match self.chance(0.5) {
            true => of[0],
            false => self.one_of(&of),
        }
    }

    /// A method; seldom one that deletes what the others name.
    pub(crate) fn method<'a>(&mut self, of: &'a [MethodDescriptor]) -> &'a MethodDescriptor {
        loop {
            let method = &of[self.below(of.len())];
            if !method.name().starts_with("Delete") || self.chance(0.1) {
                return method;
            }
        }
    }

    /// The messages of a stream: mostly its parts in their order, as of a header, records and an end.
    fn stream(&mut self, of: &MessageDescriptor) -> Vec<DynamicMessage> {
        let part = of.oneofs().find(|oneof| !oneof.is_synthetic());
        let Some(part) = part.filter(|_| self.chance(0.85)) else {
            return (0..self.below(5)).map(|_| self.message(of, 0)).collect();
        };
        let members: Vec<_> = part.fields().collect();
        let mut messages = Vec::new();
        for (i, member) in members.iter().enumerate() {
            let n = match i {
                0 => 1,
                _ if i + 1 == members.len() => usize::from(self.chance(0.9)),
                _ => self.below(4),
            };
            for _ in 0..n {
                let mut message = DynamicMessage::new(of.clone());
                let value = self.single(member, 0);
                message.set_field(member, value);
                messages.push(message);
            }
        }
        messages
    }

    fn message(&mut self, of: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        let known = match of.full_name() {
            "google.protobuf.ListValue" => message.transcode_from(&self.rows()),
            "google.protobuf.Struct" => message.transcode_from(&self.table()),
            "google.protobuf.Value" => message.transcode_from(&self.json(depth)),
            "google.protobuf.Timestamp" => message.transcode_from(&self.time()),
            _ => {
                self.fill(&mut message, of, depth);
                Ok(())
            }
        };
        known.expect("of the same type");
        message
    }

    fn fill(&mut self, message: &mut DynamicMessage, of: &MessageDescriptor, depth: usize) {
        let real = |oneof: &OneofDescriptor| !oneof.is_synthetic();
        let mut chosen = Vec::new();
        for oneof in of.oneofs().filter(real) {
            let members: Vec<_> = oneof.fields().collect();
            if self.chance(0.85) {
                let member = self.below(members.len());
                chosen.push(members[member].number());
            }
        }
        for field in of.fields() {
            let is_set = match field.containing_oneof().filter(real) {
                Some(_) => chosen.contains(&field.number()),
                None => self.sets(&field),
            };
            let nests = matches!(field.kind(), Kind::Message(_));
            if !is_set || (nests && depth >= MOST_DEPTH) {
                continue;
            }
            let value = self.value(&field, depth);
            message.set_field(&field, value);
        }
    }

    /// Whether to set a field that is in no oneof: what is needed nearly always, options seldom.
    fn sets(&mut self, field: &FieldDescriptor) -> bool {
        let name = field.name();
        let is_needed = name.ends_with("_id") && name != "request_id"
            || [
                "records", "data", "content", "sha256", "offset", "values", "name",
            ]
            .contains(&name)
            || name.ends_with("_ids") && name != "row_ids"
            || name == "feature_names";
        self.chance(if is_needed { 0.95 } else { 0.15 })
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        if field.is_map() {
            return Value::Map(self.map(field, depth));
        }
        if !field.is_list() {
            return self.single(field, depth);
        }
        if field.name() == "feature_names" && self.chance(0.85) {
            let names = ["x", "y"].map(|name| Value::String(name.to_owned()));
            return Value::List(names.to_vec());
        }
        let n = match field.kind() {
            Kind::Double | Kind::Float => 2 * self.below(15),
            _ => self.below(5),
        };
        Value::List((0..n).map(|_| self.single(field, depth)).collect())
    }

    fn map(&mut self, field: &FieldDescriptor, depth: usize) -> HashMap<MapKey, Value> {
        let Kind::Message(entry) = field.kind() else {
            return HashMap::new();
        };
        let value = entry.map_entry_value_field();
        let names = (0..self.below(4)).map(|_| self.text("name"));
        let names: Vec<_> = names.collect();
        names
            .into_iter()
            .filter_map(|name| {
                let key = match entry.map_entry_key_field().kind() {
                    Kind::String => MapKey::String(name),
                    Kind::Uint64 => MapKey::U64(self.integer()),
                    Kind::Uint32 => MapKey::U32(self.integer() as u32),
                    Kind::Int64 => MapKey::I64(self.integer() as i64),
                    Kind::Int32 => MapKey::I32(self.integer() as i32),
                    Kind::Bool => MapKey::Bool(true),
                    _ => return None,
                };
                Some((key, self.single(&value, depth + 1)))
            })
            .collect()
    }

    /// One value of a field, or of its list.
    fn single(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let name = field.name();
        match field.kind() {
            Kind::Message(of) => Value::Message(self.message(&of, depth + 1)),
            Kind::String => Value::String(self.text(name)),
            Kind::Bytes => Value::Bytes(self.bytes(name).into()),
            Kind::Bool => Value::Bool(self.chance(0.5)),
            Kind::Double => Value::F64(self.number()),
            Kind::Float => Value::F32(self.number() as f32),
            Kind::Enum(of) => {
                let numbers: Vec<i32> = of.values().map(|value| value.number()).collect();
                let number = match self.chance(0.95) {
                    true => self.one_of(&numbers),
                    false => self.one_of(&[-1, 99, i32::MAX, i32::MIN]),
                };
                Value::EnumNumber(number)
            }
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(self.integer() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(self.integer() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(self.integer() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(match name {
                "offset" | "size_bytes" if self.chance(0.95) => self.sent.len() as u64,
                _ => self.integer(),
            }),
        }
    }

    pub(super) fn integer(&mut self) -> u64 {
        match self.below(10) {
            0..=6 => self.rng.random_range(0..12),
            7 => self.one_of(&[100, 1000, 65_536]),
            8 => self.one_of(&[
                u64::MAX,
                i64::MAX as u64,
                u64::from(u32::MAX),
                1 << 63,
                1 << 53,
            ]),
            _ => self.rng.next_u64(),
        }
    }

    fn text(&mut self, name: &str) -> String {
        if self.chance(0.06) {
            return self.one_of(&HOSTILE).to_owned();
        }
        if self.chance(0.01) {
            return "ü".repeat(self.below(5000));
        }
        let text = if name.ends_with("run_id") {
            self.often(RUNS)
        } else if name.contains("dataset_id") {
            self.often(DATASETS)
        } else if name.contains("column") || name.contains("feature") || name == "name" {
            self.one_of(&COLUMNS)
        } else {
            match name {
                "alias" => self.one_of(&["active", "candidate"]),
                "request_id" => self.one_of(&["", "one", "two", "three"]),
                "page_token" => self.one_of(&["", "", "bm9uZQ", "numbers"]),
                "encoding" => self.one_of(&["", "utf-8", "latin1", "klingon"]),
                "delimiter" => self.one_of(&["", ",", ";", "\t", "ab"]),
                "decimal" => self.one_of(&["", ".", ",", "x"]),
                "quote" | "comment" => self.one_of(&["", "\"", "'", "#"]),
                _ => return self.cell_text(),
            }
        };
        text.to_owned()
    }

    fn bytes(&mut self, name: &str) -> Vec<u8> {
        let bytes = match name {
            "values_f64le" => {
                let numbers = (0..2 * self.below(15)).map(|_| self.number().to_le_bytes());
                numbers.flatten().collect()
            }
            "values_f32le" => {
                let numbers = (0..2 * self.below(15)).map(|_| (self.number() as f32).to_le_bytes());
                numbers.flatten().collect()
            }
            "sha256" if self.chance(0.95) => Sha256::digest(&self.sent).to_vec(),
            "content" | "data" => self.file(),
            _ => (0..self.below(40)).map(|_| self.rng.random()).collect(),
        };
        if name == "data" {
            self.sent.extend_from_slice(&bytes);
        }
        self.damaged(bytes)
    }

    /// The bytes, seldom with some of them changed, cut off or added.
    fn damaged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if !self.chance(0.03) {
            return bytes;
        }
        match self.below(3) {
            0 if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                bytes[at] = self.rng.random();
            }
            1 if !bytes.is_empty() => bytes.truncate(self.below(bytes.len())),
            _ => bytes.extend((0..self.below(40)).map(|_| self.rng.random::<u8>())),
        }
        bytes
    }
}
