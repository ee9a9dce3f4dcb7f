//! Times fitting and scoring a detector, and takes its memory; prints one line of JSON.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anomaly_detection::context::Context;
use anomaly_detection::detector::{Detector, DetectorParams, FittedDetector, Sample};
use anomalyd_benchmarks::{PEAK_RESIDENT, memory_bytes, read_matrix, score, timed};
use clap::Parser;
use ndarray::{ArrayView2, Axis};
use rayon::ThreadPoolBuilder;
use serde_json::{Map, Value, json};

/// How long rows are scored one by one, and the most rows.
const ONE_ROW_TIME: Duration = Duration::from_millis(500);
const ONE_ROW_COUNT: usize = 1000;

/// Times fitting and scoring a detector.
#[derive(Parser)]
struct Arguments {
    /// The name of the detector.
    detector: String,
    /// A file of little-endian doubles, row by row.
    file: PathBuf,
    /// How many columns it has.
    n_columns: usize,
    /// Parameters that are not the default, as a JSON object.
    #[arg(long, default_value = "{}")]
    params: String,
    /// A file of labels, for a supervised detector: a byte a row, 1 for an anomaly and 0 for a normal row.
    #[arg(long)]
    labels: Option<PathBuf>,
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
    let params = params(&arguments.detector, &arguments.params)?;
    let rows = read_matrix(&arguments.file, arguments.n_columns)?;
    let labels = arguments.labels.as_ref().map(std::fs::read).transpose()?;
    let labels: Option<Vec<bool>> = labels.map(|bytes| bytes.iter().map(|&b| b == 1).collect());
    let sample = Sample {
        labels: labels.as_deref(),
        ..Sample::complete(rows.view())
    };
    let context = Context::new();
    let pool = ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build()?;
    let (mut fit_seconds, mut score_seconds) = (vec![], vec![]);
    let (mut row_seconds, mut load_seconds) = (vec![], vec![]);
    let (mut fit_peak_bytes, mut artifact_bytes) = (None, 0);
    for _ in 0..arguments.repeats {
        let (learned, seconds) = pool.install(|| timed(|| params.fit(&sample, &context)));
        let detector = learned?.detector;
        fit_seconds.push(seconds);
        fit_peak_bytes = fit_peak_bytes.or_else(|| memory_bytes("self", PEAK_RESIDENT));
        let fitted = detector.as_detector();
        let (scores, seconds) = pool.install(|| timed(|| score(fitted, rows.view())));
        score_seconds.push(seconds);
        row_seconds.push(one_row_seconds(fitted, rows.view()));
        let artifact = rmp_serde::to_vec_named(&detector)?;
        artifact_bytes = artifact.len();
        let (loaded, seconds) = timed(|| rmp_serde::from_slice::<FittedDetector>(&artifact));
        loaded?;
        load_seconds.push(seconds);
        if let Some(path) = &arguments.scores {
            let bytes: Vec<u8> = scores.iter().flat_map(|s| s.to_le_bytes()).collect();
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
        "fit_peak_bytes": fit_peak_bytes,
    });
    println!("{report}");
    Ok(())
}

/// The defaults of the detector of this name, with some parameters replaced by those of a JSON object.
fn params(name: &str, changes: &str) -> Result<DetectorParams, Box<dyn Error>> {
    let all = DetectorParams::defaults();
    let named = all.iter().find(|params| params.name() == name);
    let default = named.ok_or_else(|| format!("there is no detector {name:?}"))?;
    let changes: Map<String, Value> = serde_json::from_str(changes)?;
    let mut params = serde_json::to_value(default)?;
    for (parameter, value) in changes {
        match params.get_mut(name).and_then(|p| p.get_mut(&parameter)) {
            Some(place) => *place = value,
            None => return Err(format!("{name} has no parameter {parameter:?}").into()),
        }
    }
    Ok(serde_json::from_value(params)?)
}

/// The seconds to score one row alone.
fn one_row_seconds(detector: &dyn Detector, rows: ArrayView2<'_, f64>) -> f64 {
    let start = Instant::now();
    let mut n_rows = 0;
    for row in rows.axis_chunks_iter(Axis(0), 1).take(ONE_ROW_COUNT) {
        detector.score_chunk(row, &mut [0.0]);
        n_rows += 1;
        if start.elapsed() >= ONE_ROW_TIME {
            break;
        }
    }
    start.elapsed().as_secs_f64() / f64::from(n_rows)
}
