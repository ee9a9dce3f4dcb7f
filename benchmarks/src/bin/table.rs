//! From a file to a fitted isolation forest, and engineered features; prints one line of JSON. `benchmarks/tables` runs it beside
//! its peers.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::path::PathBuf;

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, IsolationForestParams};
use anomaly_detection::features::engineer::{
    Builder, Engineer, EngineeringParams, Histories, Rows,
};
use anomaly_detection::pipeline::TrainingSpec;
use anomaly_detection::table::ColumnView;
use anomaly_detection::table::read::{FileOptions, Limits, read};
use anomalyd_benchmarks::{PEAK_RESIDENT, memory_bytes, normal_rows, timed};
use clap::{Parser, Subcommand};
use memmap2::Mmap;
use rayon::ThreadPoolBuilder;
use serde_json::json;

/// How many rows are pushed one by one.
const N_PUSHED: usize = 100_000;

/// Times tables.
#[derive(Parser)]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    work: Work,
    /// How many threads.
    #[arg(long, default_value_t = 2, global = true)]
    threads: usize,
}

#[derive(Subcommand)]
enum Work {
    /// Reads a file and trains an isolation forest on it.
    Fit {
        /// The file: CSV, JSON, JSON Lines, Parquet or Arrow IPC.
        file: PathBuf,
    },
    /// Makes the lags, rolling statistics and differences of one column.
    Engineer {
        /// How many rows.
        n_rows: usize,
        /// How many times it is measured.
        #[arg(long, default_value_t = 5)]
        repeats: usize,
    },
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let pool = ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build()?;
    let report = pool.install(|| match arguments.work {
        Work::Fit { file } => fit(&file),
        Work::Engineer { n_rows, repeats } => engineer(n_rows, repeats),
    })?;
    println!("{report}");
    Ok(())
}

type Report = Result<serde_json::Value, Box<dyn Error + Send + Sync>>;

fn fit(file: &std::path::Path) -> Report {
    let file = File::open(file)?;
    // SAFETY: nothing writes to the file of a measurement while it is read
    let content = unsafe { Mmap::map(&file)? };
    let options = FileOptions::default();
    let (table, read_seconds) = timed(|| read(&content, &options, Limits::default()));
    let table = table?;
    let spec = TrainingSpec {
        detector: DetectorParams::IsolationForest(IsolationForestParams::default()),
        ..TrainingSpec::default()
    };
    let (n_rows, n_columns) = (table.n_rows(), table.n_columns());
    let is_number = |column: usize| matches!(table.column(column), ColumnView::Numbers(_));
    let n_numbers = (0..n_columns).filter(|&column| is_number(column)).count();
    let (fitted, fit_seconds) = timed(|| spec.fit(Some(table), &Context::new()));
    black_box(fitted?);
    Ok(json!({
        "rows": n_rows,
        "columns_of_numbers": n_numbers,
        "read_seconds": read_seconds,
        "fit_seconds": fit_seconds,
        "peak_bytes": memory_bytes("self", PEAK_RESIDENT),
    }))
}

fn engineer(n_rows: usize, repeats: usize) -> Report {
    let engineer = Engineer::new(
        EngineeringParams::default(),
        vec!["value".to_owned()],
        false,
    )?;
    let values = normal_rows(n_rows, 1);
    let rows = Rows {
        n_rows,
        columns: &[&values],
        times: None,
        series: None,
    };
    let (mut batch_seconds, mut row_seconds) = (vec![], vec![]);
    for _ in 0..repeats {
        let mut builder = Builder::new(&engineer, Histories::default());
        let (made, seconds) = timed(|| builder.apply(&rows, &Context::new()));
        black_box(made?);
        batch_seconds.push(seconds);
        let mut builder = Builder::new(&engineer, Histories::default());
        let mut out = vec![0.0; engineer.n_features()];
        let pushed = &values[..N_PUSHED.min(n_rows)];
        let (outcome, seconds) = timed(|| {
            pushed
                .iter()
                .try_for_each(|&value| builder.push("", &[value], None, black_box(&mut out)))
        });
        outcome?;
        row_seconds.push(seconds / pushed.len() as f64);
    }
    Ok(json!({
        "features": engineer.n_features(),
        "batch_seconds": batch_seconds,
        "row_seconds": row_seconds,
    }))
}
