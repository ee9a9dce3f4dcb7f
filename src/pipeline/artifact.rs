//! How models and reservoirs become bytes: a magic, a format version, a checksum and a self-describing MessagePack body.
//!
//! The same model gives the same bytes. A damaged or newer artifact is refused with a clear error; a hostile one may be
//! refused, but can never panic or make a later step read out of bounds.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{Model, Reservoir};
use crate::error::{Error, Reason, Result};
use crate::features::Features;

const MAGIC: &[u8; 8] = b"ANOMALYD";

/// The newest format that this server writes and reads.
const FORMAT: u32 = 1;

const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + CHECKSUM_BYTES;

/// Encodes a model.
pub fn encode_model(model: &Model) -> Result<Vec<u8>> {
    encode(model)
}

/// Decodes and validates a model.
pub fn decode_model(bytes: &[u8]) -> Result<Model> {
    let model: Model = decode(bytes)?;
    model.validate()?;
    Ok(model)
}

/// Encodes a reservoir.
pub fn encode_reservoir(reservoir: &Reservoir) -> Result<Vec<u8>> {
    encode(reservoir)
}

/// Decodes and validates the reservoir of a model with these features.
pub fn decode_reservoir(bytes: &[u8], features: &Features) -> Result<Reservoir> {
    let reservoir: Reservoir = decode(bytes)?;
    reservoir.validate(features)?;
    Ok(reservoir)
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    rmp_serde::encode::write_named(&mut bytes, value).map_err(|error| {
        Error::new(Reason::Internal, "a model cannot be encoded").because(error)
    })?;
    let checksum = Sha256::digest(&bytes[HEADER_BYTES..]);
    let (magic, rest) = bytes.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rest[..4].copy_from_slice(&FORMAT.to_le_bytes());
    rest[4..4 + CHECKSUM_BYTES].copy_from_slice(&checksum);
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged =
        |what: &str| Error::new(Reason::DamagedArtifact, format!("the stored model {what}"));
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(damaged("is cut short"));
    };
    let (magic, rest) = header.split_at(MAGIC.len());
    let (format, checksum) = rest.split_at(size_of::<u32>());
    if magic != MAGIC {
        return Err(damaged("does not start as one"));
    }
    let format = u32::from_le_bytes([format[0], format[1], format[2], format[3]]);
    if format == 0 || format > FORMAT {
        return Err(damaged(&format!(
            "has format {format}, and this server reads formats 1 to {FORMAT}; a newer server wrote it"
        )));
    }
    if Sha256::digest(body).as_slice() != checksum {
        return Err(damaged("does not match its checksum"));
    }
    rmp_serde::from_slice(body).map_err(|error| damaged("cannot be decoded").because(error))
}
