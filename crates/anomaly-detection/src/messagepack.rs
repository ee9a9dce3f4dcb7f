//! MessagePack with named fields, the encoding of stored values.
//!
//! Values are written and read through trait objects. Otherwise the codec would be compiled anew for every type that is stored,
//! which took an eighth of the time to compile this library.

use erased_serde::{Deserializer, Serialize, Serializer};
use serde::de::DeserializeOwned;

/// Appends a value.
pub(crate) fn write(bytes: &mut Vec<u8>, value: &dyn Serialize) -> Result<(), erased_serde::Error> {
    let mut serializer = rmp_serde::Serializer::new(bytes).with_struct_map();
    value.erased_serialize(&mut <dyn Serializer>::erase(&mut serializer))
}

/// Reads a value.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, erased_serde::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    erased_serde::deserialize(&mut <dyn Deserializer<'_>>::erase(&mut deserializer))
}

/// The bytes of a value.
#[cfg(test)]
pub(crate) fn written(value: &dyn Serialize) -> Result<Vec<u8>, erased_serde::Error> {
    let mut bytes = Vec::new();
    write(&mut bytes, value)?;
    Ok(bytes)
}
