//! The format of stored values: a magic number, a format version, a checksum and a self-describing MessagePack body.
//!
//! Equal values give equal bytes. Bytes that are damaged, of another kind or of a newer format are refused with a clear error. A
//! small value inside something that has a checksum of its own, such as a record of a database, can do without one
//! ([`Envelope::encode_bare`]).

use erased_serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result, reason};
use crate::messagepack;

const MAGIC_BYTES: usize = 8;
const FORMAT_BYTES: usize = size_of::<u32>();
const CHECKSUM_BYTES: usize = 32;
const BARE_BYTES: usize = MAGIC_BYTES + FORMAT_BYTES;
const HEADER_BYTES: usize = BARE_BYTES + CHECKSUM_BYTES;

/// A kind of stored value.
#[derive(Debug)]
pub struct Envelope {
    /// Its name in errors.
    pub what: &'static str,
    /// The first bytes of every encoded value.
    pub magic: [u8; MAGIC_BYTES],
    /// The format version that this library writes and the newest that it reads; the first is 1.
    pub format: u32,
}

impl Envelope {
    /// Encodes a value.
    ///
    /// # Errors
    /// [`reason::INTERNAL`] for a value that MessagePack cannot represent.
    pub fn encode(&self, value: &dyn Serialize) -> Result<Vec<u8>> {
        let mut bytes = self.encode_after(HEADER_BYTES, value)?;
        let (header, body) = bytes.split_at_mut(HEADER_BYTES);
        header[BARE_BYTES..].copy_from_slice(&Sha256::digest(body));
        Ok(bytes)
    }

    /// Decodes a value, which is not validated beyond its types.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`], saying what is wrong, for bytes that are not such a value encoded by
    /// [`encode`](Self::encode).
    pub fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        let rest = self.check_kind(bytes)?;
        let Some((checksum, body)) = rest.split_at_checked(CHECKSUM_BYTES) else {
            return Err(self.damaged("is cut short"));
        };
        if Sha256::digest(body).as_slice() != checksum {
            return Err(self.damaged("does not match its checksum"));
        }
        self.decode_body(body)
    }

    /// Encodes a value without a checksum: 12 bytes, then the body.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_bare(&self, value: &dyn Serialize) -> Result<Vec<u8>> {
        self.encode_after(BARE_BYTES, value)
    }

    /// Decodes a value without a checksum, which is not validated beyond its types.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`], saying what is wrong, for bytes that are not such a value encoded by
    /// [`encode_bare`](Self::encode_bare).
    pub fn decode_bare<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        self.decode_body(self.check_kind(bytes)?)
    }

    /// Writes magic number and format, zeros up to the length of the header, and the body.
    fn encode_after(&self, header_bytes: usize, value: &dyn Serialize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; header_bytes];
        bytes[..MAGIC_BYTES].copy_from_slice(&self.magic);
        bytes[MAGIC_BYTES..BARE_BYTES].copy_from_slice(&self.format.to_le_bytes());
        messagepack::write(&mut bytes, value).map_err(|error| {
            let message = format!("{} cannot be encoded", self.what);
            Error::new(reason::INTERNAL, message).because(error)
        })?;
        Ok(bytes)
    }

    /// Checks magic number and format, and returns the bytes after them.
    fn check_kind<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let Some((magic, rest)) = bytes.split_first_chunk::<MAGIC_BYTES>() else {
            return Err(self.damaged("is cut short"));
        };
        let Some((format, rest)) = rest.split_first_chunk::<FORMAT_BYTES>() else {
            return Err(self.damaged("is cut short"));
        };
        if *magic != self.magic {
            return Err(self.damaged("does not start as one"));
        }
        let format = u32::from_le_bytes(*format);
        if format == 0 || format > self.format {
            return Err(self.damaged(&format!(
                "has format {format}, and this server reads formats 1 to {}; a newer server wrote it",
                self.format
            )));
        }
        Ok(rest)
    }

    fn decode_body<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T> {
        messagepack::read(body).map_err(|error| self.damaged("cannot be decoded").because(error))
    }

    /// The error for stored bytes, or a value decoded from them, that are damaged. `how` continues "the stored x".
    pub fn damaged(&self, how: &str) -> Error {
        Error::new(
            reason::DAMAGED_ARTIFACT,
            format!("the stored {} {how}", self.what),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Envelope = Envelope {
        what: "list",
        magic: *b"ANOMLIST",
        format: 2,
    };

    #[test]
    fn values_survive_their_round_trip() {
        let list = vec![1_u64, 2, 300];
        let bytes = LIST.encode(&list).expect("encodable");
        assert_eq!(LIST.decode::<Vec<u64>>(&bytes).expect("whole"), list);
        let bare = LIST.encode_bare(&list).expect("encodable");
        assert_eq!(bare.len(), bytes.len() - CHECKSUM_BYTES);
        assert_eq!(LIST.decode_bare::<Vec<u64>>(&bare).expect("whole"), list);
        let older = Envelope { format: 1, ..LIST };
        let bytes = older.encode(&list).expect("encodable");
        assert_eq!(LIST.decode::<Vec<u64>>(&bytes).expect("whole"), list);
    }

    #[test]
    fn foreign_and_damaged_bytes_are_refused() {
        let bytes = LIST.encode(&vec![1_u64, 2, 300]).expect("encodable");
        let newer = Envelope { format: 3, ..LIST };
        let other = Envelope {
            magic: *b"ANOTHER!",
            ..LIST
        };
        let mut turned = bytes.clone();
        if let Some(last) = turned.last_mut() {
            *last ^= 1;
        }
        let refused = [
            (bytes[..7].to_vec(), "is cut short"),
            (bytes[..10].to_vec(), "is cut short"),
            (bytes[..20].to_vec(), "is cut short"),
            (
                other.encode(&1).expect("encodable"),
                "does not start as one",
            ),
            (
                newer.encode(&1).expect("encodable"),
                "a newer server wrote it",
            ),
            (turned, "does not match its checksum"),
            (
                LIST.encode(&"text").expect("encodable"),
                "cannot be decoded",
            ),
        ];
        for (bytes, how) in refused {
            let error = LIST.decode::<Vec<u64>>(&bytes).expect_err(how);
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
            assert!(error.message().contains(how), "{error}");
        }
        let bare = LIST.encode_bare(&vec![1_u64, 2, 300]).expect("encodable");
        let refused = [
            (bare[..11].to_vec(), "is cut short"),
            (bare[..13].to_vec(), "cannot be decoded"),
            (
                other.encode_bare(&1).expect("encodable"),
                "does not start as one",
            ),
            (
                newer.encode_bare(&1).expect("encodable"),
                "a newer server wrote it",
            ),
        ];
        for (bytes, how) in refused {
            let error = LIST.decode_bare::<Vec<u64>>(&bytes).expect_err(how);
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
            assert!(error.message().contains(how), "{error}");
        }
    }
}
