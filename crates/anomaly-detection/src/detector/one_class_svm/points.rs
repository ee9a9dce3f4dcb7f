//! Rows in the memory layout of the kernels.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The number of rows in a block.
pub(super) const LANES: usize = 8;

/// The largest magnitude of a value.
pub(super) const MAX_VALUE: f32 = 1e15;

/// n rows of d f32 values: blocks of [`LANES`] rows, each stored feature by feature. The last block is padded with zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Points {
    n: usize,
    d: usize,
    #[serde(with = "crate::le_bytes")]
    values: Vec<f32>,
}

impl Points {
    /// Rows of zeros.
    pub(super) fn zeros(n: usize, d: usize) -> Self {
        Self {
            n,
            d,
            values: vec![0.0; n.div_ceil(LANES) * LANES * d],
        }
    }

    /// The number of rows.
    pub(super) fn n_rows(&self) -> usize {
        self.n
    }

    /// The number of features.
    pub(super) fn n_features(&self) -> usize {
        self.d
    }

    /// The number of rows, padding included.
    pub(super) fn n_padded_rows(&self) -> usize {
        self.n.div_ceil(LANES) * LANES
    }

    /// The values of all blocks.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Sets a row.
    pub(super) fn set(&mut self, i: usize, row: &[f32]) {
        let block = &mut self.values[i / LANES * LANES * self.d..][..LANES * self.d];
        set_lane(block, i % LANES, row);
    }

    /// Copies a row out.
    pub(super) fn get(&self, i: usize, row: &mut [f32]) {
        let block = &self.values[i / LANES * LANES * self.d..][..LANES * self.d];
        for (lanes, value) in block.chunks_exact(LANES).zip(row) {
            *value = lanes[i % LANES];
        }
    }

    /// The rows with these indices.
    pub(super) fn pick(&self, rows: &[u32]) -> Self {
        let mut picked = Self::zeros(rows.len(), self.d);
        let blocks = picked.values.par_chunks_mut((LANES * self.d).max(1));
        blocks.zip(rows.par_chunks(LANES)).for_each_init(
            || vec![0.0; self.d],
            |row, (block, rows)| {
                for (lane, &from) in rows.iter().enumerate() {
                    self.get(from as usize, row);
                    set_lane(block, lane, row);
                }
            },
        );
        picked
    }

    /// The weighted mean of the rows as a single row, and the sum of the weights as its weight.
    pub(super) fn weighted_mean(&self, weights: &[f64]) -> (Self, Vec<f64>) {
        let total: f64 = weights.iter().sum();
        let mut means = vec![0.0; self.d];
        let mut row = vec![0.0; self.d];
        for (i, weight) in weights.iter().enumerate() {
            self.get(i, &mut row);
            for (mean, &x) in means.iter_mut().zip(&row) {
                *mean += weight / total * f64::from(x);
            }
        }
        let means: Vec<f32> = means.into_iter().map(|mean| mean as f32).collect();
        let mut point = Self::zeros(1, self.d);
        point.set(0, &means);
        (point, vec![total])
    }

    /// The largest squared norm of a row.
    pub(super) fn largest_squared_norm(&self) -> f64 {
        let mut largest = 0.0_f64;
        for block in self.values.chunks_exact((LANES * self.d).max(1)) {
            let mut sums = [0.0; LANES];
            for x in block.chunks_exact(LANES) {
                for l in 0..LANES {
                    sums[l] += f64::from(x[l]) * f64::from(x[l]);
                }
            }
            largest = sums.into_iter().fold(largest, f64::max);
        }
        largest
    }

    /// Whether stored points have the right number of values, none of which exceeds [`MAX_VALUE`] in magnitude.
    pub(super) fn is_sound(&self) -> bool {
        let length = self.n.div_ceil(LANES).checked_mul(LANES);
        length.and_then(|n| n.checked_mul(self.d)) == Some(self.values.len())
            && self.values.iter().all(|x| x.abs() <= MAX_VALUE)
    }
}

fn set_lane(block: &mut [f32], lane: usize, row: &[f32]) {
    for (lanes, &value) in block.chunks_exact_mut(LANES).zip(row) {
        lanes[lane] = value;
    }
}
