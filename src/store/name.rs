//! The random names of blobs and logs: 16 bytes in a record, 32 hexadecimal digits as the name of a file.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The length of a name in bytes.
pub(super) const NAME_BYTES: usize = 16;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; NAME_BYTES]);

        impl $name {
            /// A new, unique name.
            pub(crate) fn random() -> Self {
                Self(uuid::Uuid::new_v4().into_bytes())
            }

            /// The name with these bytes.
            pub(super) fn from_bytes(bytes: [u8; NAME_BYTES]) -> Self {
                Self(bytes)
            }

            /// The bytes that stand for it in records and keys.
            pub(super) fn as_bytes(&self) -> &[u8; NAME_BYTES] {
                &self.0
            }

            /// Parses 32 lower-case hexadecimal digits.
            pub(super) fn from_hex(text: &str) -> Option<Self> {
                let bytes = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
                let name = Self(bytes);
                // each name has one spelling: no sign, no capitals, no missing digits
                (name.to_string() == text).then_some(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde_bytes::Bytes::new(&self.0).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde_bytes::ByteArray::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
            }
        }
    )*};
}

names! {
    /// The name of a blob.
    BlobName;
    /// The name of a log.
    LogName;
}
