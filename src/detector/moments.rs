//! Mergeable moments: what is learned from two sets of rows apart equals what is learned from both together.
//!
//! Pairwise merging after Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
//! variances" (1979). Rows come in blocks; each block is centred first on one of its own rows and then on its mean, and the
//! mean is kept as an unevaluated sum of two doubles, so that an offset of 1e9 costs no digits of the variance. A column
//! whose values are all equal has a second moment of exactly 0.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use super::ColumnError;
use crate::context::Context;
use crate::error::{Error, Reason, Result};

/// How many rows are centred at a time: a block of them stays in the cache between its two passes.
const BLOCK_ROWS: usize = 1024;

/// More rows than this cannot have been counted one by one, and would not fit a double exactly.
const MAX_ROWS: u64 = 1 << 53;

/// A mean as an unevaluated sum of two doubles.
#[derive(Debug, Clone, Copy)]
struct Mean {
    high: f64,
    low: f64,
}

impl Mean {
    /// `a + b` without rounding error (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B).
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let b_rounded = high - a;
        let low = (a - (high - b_rounded)) + (b - b_rounded);
        Self { high, low }
    }

    fn minus(self, other: Self) -> f64 {
        (self.high - other.high) + (self.low - other.low)
    }

    fn plus(self, step: f64) -> Self {
        Self::sum(self.high, self.low + step)
    }
}

