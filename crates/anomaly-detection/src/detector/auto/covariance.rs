//! A robust Mahalanobis distance: the mean and the covariance are those of the bulk of the rows, so that outliers do not distort
//! them.
//!
//! After Rousseeuw and Van Driessen, "A fast algorithm for the minimum covariance determinant estimator" (1999): starting with
//! all rows, each C-step computes the mean and the covariance of the three quarters of the rows that are nearest by the
//! previous ones. A fraction of each feature's variance is added to the diagonal, so that features that depend on each other do
//! no harm.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::detector::lanes::{RowKernel, score_rows};
use crate::error::Result;
use crate::statistics::moments::triangle;

/// The most features: time and memory grow with the square of their number.
const MAX_FEATURES: usize = 256;

/// The minimum number of rows per feature: with fewer, training rows are systematically nearer than others.
const MIN_ROWS_PER_FEATURE: usize = 5;

/// The most rows per feature that are used.
const ROWS_PER_FEATURE: usize = 20;

/// About how many products are summed in a step, unless there are few rows.
const PRODUCTS: usize = 1 << 26;

/// The share of the rows that count as the bulk.
const BULK: f64 = 0.75;

/// The number of C-steps.
const STEPS: usize = 5;

/// The share of each feature's variance that is added to the diagonal.
const RIDGE: f64 = 0.01;

/// The smallest variance of a feature, in coordinates whose spread is about 1.
const MIN_VARIANCE: f64 = 1e-6;

/// How many rows are summed or measured at a time.
const CHUNK: usize = 256;

/// How many rows are processed at once.
const LANES: usize = 8;

/// A mean and a covariance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Covariance {
    #[serde(with = "crate::le_bytes")]
    mean: Vec<f64>,
    /// The inverse of the covariance's Cholesky factor: the lower triangle, row after row.
    #[serde(with = "crate::le_bytes")]
    whitening: Vec<f64>,
}

/// The most rows of `d` features to learn from; `None` if there are too many features.
pub(super) fn most_rows(d: usize) -> Option<usize> {
    (d <= MAX_FEATURES).then(|| (PRODUCTS / (d * d)).max(ROWS_PER_FEATURE * d))
}

/// The fewest rows of `d` features that it learns from.
pub(super) fn fewest_rows(d: usize) -> usize {
    MIN_ROWS_PER_FEATURE * d
}

impl Covariance {
    /// Learns from rows of `d` coordinates in row order, at least one, in parallel on rayon's current pool.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(super) fn fit(rows: &[f64], d: usize, context: &Context) -> Result<Self> {
        let n = rows.len() / d;
        let mut kept = vec![true; n];
        let all = Sums::of(rows, d, &kept, context)?;
        let ridge: Vec<f64> = (0..d)
            .map(|i| RIDGE * all.covariance(i, i).max(MIN_VARIANCE))
            .collect();
        let mut covariance = all.whiten(&ridge);
        let n_bulk = ((BULK * n as f64).ceil() as usize).clamp(1, n);
        let mut distances = vec![0.0; n];
        for _ in 0..STEPS {
            rows.par_chunks(CHUNK * d)
                .zip(distances.par_chunks_mut(CHUNK))
                .try_for_each(|(rows, distances)| -> Result<()> {
                    context.check()?;
                    covariance.distances(rows, distances);
                    Ok(())
                })?;
            let mut ordered = distances.clone();
            let (_, &mut farthest, _) = ordered.select_nth_unstable_by(n_bulk - 1, f64::total_cmp);
            for (kept, &distance) in kept.iter_mut().zip(&distances) {
                *kept = distance <= farthest;
            }
            covariance = Sums::of(rows, d, &kept, context)?.whiten(&ridge);
        }
        Ok(covariance)
    }

    /// The distance of each row of finite coordinates. It depends on that row alone.
    pub(super) fn distances(&self, rows: &[f64], distances: &mut [f64]) {
        score_rows::<LANES>(self, self.mean.len(), rows, distances);
    }

    pub(super) fn size_bytes(&self) -> usize {
        8 * (self.mean.len() + self.whitening.len())
    }

    /// Whether a stored covariance is valid for rows of `d` coordinates.
    pub(super) fn is_sound(&self, d: usize) -> bool {
        d <= MAX_FEATURES
            && self.mean.len() == d
            && self.whitening.len() == triangle(d)
            && self
                .mean
                .iter()
                .chain(&self.whitening)
                .all(|x| x.is_finite())
    }
}

