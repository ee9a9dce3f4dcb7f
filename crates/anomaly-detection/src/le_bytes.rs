//! Serde for arrays of numbers as little-endian bytes: `#[serde(with = "crate::le_bytes")]` on a `Vec` of numbers. Compact, fast
//! and exact to the bit, whereas MessagePack would spend a marker on each number.

use serde::de::Error as _;
use serde::{Deserializer, Serializer};
use serde_bytes::ByteBuf;

/// A number with a fixed little-endian representation.
pub trait LeNumber: Copy {
    /// The length of the representation in bytes.
    const SIZE: usize;
    /// Appends the representation.
    fn put(self, out: &mut Vec<u8>);
    /// Reads the representation from exactly [`SIZE`](Self::SIZE) bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! le_number {
    ($($number:ty),*) => {$(
        impl LeNumber for $number {
            const SIZE: usize = size_of::<$number>();
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$number>()];
                array.copy_from_slice(bytes);
                <$number>::from_le_bytes(array)
            }
        }
    )*};
}

le_number!(f32, f64, u8, u32, u64);

/// Decodes numbers; fails if the bytes are not a whole number of them.
pub fn decode<T: LeNumber>(bytes: &[u8]) -> Result<Vec<T>, String> {
    Ok(numbers(bytes)?.collect())
}

/// The numbers one by one; fails if the bytes are not a whole number of them.
pub fn numbers<T: LeNumber>(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = T>, String> {
    if !bytes.len().is_multiple_of(T::SIZE) {
        return Err(format!(
            "{} bytes do not divide into numbers of {} bytes",
            bytes.len(),
            T::SIZE
        ));
    }
    Ok(bytes.chunks_exact(T::SIZE).map(T::get))
}

/// Serialises the numbers as one byte string.
pub fn serialize<T: LeNumber, S: Serializer>(
    numbers: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(numbers.len() * T::SIZE);
    for &number in numbers {
        number.put(&mut bytes);
    }
    serializer.serialize_bytes(&bytes)
}

/// Deserialises the numbers from one byte string.
pub fn deserialize<'de, T: LeNumber, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let bytes: ByteBuf = serde::Deserialize::deserialize(deserializer)?;
    decode(&bytes).map_err(D::Error::custom)
}
