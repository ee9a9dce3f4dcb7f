//! Generated JSON values and damaged messages for the tests of the packed types.

use proptest::prelude::*;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// A value of this kind.
pub(super) fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

/// A list as a value.
pub(super) fn list(values: Vec<Value>) -> Value {
    value(Kind::ListValue(ListValue { values }))
}

/// Few different names, so that they repeat.
pub(super) fn names() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        Just(String::new()),
        "[a-c]",
        "[ä-ö]{1,2}",
        Just("x".repeat(200))
    ]
}

/// Values that are neither arrays nor objects.
pub(super) fn scalars() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        1 => Just(Value { kind: None }),
        2 => Just(value(Kind::NullValue(0))),
        5 => any::<f64>().prop_map(|number| value(Kind::NumberValue(number))),
        1 => Just(value(Kind::NumberValue(f64::NAN))),
        3 => ".{0,8}".prop_map(|text| value(Kind::StringValue(text))),
        1 => Just(value(Kind::StringValue("ü".repeat(100)))),
        2 => any::<bool>().prop_map(|truth| value(Kind::BoolValue(truth))),
    ]
}

/// Values of every kind, up to a depth.
pub(super) fn values() -> impl Strategy<Value = Value> + Clone {
    scalars().prop_recursive(3, 20, 4, |inner| {
        let fields = prop::collection::btree_map(names(), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(list),
            fields.prop_map(|fields| value(Kind::StructValue(Struct { fields }))),
        ]
    })
}

/// A change to a byte of a message, or its end.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Set(usize, u8),
    Insert(usize, u8),
    Cut(usize),
}

/// Changes to a message of any length.
pub(super) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    // bytes that mean something
    let bytes = prop_oneof![
        any::<u8>(),
        prop::sample::select(
            &[
                0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x08, 0x11, 0x00, 0x0b, 0x0c, 0xff
            ][..]
        )
    ];
    let place = 0..10_000usize;
    let damage = prop_oneof![
        (place.clone(), bytes.clone()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (place.clone(), bytes).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        place.prop_map(Damage::Cut),
    ];
    prop::collection::vec(damage, 0..4)
}

/// The message with these changes.
pub(super) fn damaged(mut wire: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let n = wire.len().max(1);
        match *damage {
            Damage::Set(at, byte) => {
                if let Some(place) = wire.get_mut(at % n) {
                    *place = byte;
                }
            }
            Damage::Insert(at, byte) => wire.insert(at % (wire.len() + 1), byte),
            Damage::Cut(at) => wire.truncate(at % n),
        }
    }
    wire
}

/// A field that is a message or a text, on the wire.
pub(super) fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut wire = vec![tag << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut wire);
    wire.extend_from_slice(content);
    wire
}