impl RowKernel for Covariance {
    fn score<const N: usize>(&self, rows: &[f64], centred: &mut [[f64; N]], distances: &mut [f64]) {
        let d = self.mean.len();
        for (i, (centred, mean)) in centred.iter_mut().zip(&self.mean).enumerate() {
            *centred = std::array::from_fn(|k| rows[k * d + i] - mean);
        }
        let mut squared = [0.0; N];
        let mut whitening = self.whitening.as_slice();
        for i in 1..=d {
            let (weights, rest) = whitening.split_at(i);
            whitening = rest;
            let mut white = [0.0; N];
            for (weight, centred) in weights.iter().zip(&*centred) {
                for k in 0..N {
                    white[k] += weight * centred[k];
                }
            }
            for k in 0..N {
                squared[k] += white[k] * white[k];
            }
        }
        for (distance, squared) in distances.iter_mut().zip(squared) {
            // `min` returns the other number if a hostile model makes one NaN
            *distance = squared.min(f64::MAX).sqrt();
        }
    }
}

/// The sums over rows of their coordinates and of the products of coordinates.
struct Sums {
    n: f64,
    sum: Vec<f64>,
    /// The lower triangle, row after row.
    products: Vec<f64>,
}

impl Sums {
    fn of(rows: &[f64], d: usize, kept: &[bool], context: &Context) -> Result<Self> {
        let new = || Self {
            n: 0.0,
            sum: vec![0.0; d],
            products: vec![0.0; triangle(d)],
        };
        let chunks = rows
            .par_chunks(CHUNK * d)
            .zip(kept.par_chunks(CHUNK))
            .map(|(rows, kept)| {
                context.check()?;
                let mut chunk = new();
                let kept = rows.chunks_exact(d).zip(kept).filter(|(_, kept)| **kept);
                kept.for_each(|(row, _)| chunk.add(row));
                Ok(chunk)
            })
            .collect::<Result<Vec<_>>>()?;
        // added in order, so that the result does not depend on the threads
        let mut all = new();
        for chunk in &chunks {
            all.n += chunk.n;
            add(&mut all.sum, &chunk.sum);
            add(&mut all.products, &chunk.products);
        }
        Ok(all)
    }

    fn add(&mut self, row: &[f64]) {
        self.n += 1.0;
        add(&mut self.sum, row);
        let mut products = self.products.as_mut_slice();
        for (i, x) in row.iter().enumerate() {
            let (line, rest) = products.split_at_mut(i + 1);
            products = rest;
            for (product, y) in line.iter_mut().zip(row) {
                *product += x * y;
            }
        }
    }

    /// The covariance of features `i` and `j`, where `i >= j`.
    fn covariance(&self, i: usize, j: usize) -> f64 {
        self.products[triangle(i) + j] / self.n - (self.sum[i] / self.n) * (self.sum[j] / self.n)
    }

    /// The mean, and the inverse of the Cholesky factor of the covariance with the ridge on its diagonal.
    fn whiten(&self, ridge: &[f64]) -> Covariance {
        let d = self.sum.len();
        let at = |i: usize, j: usize| triangle(i) + j;
        let mut factor = vec![0.0; triangle(d)];
        for i in 0..d {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| factor[at(i, k)] * factor[at(j, k)]).sum();
                let rest = self.covariance(i, j) - known;
                factor[at(i, j)] = if i == j {
                    // the residual variance is at least 0, so that a pivot below the ridge is a rounding error
                    (rest + ridge[i]).max(ridge[i]).sqrt()
                } else {
                    rest / factor[at(j, j)]
                };
            }
        }
        let mut whitening = vec![0.0; triangle(d)];
        for i in 0..d {
            for j in 0..i {
                let sum: f64 = (j..i).map(|k| factor[at(i, k)] * whitening[at(k, j)]).sum();
                whitening[at(i, j)] = -sum / factor[at(i, i)];
            }
            whitening[at(i, i)] = 1.0 / factor[at(i, i)];
        }
        Covariance {
            mean: self.sum.iter().map(|sum| sum / self.n).collect(),
            whitening,
        }
    }
}

fn add(totals: &mut [f64], values: &[f64]) {
    for (total, value) in totals.iter_mut().zip(values) {
        *total += value;
    }
}
