//! Multivariate Gaussian: the score of a row is its Mahalanobis distance from the mean (Mahalanobis 1936).
//!
//! The distance is taken in standardised units: with z the z-scores of a row, R the correlation matrix, and L the Cholesky
//! factor of R + ridge I, it is the length of the solution y of L y = z. The ridge is therefore a fraction of each
//! feature's variance. With it, collinear columns and fewer rows than columns can be learned from. A constant column is
//! uncorrelated with all others and has the scale 1e-12 max(1, |mean|). Z-scores are clamped to 1e100 in magnitude and
//! distances to the root of the largest double, so that everything stays finite.

use std::f64::consts::PI;

use linfa::ParamGuard;
use linfa_linalg::cholesky::CholeskyInplace;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::lanes::{RowKernel, score_rows};
use super::method::linfa_fit;
use super::params::params;
use super::source::pass;
use super::{
    Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features, is_constant, scale,
    z_score,
};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::moments::{Moments, MomentsStream, triangle};

/// The default ridge.
pub const DEFAULT_RIDGE: f64 = 1e-6;

/// The maximum number of features: time grows with its cube, memory with its square.
pub const MAX_FEATURES: usize = 2048;

/// How many rows are solved at once: enough independent sums to keep the floating-point units busy.
const LANES: usize = 16;

params! {
    /// The parameters of [`Gaussian`].
    GaussianParams => GaussianValidParams {
        /// Added to the diagonal of the correlation matrix: a fraction of each feature's variance, 0 to 1.
        ridge, with_ridge: f64 = DEFAULT_RIDGE,
    }
}

impl GaussianValidParams {
    fn check_values(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.ridge) {
            let message = format!("the ridge is {:?}; it must be from 0 to 1", self.ridge);
            return Err(Error::new(reason::INVALID_PARAMETER, message).at("ridge"));
        }
        Ok(())
    }
}

impl GaussianValidParams {
    /// Fits on the complete rows, in one pass.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] for more than [`MAX_FEATURES`] columns, for fewer than two complete rows, for a column
    /// whose variance is not finite (as a [`ColumnError`](crate::statistics::ColumnError)), and if the ridge is too small for
    /// columns that depend on each other; and those of [`Context::check`].
    pub fn fit_rows(&self, source: &dyn RowSource, context: &Context) -> Result<Gaussian> {
        let d = source.n_features();
        if d > MAX_FEATURES {
            let message = format!(
                "the rows have {d} columns; a gaussian detector learns at most {MAX_FEATURES}, leave some out or take another detector"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let mut moments = MomentsStream::new(d);
        pass(source, context, &mut |_, chunk| {
            moments.push(chunk.observed, context)
        })?;
        Gaussian::from_moments(self, moments.finish(context)?, context)
    }
}

linfa_fit!(GaussianValidParams => Gaussian);

/// A fitted multivariate Gaussian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    params: GaussianParams,
    moments: Moments,
    /// The scale of each feature.
    #[serde(with = "crate::le_bytes")]
    std: Vec<f64>,
    /// The Cholesky factor of the regularised correlation matrix: its lower triangle, row by row.
    #[serde(with = "crate::le_bytes")]
    factor: Vec<f64>,
}

/// The distance and the density of one row under a [`Gaussian`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianRow {
    /// The Mahalanobis distance from the mean, which is the score.
    pub mahalanobis: f64,
    /// The natural logarithm of the density, in the units of the rows.
    pub log_density: f64,
    /// The density; 0 or infinity if it leaves the range of a double.
    pub density: f64,
    /// The density divided by that at the mean: exp(-d^2 / 2).
    pub normalized_density: f64,
}

