//! Encodes and decodes models and reservoirs. A hostile artifact is either refused or safe to use: it can neither cause a panic
//! nor make a later step read out of bounds.

use super::{Model, Reservoir};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::features::Features;

const ARTIFACT: Envelope = Envelope {
    what: "model",
    magic: *b"ANOMALYD",
    format: 1,
};

/// Encodes a model.
pub fn encode_model(model: &Model) -> Result<Vec<u8>> {
    ARTIFACT.encode(model)
}

/// Decodes and validates a model.
pub fn decode_model(bytes: &[u8]) -> Result<Model> {
    let model: Model = ARTIFACT.decode(bytes)?;
    model.validate()?;
    Ok(model)
}

/// Encodes a reservoir.
pub fn encode_reservoir(reservoir: &Reservoir) -> Result<Vec<u8>> {
    ARTIFACT.encode(reservoir)
}

/// Decodes and validates the reservoir of a model with these features.
pub fn decode_reservoir(bytes: &[u8], features: &Features) -> Result<Reservoir> {
    let reservoir: Reservoir = ARTIFACT.decode(bytes)?;
    reservoir.validate(features)?;
    Ok(reservoir)
}
