//! Times fitting and scoring an isolation forest; prints one line of JSON.

use std::error::Error;
use std::path::PathBuf;

use anomalyd::context::Context;
use anomalyd::detector::isolation_forest::{IsolationForest, IsolationForestParams, MaxSamples};
use anomalyd::detector::{Detector, Sample};
use anomalyd_benchmarks::{read_matrix, score, timed};
use clap::Parser;
use linfa::ParamGuard;
use ndarray::Axis;
use rayon::ThreadPoolBuilder;
use serde_json::json;

/// Times fitting and scoring an isolation forest.
#[derive(Parser)]
struct Arguments {
    /// A file of little-endian doubles, row by row.
    file: PathBuf,
    /// How many columns it has.
    n_columns: usize,
    /// How many trees.
    #[arg(long, default_value_t = 100)]
    n_estimators: usize,
    /// How many rows each tree is grown on.
    #[arg(long, default_value_t = 256)]
    max_samples: usize,
    /// How many features each split combines.
    #[arg(long, default_value_t = 1)]
    ndim: usize,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    random_state: u64,
    /// How many threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many times each is measured.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Where to write the scores, as little-endian doubles.
    #[arg(long)]
    scores: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let rows = read_matrix(&arguments.file, arguments.n_columns)?;
    let sample = Sample::complete(rows.view());
    let params = IsolationForestParams {
        n_estimators: arguments.n_estimators,
        max_samples: MaxSamples::Count(arguments.max_samples),
        ndim: arguments.ndim,
        random_state: arguments.random_state,
        ..Default::default()
    }
    .check()?;
    let context = Context::new();
    let pool = ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build()?;
    let (mut fit_seconds, mut score_seconds) = (vec![], vec![]);
    let (mut row_seconds, mut load_seconds) = (vec![], vec![]);
    let mut artifact_bytes = 0;
    for _ in 0..arguments.repeats {
        let (forest, seconds) = pool.install(|| timed(|| params.fit_rows(None, sample, &context)));
        let forest = forest?;
        fit_seconds.push(seconds);
        let (scores, seconds) = pool.install(|| timed(|| score(&forest, rows.view())));
        score_seconds.push(seconds);
        let n_single = rows.nrows().min(1000);
        let ((), seconds) = timed(|| {
            for row in rows.axis_chunks_iter(Axis(0), 1).take(n_single) {
                forest.score_block(row, &mut [0.0]);
            }
        });
        row_seconds.push(seconds / n_single as f64);
        let artifact = rmp_serde::to_vec_named(&forest)?;
        artifact_bytes = artifact.len();
        let (loaded, seconds) = timed(|| rmp_serde::from_slice::<IsolationForest>(&artifact));
        loaded?;
        load_seconds.push(seconds);
        if let Some(path) = &arguments.scores {
            let bytes: Vec<u8> = scores
                .iter()
                .flat_map(|score| score.to_le_bytes())
                .collect();
            std::fs::write(path, bytes)?;
        }
    }
    let report = json!({
        "rows": rows.nrows(),
        "fit_seconds": fit_seconds,
        "score_seconds": score_seconds,
        "one_row_seconds": row_seconds,
        "load_seconds": load_seconds,
        "artifact_bytes": artifact_bytes,
    });
    println!("{report}");
    Ok(())
}
