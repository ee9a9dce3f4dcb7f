//! The flow of water through a meter, hour by hour: which hours are not like the others?
//!
//! Learns from the first weeks, scores the last ones, takes them in, and stores the model and reads it again.
//!
//! ```text
//! cargo run --release -p anomaly-detection --example water_flow
//! ```
#![expect(clippy::print_stdout, reason = "it shows what it finds")]

use std::error::Error;
use std::path::Path;

use anomaly_detection::context::Context;
use anomaly_detection::features::{EngineeringParams, EngineeringSpec, Roles, TimeFeatures};
use anomaly_detection::pipeline::{Describe, TrainingSpec, artifact};
use anomaly_detection::table::read::{FileOptions, Limits, read};

/// The rows to learn from: four weeks.
const LEARNED: usize = 28 * 24;

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/water_flow.csv");
    let table = read(
        &std::fs::read(file)?,
        &FileOptions::default(),
        Limits::default(),
    )?;
    let context = Context::new();

    let spec = TrainingSpec {
        roles: Roles {
            target: Some("Water flow [l/s]".to_owned()),
            ..Roles::default()
        },
        // lags, rolling statistics and the time of day and week; four weeks say nothing of the months to come
        engineering: Some(EngineeringSpec {
            columns: Vec::new(),
            params: EngineeringParams {
                time_features: TimeFeatures {
                    month: false,
                    ..TimeFeatures::default()
                },
                ..EngineeringParams::default()
            },
        }),
        ..TrainingSpec::default()
    };
    let fitted = spec.fit(Some(table.slice_rows(0..LEARNED)), &context)?;
    println!(
        "learned from {} hours; a score above {:.2} is an anomaly",
        fitted.model.statistics().n_rows,
        fitted.model.threshold().value
    );

    let later = table.slice_rows(LEARNED..table.n_rows());
    let mut history = fitted.model.history();
    let scored =
        fitted
            .model
            .score(later.clone(), history.as_mut(), Describe::Nothing, &context)?;
    let flagged: Vec<usize> = (LEARNED..)
        .zip(&scored.is_anomaly)
        .filter_map(|(row, is_anomaly)| is_anomaly.then_some(row))
        .collect();
    println!(
        "{} of the {} hours after them are anomalies",
        flagged.len(),
        scored.scores.len()
    );
    if let (Some(first), Some(last)) = (flagged.first(), flagged.last()) {
        println!("the first is row {first}, the last row {last}");
    }

    let updated = fitted.model.update(fitted.reservoir, &later, &context)?;
    let bytes = artifact::encode_model(&updated.model)?;
    let model = artifact::decode_model(&bytes)?;
    println!(
        "after an update it has learned from {} hours, and takes {} bytes",
        model.statistics().n_rows,
        bytes.len()
    );
    Ok(())
}