/// The moments of each feature on its own, over the values that are present in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureMoments {
    #[serde(with = "crate::le_bytes")]
    n: Vec<u64>,
    #[serde(with = "crate::le_bytes")]
    mean: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    mean_low: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    m2: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    min: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    max: Vec<f64>,
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
        for block in values.chunks(BLOCK_ROWS * self.n_features()) {
            self.merge(&Self::of_block(block, self.n_features()))?;
        }
        Ok(())
    }

    /// Adds what other moments have seen.
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

    /// What rounding took from each mean.
    pub(super) fn mean_low(&self) -> &[f64] {
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

    /// The bytes that the moments take in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 6 * 8 * self.n_features()
    }

    /// Checks moments that were read from outside.
    ///
    /// # Errors
    /// [`Reason::DamagedArtifact`] when they cannot be the moments of any finite rows.
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

    /// The two passes over a block of rows in standard layout.
    fn of_block(block: &[f64], d: usize) -> Self {
        let mut moments = Self::new(d);
        // a shift of 0 would do, but for a large common offset it would cost the digits that tell the values apart
        let mut shift = vec![f64::NAN; d];
        for row in block.chunks_exact(d) {
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
        for row in block.chunks_exact(d) {
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
        for row in block.chunks_exact(d) {
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

/// The moments of all features together, over the rows that are complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    n: u64,
    #[serde(with = "crate::le_bytes")]
    mean: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    mean_low: Vec<f64>,
    /// The sums of products of deviations: the lower triangle, row after row.
    #[serde(with = "crate::le_bytes")]
    comoment: Vec<f64>,
}

impl Moments {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        Self {
            n: 0,
            mean: vec![0.0; n_features],
            mean_low: vec![0.0; n_features],
            comoment: vec![0.0; triangle(n_features)],
        }
    }

    /// The moments of those of the rows, n x d, that hold no NaN.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn of(rows: ArrayView2<'_, f64>, context: &Context) -> Result<Self> {
        let mut moments = Self::new(rows.ncols());
        moments.push(rows, context)?;
        Ok(moments)
    }

    /// Adds those of the rows, n x d, that hold no NaN.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`], where a moment is not finite, and what `context` has to say; the moments must
    /// not be used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let d = self.n_features();
        assert_eq!(rows.ncols(), d, "number of columns");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            return Ok(());
        };
        let mut block = Array2::zeros((BLOCK_ROWS.min(rows.nrows()), d));
        let mut products = Array2::zeros((d, d));
        let mut complete = values
            .chunks_exact(d)
            .filter(|row| !row.iter().any(|x| x.is_nan()));
        loop {
            context.check()?;
            let mut n = 0;
            for (mut slot, row) in block.rows_mut().into_iter().zip(complete.by_ref()) {
                slot.iter_mut().zip(row).for_each(|(slot, x)| *slot = *x);
                n += 1;
            }
            if n == 0 {
                return Ok(());
            }
            let block = block.slice_mut(s![..n, ..]);
            self.merge(&Self::of_block(block, &mut products))?;
        }
    }

    /// Adds what other moments have seen.
    ///
    /// # Errors
    /// A [`ColumnError`] where a moment is not finite; the moments must not be used then.
    ///
    /// # Panics
    /// If the other moments have another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), ColumnError> {
        assert_eq!(other.n_features(), self.n_features(), "number of columns");
        if other.n == 0 {
            return Ok(());
        }
        if self.n == 0 {
            self.clone_from(other);
            return self.check_finite();
        }
        let (n_a, n_b) = (self.n as f64, other.n as f64);
        let n = n_a + n_b;
        let delta: Vec<f64> = (0..self.n_features())
            .map(|i| other.mean_of(i).minus(self.mean_of(i)))
            .collect();
        let mut start = 0;
        for (i, &delta_i) in delta.iter().enumerate() {
            let weighted = delta_i * (n_a * n_b / n);
            let row = start..start + i + 1;
            let ours = self.comoment[row.clone()].iter_mut();
            for ((c, &c_other), &delta_j) in ours.zip(&other.comoment[row]).zip(&delta) {
                *c += c_other + weighted * delta_j;
            }
            start += i + 1;
        }
        for (i, &delta_i) in delta.iter().enumerate() {
            let mean = self.mean_of(i).plus(delta_i * (n_b / n));
            (self.mean[i], self.mean_low[i]) = (mean.high, mean.low);
        }
        self.n = self.n.saturating_add(other.n);
        self.check_finite()
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.mean.len()
    }

    /// How many rows were complete, and so counted.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The mean of each feature; zeros without rows.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// What rounding took from each mean.
    pub(super) fn mean_low(&self) -> &[f64] {
        &self.mean_low
    }

    /// The sum of the products of the deviations of features `i` and `j`.
    pub fn comoment(&self, i: usize, j: usize) -> f64 {
        let (i, j) = if i < j { (j, i) } else { (i, j) };
        self.comoment[triangle(i) + j]
    }

    /// The sample covariance matrix, d x d (n - 1 in the denominator); zeros for fewer than two rows.
    pub fn covariance(&self) -> Array2<f64> {
        let d = self.n_features();
        if self.n < 2 {
            return Array2::zeros((d, d));
        }
        Array2::from_shape_fn((d, d), |(i, j)| self.comoment(i, j) / (self.n - 1) as f64)
    }

    /// The bytes that the moments take in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 8 * (2 * self.mean.len() + self.comoment.len())
    }

    /// Checks moments that were read from outside.
    ///
    /// # Errors
    /// [`Reason::DamagedArtifact`] when they cannot be the moments of any finite rows.
    pub fn validate(&self) -> Result<()> {
        let d = self.mean.len();
        if self.mean_low.len() != d || self.comoment.len() != triangle(d) {
            return Err(damaged("the moments differ in length"));
        }
        let means = self.mean.iter().zip(&self.mean_low);
        let possible = self.n <= MAX_ROWS
            && means.into_iter().all(|(&high, &low)| is_mean(high, low))
            && self.comoment.iter().all(|c| c.is_finite())
            && (0..d).all(|i| is_square(self.comoment(i, i)));
        if !possible {
            return Err(damaged("the moments are not possible"));
        }
        Ok(())
    }

    fn mean_of(&self, i: usize) -> Mean {
        Mean {
            high: self.mean[i],
            low: self.mean_low[i],
        }
    }

    /// Products of deviations are bounded by their squares, so that the diagonal speaks for the whole matrix.
    fn check_finite(&self) -> Result<(), ColumnError> {
        let finite = |&i: &usize| {
            self.mean[i].is_finite()
                && self.mean_low[i].is_finite()
                && self.comoment(i, i).is_finite()
        };
        match (0..self.n_features()).find(|i| !finite(i)) {
            Some(column) => Err(ColumnError::not_finite(column)),
            None => Ok(()),
        }
    }

    /// The two passes over a block of complete rows, which are left centred; `products` is d x d of scratch space.
    fn of_block(mut block: ndarray::ArrayViewMut2<'_, f64>, products: &mut Array2<f64>) -> Self {
        let d = block.ncols();
        let n = block.nrows() as f64;
        let mut moments = Self::new(d);
        moments.n = block.nrows() as u64;
        let shift = block.row(0).to_vec();
        let mut sum = vec![0.0; d];
        for mut row in block.rows_mut() {
            for ((x, shift), sum) in row.iter_mut().zip(&shift).zip(&mut sum) {
                *x -= shift;
                *sum += *x;
            }
        }
        let centre: Vec<f64> = sum.iter().map(|sum| sum / n).collect();
        let mut rest = vec![0.0; d];
        for mut row in block.rows_mut() {
            for ((x, centre), rest) in row.iter_mut().zip(&centre).zip(&mut rest) {
                *x -= centre;
                *rest += *x;
            }
        }
        general_mat_mul(1.0, &block.t(), &block, 0.0, products);
        for i in 0..d {
            for j in 0..i {
                moments.comoment[triangle(i) + j] = products[(i, j)] - rest[i] * (rest[j] / n);
            }
            moments.comoment[triangle(i) + i] =
                corrected(products[(i, i)], rest[i] * (rest[i] / n));
            let mean = Mean::sum(shift[i], centre[i] + rest[i] / n);
            (moments.mean[i], moments.mean_low[i]) = (mean.high, mean.low);
        }
        moments
    }
}

/// The number of entries in the lower triangle of a matrix of `d` rows, diagonal included; also where its row `d` starts.
pub(super) fn triangle(d: usize) -> usize {
    d * (d + 1) / 2
}

/// A sum of squares less the correction for its centre; not below 0, but NaN where it is NaN.
fn corrected(squares: f64, correction: f64) -> f64 {
    let difference = squares - correction;
    if difference < 0.0 { 0.0 } else { difference }
}

fn is_mean(high: f64, low: f64) -> bool {
    high.is_finite() && low.is_finite()
}

fn is_square(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

fn damaged(message: &str) -> Error {
    Error::new(Reason::DamagedArtifact, message)
}

#[cfg(test)]
mod tests;
