//! The types of the messages that requests consist of, by the descriptors: what their fields take in memory.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Types that are decoded into packed ones, with the most bytes of memory for each of their bytes.
const PACKED: &[(&str, usize)] = &[
    // a row is collected by its fields first
    (".google.protobuf.ListValue", 2),
    (".google.protobuf.Struct", 1),
    (".anomaly.v1.TextValues", 4),
];

/// Vectors take up to twice as much as their items while they grow.
const GROWTH: usize = 2;

/// The least block of memory that holds a text, or a part of one, and what belongs to it.
const BLOCK: usize = 32;

/// A type of messages.
#[derive(Debug, Default)]
pub(super) struct MessageType {
    /// The bytes of memory of a message without what its fields point at.
    pub(super) size: usize,
    /// By number.
    fields: Vec<Field>,
}

/// The bytes of memory that a field takes besides its message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    /// For each number that comes by itself.
    pub(super) number: usize,
    /// For each text, list or message.
    pub(super) each: usize,
    /// For each byte of those that are not messages.
    pub(super) byte: usize,
    /// The type of messages with known fields.
    pub(super) message: Option<&'static MessageType>,
}

impl MessageType {
    /// The field of a number; one that takes nothing if there is none.
    pub(super) fn field(&self, number: u64) -> Field {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.fields.get(index).copied().unwrap_or_default()
    }
}

/// Finds the types by their full names.
pub(super) struct Types<'a> {
    described: HashMap<String, &'a DescriptorProto>,
    found: HashMap<String, &'static MessageType>,
}

impl<'a> Types<'a> {
    /// The types in these files.
    pub(super) fn of(set: &'a FileDescriptorSet) -> Self {
        let mut types = Self {
            described: HashMap::new(),
            found: HashMap::new(),
        };
        for file in &set.file {
            let package = format!(".{}", file.package());
            types.describe(&package, &file.message_type);
        }
        types
    }

    fn describe(&mut self, parent: &str, messages: &'a [DescriptorProto]) {
        for message in messages {
            let name = format!("{parent}.{}", message.name());
            self.describe(&name, &message.nested_type);
            self.described.insert(name, message);
        }
    }

    /// The type of a full name, which lives as long as the program.
    pub(super) fn message(&mut self, name: &str) -> &'static MessageType {
        if let Some(found) = self.found.get(name) {
            return found;
        }
        // no type contains itself but those of JSON values, which are packed
        let described = self.described.get(name).copied();
        let mut message = MessageType::default();
        for field in described.iter().flat_map(|described| &described.field) {
            let (inline, outside) = self.field(field);
            let number = usize::try_from(field.number()).unwrap_or_default();
            if message.fields.len() <= number {
                message.fields.resize(number + 1, Field::default());
            }
            message.fields[number] = outside;
            message.size += inline;
        }
        let message: &'static MessageType = Box::leak(Box::new(message));
        self.found.insert(name.to_owned(), message);
        message
    }

    /// The bytes of a field in its message, and besides it.
    fn field(&mut self, field: &FieldDescriptorProto) -> (usize, Field) {
        const VECTOR: usize = size_of::<Vec<u8>>();
        let is_repeated = field.label() == Label::Repeated;
        let (size, mut outside) = match field.r#type() {
            Type::Message => {
                let packed = PACKED.iter().find(|(name, _)| *name == field.type_name());
                if let Some(&(_, byte)) = packed {
                    let outside = Field {
                        byte,
                        ..Field::default()
                    };
                    return (VECTOR, outside);
                }
                let message = self.message(field.type_name());
                let outside = Field {
                    message: Some(message),
                    ..Field::default()
                };
                (message.size, outside)
            }
            Type::String => {
                let outside = Field {
                    each: BLOCK,
                    byte: 1,
                    ..Field::default()
                };
                (size_of::<String>(), outside)
            }
            // they share the memory of the message
            Type::Bytes => (size_of::<bytes::Bytes>(), Field::default()),
            number => return of_numbers(number, is_repeated),
        };
        match is_repeated {
            true => {
                outside.each += GROWTH * size;
                (VECTOR, outside)
            }
            // with the mark whether it is there
            false => (size + size_of::<usize>(), outside),
        }
    }
}

/// The bytes of a field of numbers in its message, and besides it.
fn of_numbers(number: Type, is_repeated: bool) -> (usize, Field) {
    // a packed one takes at least `on_wire` bytes
    let (size, on_wire) = match number {
        Type::Double | Type::Fixed64 | Type::Sfixed64 => (8, 8),
        Type::Float | Type::Fixed32 | Type::Sfixed32 => (4, 4),
        Type::Bool => (1, 1),
        Type::Int64 | Type::Uint64 | Type::Sint64 => (8, 1),
        _ => (4, 1),
    };
    if !is_repeated {
        return (2 * size, Field::default());
    }
    let outside = Field {
        number: size,
        byte: size / on_wire,
        ..Field::default()
    };
    (size_of::<Vec<u8>>(), outside)
}
