//! The moments of all features together.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

use super::{MAX_ROWS, Mean, MomentsStream, corrected, damaged, is_mean, is_square};
use crate::context::Context;
use crate::error::Result;
use crate::statistics::ColumnError;

/// The moments of all features together, over the rows that are complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub(super) n: u64,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    pub(super) mean_low: Vec<f64>,
    /// The sums of products of deviations: the lower triangle, row after row.
    #[serde(with = "crate::le_bytes")]
    pub(super) comoment: Vec<f64>,
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

    /// The moments of the rows, n x d; rows with a NaN are skipped.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn of(rows: ArrayView2<'_, f64>, context: &Context) -> Result<Self> {
        let mut moments = Self::new(rows.ncols());
        moments.push(rows, context)?;
        Ok(moments)
    }

    /// Adds rows, n x d, in parallel on rayon's current pool; rows with a NaN are skipped.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`](crate::error::Error), where a moment is not finite, and those of [`Context::check`];
    /// the moments must not be used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let n_features = self.n_features();
        let moments = std::mem::replace(self, Self::new(n_features));
        let mut stream = MomentsStream::after(moments);
        stream.push(rows, context)?;
        *self = stream.finish(context)?;
        Ok(())
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

    /// How many complete rows were counted.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The mean of each feature; zeros without rows.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The rounding error of each mean: the exact mean is the sum of both.
    pub(crate) fn mean_low(&self) -> &[f64] {
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

    /// The size of the moments in memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 8 * (2 * self.mean.len() + self.comoment.len())
    }

    /// Checks moments that were read from outside.
    ///
    /// # Errors
    /// [`DamagedArtifact`](crate::error::reason::DAMAGED_ARTIFACT) when they cannot be the moments of any finite rows.
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

    /// Checks the diagonal only: by the Cauchy-Schwarz inequality it bounds the other entries.
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

    /// The moments of a chunk of complete rows, in two passes that centre it in place; `products` is d x d of scratch space.
    pub(super) fn of_chunk(mut chunk: ArrayViewMut2<'_, f64>, products: &mut Array2<f64>) -> Self {
        let d = chunk.ncols();
        let n = chunk.nrows() as f64;
        let mut moments = Self::new(d);
        moments.n = chunk.nrows() as u64;
        let shift = chunk.row(0).to_vec();
        let mut sum = vec![0.0; d];
        for mut row in chunk.rows_mut() {
            for ((x, shift), sum) in row.iter_mut().zip(&shift).zip(&mut sum) {
                *x -= shift;
                *sum += *x;
            }
        }
        let centre: Vec<f64> = sum.iter().map(|sum| sum / n).collect();
        let mut rest = vec![0.0; d];
        for mut row in chunk.rows_mut() {
            for ((x, centre), rest) in row.iter_mut().zip(&centre).zip(&mut rest) {
                *x -= centre;
                *rest += *x;
            }
        }
        general_mat_mul(1.0, &chunk.t(), &chunk, 0.0, products);
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

/// The number of entries in the lower triangle of a matrix of `d` rows, diagonal included; also the index where row `d` starts.
pub(crate) fn triangle(d: usize) -> usize {
    d * (d + 1) / 2
}