impl Gaussian {
    fn from_moments(
        params: &GaussianValidParams,
        moments: Moments,
        context: &Context,
    ) -> Result<Self> {
        if moments.n() < 2 {
            let message = format!(
                "{} rows have a value in every column; at least 2 are needed",
                moments.n()
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        context.check()?;
        let d = moments.n_features();
        let n = (moments.n() - 1) as f64;
        let deviations: Vec<f64> = (0..d)
            .map(|i| (moments.comoment(i, i) / n).sqrt())
            .collect();
        let constant: Vec<bool> = deviations.iter().map(|&std| is_constant(std)).collect();
        let mut matrix = Array2::from_shape_fn((d, d), |(i, j)| {
            if i == j {
                1.0 + params.ridge
            } else if constant[i] || constant[j] {
                0.0
            } else {
                let covariance = moments.comoment(i, j) / n;
                (covariance / (deviations[i] * deviations[j])).clamp(-1.0, 1.0)
            }
        });
        let dependent = || {
            let message = format!(
                "columns depend on each other, or there are too few rows, for a ridge of {}; give a larger gaussian.ridge",
                params.ridge
            );
            Error::new(reason::UNUSABLE_ROWS, message)
        };
        matrix
            .cholesky_inplace_dirty()
            .map_err(|error| dependent().because(error))?;
        // below this, the residual variance is rounding error
        let rounding = d as f64 * f64::EPSILON;
        if matrix.diag().iter().any(|&x| x * x <= rounding) {
            return Err(dependent());
        }
        context.check()?;
        let mut factor = Vec::with_capacity(triangle(d));
        for (i, row) in matrix.rows().into_iter().enumerate() {
            factor.extend(row.iter().take(i + 1));
        }
        let std = deviations
            .iter()
            .zip(moments.mean())
            .map(|(&std, &mean)| scale(std, mean))
            .collect();
        Ok(Self {
            params: params.clone().into(),
            moments,
            std,
            factor,
        })
    }

    /// The moments of the complete rows.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The distance and the density of a row of d finite values.
    ///
    /// # Panics
    /// If the row has another number of features.
    pub fn explain(&self, row: &[f64]) -> GaussianRow {
        assert_eq!(row.len(), self.std.len(), "number of features");
        let mut mahalanobis = [0.0];
        let mut solution = vec![[0.0; 1]; row.len()];
        self.score::<1>(row, &mut solution, &mut mahalanobis);
        let [mahalanobis] = mahalanobis;
        let squared = mahalanobis * mahalanobis;
        let log_std: f64 = self.std.iter().map(|std| std.ln()).sum();
        let log_factor: f64 = self.diagonal().map(f64::ln).sum();
        let log_volume = 0.5 * row.len() as f64 * (2.0 * PI).ln() + log_std + log_factor;
        let log_density = -0.5 * squared - log_volume;
        GaussianRow {
            mahalanobis,
            log_density,
            density: log_density.exp(),
            normalized_density: (-0.5 * squared).exp(),
        }
    }

    fn mean(&self, i: usize) -> (f64, f64) {
        (self.moments.mean()[i], self.moments.mean_low()[i])
    }

    fn diagonal(&self) -> impl Iterator<Item = f64> {
        (0..self.std.len()).map(|i| self.factor[triangle(i) + i])
    }
}

impl RowKernel for Gaussian {
    /// The distances of `N` rows by forward substitution.
    fn score<const N: usize>(
        &self,
        rows: &[f64],
        solution: &mut [[f64; N]],
        distances: &mut [f64],
    ) {
        let d = self.std.len();
        let mut squared = [0.0; N];
        let mut factor = self.factor.as_slice();
        for i in 0..d {
            let (weights, next) = factor.split_at(i + 1);
            factor = next;
            let (solved, unsolved) = solution.split_at_mut(i);
            let (mean, std) = (self.mean(i), self.std[i]);
            let mut rest: [f64; N] = std::array::from_fn(|k| z_score(rows[k * d + i], mean, std));
            for (&weight, solved) in weights.iter().zip(solved) {
                for k in 0..N {
                    rest[k] -= weight * solved[k];
                }
            }
            for k in 0..N {
                rest[k] /= weights[i];
                squared[k] += rest[k] * rest[k];
            }
            unsolved[0] = rest;
        }
        for (distance, squared) in distances.iter_mut().zip(squared) {
            // `min` returns the other number if a hostile model makes one NaN
            *distance = squared.min(f64::MAX).sqrt();
        }
    }
}

impl Detector for Gaussian {
    fn n_features(&self) -> usize {
        self.std.len()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.std.len();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            scores.fill(0.0);
            return;
        };
        score_rows::<LANES>(self, d, values, scores);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.moments.size_bytes() + 8 * (self.std.len() + self.factor.len())
    }

    fn validate(&self) -> Result<()> {
        self.moments.validate()?;
        let d = self.moments.n_features();
        let fits = self.params.check_ref().is_ok()
            && self.moments.n() >= 2
            && self.std.len() == d
            && self.factor.len() == triangle(d)
            && self.std.iter().all(|std| std.is_normal() && *std > 0.0)
            && self.factor.iter().all(|x| x.is_finite())
            && self.diagonal().all(|x| x.is_normal() && x > 0.0);
        if !fits {
            let message = "the parts of the gaussian detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }

    fn z_scores(&self, row: &[f64]) -> Option<Vec<f64>> {
        assert_eq!(row.len(), self.std.len(), "number of features");
        let z = |(i, &x): (usize, &f64)| z_score(x, self.mean(i), self.std[i]);
        Some(row.iter().enumerate().map(z).collect())
    }
}

impl Method for Gaussian {
    type Params = GaussianParams;

    const NAME: &'static str = "gaussian";

    const STREAMS: bool = true;

    /// Takes one pass over the rows.
    fn fit(
        params: &GaussianValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params.fit_rows(rows, context).map(Learned::plain)
    }

    /// Merges the moments exactly: they equal those of a fit on the union.
    fn update(
        &self,
        _: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.observed, self.moments.n_features())?;
        let mut moments = self.moments.clone();
        moments.merge(&Moments::of(sample.observed, context)?)?;
        Self::from_moments(self.params.check_ref()?, moments, context).map(Learned::plain)
    }

    fn params(&self) -> &GaussianParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
