//! Matrices, how they are scored, and how long things take.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use anomaly_detection::detector::Detector;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Reads a file of little-endian doubles, row by row, into a matrix of this many columns.
pub fn read_matrix(path: &Path, n_columns: usize) -> Result<Array2<f64>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let values = anomaly_detection::le_bytes::decode::<f64>(&bytes)?;
    let n_rows = values.len() / n_columns.max(1);
    Ok(Array2::from_shape_vec((n_rows, n_columns), values)?)
}

/// Runs some work, and returns its result and the seconds that it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// Scores all rows on rayon's current pool, in chunks as a model does.
pub fn score(detector: &dyn Detector, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![0.0; rows.nrows()];
    let chunk_rows = detector.even_chunk_rows(rows.nrows());
    scores
        .par_chunks_mut(chunk_rows)
        .zip(rows.axis_chunks_iter(Axis(0), chunk_rows))
        .with_max_len(1)
        .for_each(|(scores, rows)| detector.score_chunk(rows, scores));
    scores
}

/// Rows of independent normal values, row by row, the same each time.
pub fn normal_rows(n_rows: usize, n_columns: usize) -> Vec<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n_rows * n_columns)
        .map(|_| (-2.0 * (1.0 - uniform()).ln()).sqrt() * (uniform() * std::f64::consts::TAU).cos())
        .collect()
}

/// The median of some numbers.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
