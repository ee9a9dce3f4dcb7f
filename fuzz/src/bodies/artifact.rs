//! Stored models and reservoirs. A checksum guards what is stored against damage, not against somebody who can write it, so
//! the target writes a right one over whatever it is given.

use std::time::{Duration, Instant};

use anomaly_detection::context::Context;
use anomaly_detection::pipeline::artifact::{
    decode_model, decode_reservoir, encode_model, encode_reservoir,
};
use anomaly_detection::pipeline::{Describe, Model, Reservoir};
use sha2::{Digest as _, Sha256};

use super::rows::rows_of;

const MODEL: &[u8; 8] = b"ANOMMODL";
const RESERVOIR: &[u8; 8] = b"ANOMRSVR";
const FORMAT: u32 = 1;
/// Magic, format and SHA-256.
const HEADER_BYTES: usize = 8 + 4 + 32;

/// What a request waits for at most: a stored model may ask for ten thousand trees.
const PATIENCE: Duration = Duration::from_millis(500);

/// Two bytes of length, little-endian, the body of a model, and the body of a reservoir or nothing.
pub fn run(data: &[u8]) -> bool {
    let Some((length, rest)) = data.split_first_chunk::<2>() else {
        return false;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (model, reservoir) = rest.split_at(length);
    let Ok(model) = decode_model(&framed(MODEL, model)) else {
        return false;
    };
    score(&model);
    if reservoir.is_empty() {
        return true;
    }
    let Ok(reservoir) = decode_reservoir(&framed(RESERVOIR, reservoir), model.features()) else {
        return false;
    };
    sample(&reservoir);
    update(&model, reservoir);
    true
}

/// An input of this target from a stored model and a stored reservoir.
pub fn input(model: &[u8], reservoir: Option<&[u8]>) -> Vec<u8> {
    let body = &model[HEADER_BYTES..];
    let length = u16::try_from(body.len()).expect("a seed is small");
    let reservoir = reservoir.map_or(&[][..], |reservoir| &reservoir[HEADER_BYTES..]);
    [&length.to_le_bytes(), body, reservoir].concat()
}

fn framed(magic: &[u8; 8], body: &[u8]) -> Vec<u8> {
    let checksum = Sha256::digest(body);
    [&magic[..], &FORMAT.to_le_bytes(), &checksum, body].concat()
}

/// Does with a model what requests do.
fn score(model: &Model) {
    let stored = encode_model(model).expect("what was decoded can be encoded");
    let again = decode_model(&stored).expect("and decoded again");
    assert_eq!(encode_model(&again).ok(), Some(stored), "bytes change");

    let features = model.features();
    assert_eq!(features.names().len(), features.n_features(), "names");
    assert_eq!(features.raw_names().len(), features.n_raw(), "raw names");
    assert_eq!(model.column_names().len(), features.n_features(), "shown");
    let statistics = model.column_statistics();
    let n_shown = statistics.map_or(features.n_features(), |columns| columns.len());
    assert_eq!(n_shown, features.n_features(), "statistics");
    let _ = (model.gaussian_moments(8), features.encodings());
    let _ = (model.text_columns(), features.fill(), format!("{model:?}"));

    let Some(table) = rows_of(&features.schema) else {
        return;
    };
    let first = table.slice_rows(0..1);
    let scores = |table| {
        let mut history = model.history();
        model.score(
            table,
            history.as_mut(),
            Describe::Rows(usize::MAX),
            &Context::new(),
        )
    };
    let n_rows = table.n_rows();
    let (all, alone) = (scores(table), scores(first));
    if let Ok(all) = all {
        assert_eq!(all.scores.len(), n_rows, "scores");
        assert_eq!(all.details.len(), n_rows, "details");
        let alone = alone.expect("the first of rows that can be scored can be, too");
        let bits = |score: f64| {
            if score.is_nan() {
                f64::NAN.to_bits()
            } else {
                score.to_bits()
            }
        };
        assert_eq!(bits(alone.scores[0]), bits(all.scores[0]), "a row alone");
    }
}

fn sample(reservoir: &Reservoir) {
    let stored = encode_reservoir(reservoir).expect("what was decoded can be encoded");
    assert!(!stored.is_empty());
    let rows = reservoir.rows().expect("rows of a sound reservoir");
    assert_eq!(rows.nrows(), reservoir.n_rows(), "rows");
    assert_eq!(reservoir.weights().len(), reservoir.n_rows(), "weights");
    if let Some(labels) = reservoir.labels() {
        assert_eq!(labels.len(), reservoir.n_rows(), "labels");
    }
    let _ = (reservoir.seen(), reservoir.seen_by_class());
}

fn update(model: &Model, reservoir: Reservoir) {
    let Some(table) = rows_of(&model.features().schema) else {
        return;
    };
    let context = Context::new().with_deadline(Some(Instant::now() + PATIENCE));
    if let Ok(fitted) = model.update(Some(reservoir), &table, &context) {
        let stored = encode_model(&fitted.model).expect("an updated model can be encoded");
        decode_model(&stored).expect("and decoded again");
        if let Some(reservoir) = fitted.reservoir {
            let stored = encode_reservoir(&reservoir).expect("an updated reservoir, too");
            decode_reservoir(&stored, fitted.model.features()).expect("and decoded again");
        }
    }
}
