//! Encodes and decodes models and reservoirs. A hostile artifact is either refused or safe to use: it can neither cause a panic
//! nor make a later step read out of bounds.

use super::{Model, Reservoir};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::features::Features;

const MODEL: Envelope = Envelope {
    what: "model",
    magic: *b"ANOMMODL",
    format: 1,
};

const RESERVOIR: Envelope = Envelope {
    what: "reservoir",
    magic: *b"ANOMRSVR",
    format: 1,
};

/// Encodes a model.
pub fn encode_model(model: &Model) -> Result<Vec<u8>> {
    MODEL.encode(model)
}

/// Decodes and validates a model.
pub fn decode_model(bytes: &[u8]) -> Result<Model> {
    let model: Model = MODEL.decode(bytes)?;
    model.validate()?;
    Ok(model)
}

/// Encodes a reservoir.
pub fn encode_reservoir(reservoir: &Reservoir) -> Result<Vec<u8>> {
    RESERVOIR.encode(reservoir)
}

/// Decodes and validates the reservoir of a model with these features.
pub fn decode_reservoir(bytes: &[u8], features: &Features) -> Result<Reservoir> {
    let reservoir: Reservoir = RESERVOIR.decode(bytes)?;
    reservoir.validate(features)?;
    Ok(reservoir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::error::reason;
    use crate::pipeline::TrainingSpec;
    use crate::table::{Column, Table};

    #[test]
    fn a_model_is_no_reservoir_and_damage_names_what_it_damages() {
        let column = Column::Numbers((0..20).map(f64::from).collect());
        let table = Table::from_columns(None, vec![column]).expect("a table");
        let fitted = TrainingSpec::default().fit(Some(table), &Context::new());
        let fitted = fitted.expect("a model");
        let model = encode_model(&fitted.model).expect("encodable");
        let reservoir = fitted.reservoir.expect("a reservoir");
        let reservoir = encode_reservoir(&reservoir).expect("encodable");
        let features = fitted.model.features();
        decode_reservoir(&reservoir, features).expect("a reservoir");
        let cut = &reservoir[..reservoir.len() - 1];
        for (error, message) in [
            (
                decode_model(&reservoir).expect_err("a reservoir"),
                "the stored model does not start as one",
            ),
            (
                decode_reservoir(&model, features).expect_err("a model"),
                "the stored reservoir does not start as one",
            ),
            (
                decode_reservoir(cut, features).expect_err("cut"),
                "the stored reservoir does not match its checksum",
            ),
        ] {
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
            assert_eq!(error.message(), message);
        }
    }
}
