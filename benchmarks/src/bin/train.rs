//! Times a whole Train in process, calibration included, and how long its artifacts take to encode; prints one line of JSON.

use std::error::Error;
use std::path::PathBuf;

use anomaly_detection::calibration::Policy;
use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, IsolationForestParams};
use anomaly_detection::pipeline::{TrainingSpec, artifact};
use anomaly_detection::table::Table;
use anomalyd_benchmarks::{read_matrix, timed};
use clap::Parser;
use rayon::ThreadPoolBuilder;
use serde_json::json;

/// Times training.
#[derive(Parser)]
struct Arguments {
    /// A file of little-endian doubles, row by row.
    file: PathBuf,
    /// How many columns it has.
    n_columns: usize,
    /// The share of rows to flag.
    #[arg(long, default_value_t = 0.1)]
    contamination: f64,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many times it is measured.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let rows = read_matrix(&arguments.file, arguments.n_columns)?;
    let spec = TrainingSpec {
        detector: DetectorParams::IsolationForest(IsolationForestParams::default()),
        policy: Some(Policy::Contamination(arguments.contamination)),
        ..TrainingSpec::default()
    };
    let pool = ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build()?;
    let context = Context::new();
    let (mut train_seconds, mut encode_seconds) = (vec![], vec![]);
    let (mut model_bytes, mut reservoir_bytes) = (0, 0);
    for _ in 0..arguments.repeats {
        let values = rows.iter().copied().collect();
        let table = Table::from_row_major(None, arguments.n_columns, values)?;
        let (fitted, seconds) = timed(|| pool.install(|| spec.fit(Some(table), &context)));
        let fitted = fitted?;
        train_seconds.push(seconds);
        let (encoded, seconds) = timed(|| -> anomaly_detection::error::Result<_> {
            let reservoir = fitted
                .reservoir
                .as_ref()
                .map(artifact::encode_reservoir)
                .transpose()?;
            Ok((
                artifact::encode_model(&fitted.model)?.len(),
                reservoir.map_or(0, |bytes| bytes.len()),
            ))
        });
        (model_bytes, reservoir_bytes) = encoded?;
        encode_seconds.push(seconds);
    }
    let report = json!({
        "train_seconds": train_seconds,
        "encode_seconds": encode_seconds,
        "model_bytes": model_bytes,
        "reservoir_bytes": reservoir_bytes,
    });
    println!("{report}");
    Ok(())
}
