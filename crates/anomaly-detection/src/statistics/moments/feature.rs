//! The moments of each feature on its own.

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CHUNK_ROWS, MAX_ROWS, Mean, corrected, damaged, is_mean, is_square};
use crate::error::Result;
use crate::statistics::ColumnError;

/// The moments of each feature on its own, over the values that are present in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureMoments {
    #[serde(with = "crate::le_bytes")]
    pub(super) n: Vec<u64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean_low: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) m2: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) min: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) max: Vec<f64>,
}

impl FeatureMoments {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        Self {
            n: vec![0; n_features],
            mean: vec![0.0; n_features],
            mean_low: vec![0.0; n_features],
            m2: vec![0.0; n_features],
            min: vec![f64::INFINITY; n_features],
            max: vec![f64::NEG_INFINITY; n_features],
        }
    }

    /// The moments of the rows, n x d, in which NaN is a missing value.
    ///
    /// # Errors
    /// A [`ColumnError`] where a moment is not finite, because values are too large to be squared.
    pub fn of(rows: ArrayView2<'_, f64>) -> Result<Self, ColumnError> {
        let mut moments = Self::new(rows.ncols());
        moments.push(rows)?;
        Ok(moments)
    }

    /// Adds rows, n x d, in which NaN is a missing value.
    ///
    /// # Errors
    /// A [`ColumnError`] where a moment is not finite; the moments must not be used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>) -> Result<(), ColumnError> {
        assert_eq!(rows.ncols(), self.n_features(), "number of columns");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), self.n_features()) else {
            return Ok(());
        };
        let n_features = self.n_features();
        let chunks = values
            .par_chunks(CHUNK_ROWS * n_features)
            .map(|chunk| Self::of_chunk(chunk, n_features));
        // merged in order, so that the result does not depend on the threads
        chunks
            .collect::<Vec<_>>()
            .iter()
            .try_for_each(|chunk| self.merge(chunk))
    }

    /// Adds the rows that other moments describe.
    ///
    /// # Errors
    /// A [`ColumnError`] where a moment is not finite; the moments must not be used then.
    ///
    /// # Panics
    /// If the other moments have another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), ColumnError> {
        assert_eq!(other.n_features(), self.n_features(), "number of columns");
        for i in 0..self.n_features() {
            let (n_a, n_b) = (self.n[i] as f64, other.n[i] as f64);
            if other.n[i] == 0 {
                continue;
            }
            self.n[i] = self.n[i].saturating_add(other.n[i]);
            let mean = if n_a == 0.0 {
                other.mean_of(i)
            } else {
                let delta = other.mean_of(i).minus(self.mean_of(i));
                self.m2[i] += delta * delta * (n_a * n_b / (n_a + n_b));
                self.mean_of(i).plus(delta * (n_b / (n_a + n_b)))
            };
            self.m2[i] += other.m2[i];
            (self.mean[i], self.mean_low[i]) = (mean.high, mean.low);
            self.min[i] = self.min[i].min(other.min[i]);
            self.max[i] = self.max[i].max(other.max[i]);
            if !(mean.high.is_finite() && mean.low.is_finite() && self.m2[i].is_finite()) {
                return Err(ColumnError::not_finite(i));
            }
        }
        Ok(())
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.n.len()
    }

    /// How many values of each feature were present.
    pub fn n(&self) -> &[u64] {
        &self.n
    }

    /// The mean of each feature; 0 for one without values.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The rounding error of each mean: the exact mean is the sum of both.
    pub(crate) fn mean_low(&self) -> &[f64] {
        &self.mean_low
    }

    /// The smallest value of each feature; infinity for one without values.
    pub fn min(&self) -> &[f64] {
        &self.min
    }

    /// The largest value of each feature; minus infinity for one without values.
    pub fn max(&self) -> &[f64] {
        &self.max
    }

    /// The sample standard deviation of each feature (n - 1 in the denominator); 0 for fewer than two values.
    pub fn std(&self) -> Vec<f64> {
        self.deviations(1)
    }

    /// The standard deviation of each feature as a population (n in the denominator); 0 for fewer than two values.
    pub fn population_std(&self) -> Vec<f64> {
        self.deviations(0)
    }

    /// The size of the moments in memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 6 * 8 * self.n_features()
    }

    /// Checks moments that were read from outside.
    ///
    /// # Errors
    /// [`DamagedArtifact`](crate::error::reason::DAMAGED_ARTIFACT) when they cannot be the moments of any finite rows.
    pub fn validate(&self) -> Result<()> {
        let d = self.n.len();
        let arrays = [&self.mean, &self.mean_low, &self.m2, &self.min, &self.max];
        if arrays.iter().any(|array| array.len() != d) {
            return Err(damaged("the moments differ in length"));
        }
        let possible = |i: usize| {
            let finite = is_mean(self.mean[i], self.mean_low[i]) && is_square(self.m2[i]);
            let ordered = if self.n[i] == 0 {
                self.min[i] == f64::INFINITY && self.max[i] == f64::NEG_INFINITY
            } else {
                self.min[i].is_finite() && self.max[i].is_finite() && self.min[i] <= self.max[i]
            };
            finite && ordered && self.n[i] <= MAX_ROWS
        };
        match (0..d).find(|&i| !possible(i)) {
            Some(i) => Err(damaged(&format!(
                "the moments of column {i} are not possible"
            ))),
            None => Ok(()),
        }
    }

    fn mean_of(&self, i: usize) -> Mean {
        Mean {
            high: self.mean[i],
            low: self.mean_low[i],
        }
    }

    fn deviations(&self, degrees_of_freedom: u64) -> Vec<f64> {
        let of = |(&n, &m2): (&u64, &f64)| match n {
            0 | 1 => 0.0,
            n => (m2 / (n - degrees_of_freedom) as f64).sqrt(),
        };
        self.n.iter().zip(&self.m2).map(of).collect()
    }

    /// The moments of a chunk of rows in standard layout, in two passes.
    fn of_chunk(chunk: &[f64], d: usize) -> Self {
        let mut moments = Self::new(d);
        // each feature is shifted by its first value, so that a large offset does not cost the digits that differ
        let mut shift = vec![f64::NAN; d];
        for row in chunk.chunks_exact(d) {
            let mut all = true;
            for (shift, &x) in shift.iter_mut().zip(row) {
                *shift = if shift.is_nan() { x } else { *shift };
                all &= !shift.is_nan();
            }
            if all {
                break;
            }
        }
        let mut count = vec![0.0; d];
        let mut sum = vec![0.0; d];
        for row in chunk.chunks_exact(d) {
            for i in 0..d {
                let x = row[i];
                let present = !x.is_nan();
                count[i] += if present { 1.0 } else { 0.0 };
                sum[i] += if present { x - shift[i] } else { 0.0 };
                moments.min[i] = if x < moments.min[i] {
                    x
                } else {
                    moments.min[i]
                };
                moments.max[i] = if x > moments.max[i] {
                    x
                } else {
                    moments.max[i]
                };
            }
        }
        let centre: Vec<f64> = sum.iter().zip(&count).map(|(s, n)| s / n).collect();
        let mut rest = vec![0.0; d];
        for row in chunk.chunks_exact(d) {
            for i in 0..d {
                let x = row[i];
                let deviation = if x.is_nan() {
                    0.0
                } else {
                    (x - shift[i]) - centre[i]
                };
                rest[i] += deviation;
                moments.m2[i] += deviation * deviation;
            }
        }
        for i in (0..d).filter(|&i| count[i] > 0.0) {
            let mean = Mean::sum(shift[i], centre[i] + rest[i] / count[i]);
            moments.n[i] = count[i] as u64;
            (moments.mean[i], moments.mean_low[i]) = (mean.high, mean.low);
            moments.m2[i] = corrected(moments.m2[i], rest[i] * (rest[i] / count[i]));
        }
        moments
    }
}
