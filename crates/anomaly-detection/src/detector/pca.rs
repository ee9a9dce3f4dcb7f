//! Principal components: the score of a row is the sum of its squared projections on the components, each over the
//! component's eigenvalue (Shyu, Chen, Sarinnapakorn, Chang: "A novel anomaly detection scheme based on principal component
//! classifier", 2003, section 3).
//!
//! The components are the eigenvectors of the sample covariance. One whose eigenvalue is at most 1e-12 of the largest is
//! rounding error and is dropped, so that collinear or constant columns and fewer rows than columns can be learned from. With all
//! components kept, the score is the squared Mahalanobis distance within the span of the rows. Deviations from the mean are
//! clamped to 1e100 standard deviations of the first component in each column, so that everything stays finite.

mod eigen;

use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::lanes::{RowKernel, score_rows};
use super::method::linfa_fit;
use super::params::params;
use super::row_order::content_order;
use super::source::pass;
use super::{
    DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features,
};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::moments::{Moments, MomentsStream};
use crate::statistics::rechunk::{Rechunk, long_chunk_rows};

/// The maximum number of features: time grows with its cube, memory with its square.
pub const MAX_FEATURES: usize = 2048;

/// A component whose eigenvalue is at most this share of the largest is dropped.
const RELATIVE_CUT: f64 = 1e-12;

/// The largest deviation from the mean, in standard deviations of the first component.
const MAX_DEVIATION: f64 = 1e100;

/// How many rows are projected at once: enough independent sums to keep the floating-point units busy.
const LANES: usize = 8;

/// How many rows are sorted at a time.
const GATHERED_ROWS: usize = 1 << 14;

params! {
    /// The parameters of [`Pca`].
    PcaParams => PcaValidParams {
        /// How many components with the largest eigenvalues to keep: 1 to the number of features. `None` keeps all.
        n_components, with_n_components: Option<usize> = None,
    }
}

impl PcaValidParams {
    fn check_values(&self) -> Result<()> {
        if self.n_components == Some(0) {
            let message = "n_components is 0; it must be from 1 to the number of features";
            return Err(invalid(message));
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at("n_components")
}

impl PcaValidParams {
    /// Fits on `sample.rows`.
    ///
    /// # Errors
    /// [`reason::INVALID_PARAMETER`] for more components than there are features; [`reason::UNUSABLE_ROWS`] for more than
    /// [`MAX_FEATURES`] columns, for fewer than two rows, for rows that are all equal, and, as a
    /// [`ColumnError`](crate::statistics::ColumnError), for a column whose variance is not finite; and those of
    /// [`Context::check`].
    pub fn fit_rows(&self, source: &dyn RowSource, context: &Context) -> Result<Pca> {
        let d = source.n_features();
        if d > MAX_FEATURES {
            let message = format!(
                "the rows have {d} columns; a pca detector learns at most {MAX_FEATURES}, leave some out or take another detector"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        if let Some(n_components) = self.n_components
            && n_components > d
        {
            let message =
                format!("n_components is {n_components}, but there are only {d} features");
            return Err(invalid(message));
        }
        Pca::from_moments(self, moments(source, context)?, context)
    }
}

linfa_fit!(PcaValidParams => Pca);

/// The moments of rows, n x d, in one pass. The rows of a long chunk are summed in an order that depends only on their values, so
/// that the order of rows has no influence within a chunk.
fn moments(source: &dyn RowSource, context: &Context) -> Result<Moments> {
    let d = source.n_features();
    let mut moments = MomentsStream::new(d);
    let mut chunks = Rechunk::new(d, long_chunk_rows(d));
    let mut gathered = Vec::new();
    let mut learn = |rows: ArrayView2<'_, f64>| {
        let order = content_order(rows, |_| false, context)?;
        let rows = rows.as_standard_layout();
        let values = rows.as_slice().unwrap_or_default();
        for indices in order.chunks(GATHERED_ROWS) {
            gathered.resize(indices.len() * d, 0.0);
            gathered
                .par_chunks_exact_mut(d)
                .zip(indices)
                .with_min_len(1024)
                .for_each(|(place, &i)| place.copy_from_slice(&values[i * d..(i + 1) * d]));
            let rows = ArrayView2::from_shape((indices.len(), d), &gathered);
            moments.push(rows.map_err(not_rows)?, context)?;
        }
        Ok(())
    };
    pass(source, context, &mut |_, chunk| {
        chunks.push(chunk.rows, &mut learn)
    })?;
    chunks.finish(&mut learn)?;
    moments.finish(context)
}

fn not_rows(error: ndarray::ShapeError) -> Error {
    Error::new(reason::INTERNAL, "gathered values are not whole rows").because(error)
}

/// Fitted principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    params: PcaParams,
    moments: Moments,
    /// The eigenvalues of the kept components, in descending order.
    #[serde(with = "crate::le_bytes")]
    eigenvalues: Vec<f64>,
    /// The kept components, concatenated: each eigenvector times the root of the largest eigenvalue over its own.
    #[serde(with = "crate::le_bytes")]
    weights: Vec<f64>,
}

impl Pca {
    fn from_moments(params: &PcaValidParams, moments: Moments, context: &Context) -> Result<Self> {
        if moments.n() < 2 {
            let message = format!("there are {} rows; at least 2 are needed", moments.n());
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let d = moments.n_features();
        let largest = (0..d).fold(0.0, |largest: f64, i| largest.max(moments.comoment(i, i)));
        let n = (moments.n() - 1) as f64;
        if !(largest / n).is_normal() {
            let message = "the rows are all equal, or nearly so; rows that differ are needed";
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        context.check()?;
        let matrix = Array2::from_shape_fn((d, d), |(i, j)| moments.comoment(i, j) / largest);
        let eigen = eigen::eigen(matrix, context)?;
        context.check()?;
        let first = eigen.values[0];
        let keep = params.n_components.unwrap_or(d).min(d);
        let kept = eigen.values[..keep]
            .iter()
            .take_while(|&&value| value > RELATIVE_CUT * first)
            .count();
        let mut weights = Vec::with_capacity(kept * d);
        for (vector, value) in eigen.vectors.rows().into_iter().zip(&eigen.values[..kept]) {
            let weight = (first / value).sqrt();
            weights.extend(vector.iter().map(|x| x * weight));
        }
        let eigenvalues = eigen.values[..kept]
            .iter()
            .map(|value| value * (largest / n))
            .collect();
        Ok(Self {
            params: params.clone().into(),
            moments,
            eigenvalues,
            weights,
        })
    }

    /// The moments of the rows.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// The variances of the rows along the kept components, in descending order.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }
}

impl RowKernel for Pca {
    /// Scores `N` rows, with d values of scratch space. Each lane does the same operations in the same order for any `N`, so
    /// that the score of a row does not depend on its neighbours.
    fn score<const N: usize>(&self, rows: &[f64], deviations: &mut [[f64; N]], scores: &mut [f64]) {
        let d = deviations.len();
        let unit = self.eigenvalues[0].sqrt();
        let means = self.moments.mean().iter().zip(self.moments.mean_low());
        for (j, (deviation, (&mean, &mean_low))) in deviations.iter_mut().zip(means).enumerate() {
            for (k, deviation) in deviation.iter_mut().enumerate() {
                let x = rows[k * d + j];
                *deviation = (((x - mean) - mean_low) / unit).clamp(-MAX_DEVIATION, MAX_DEVIATION);
            }
        }
        let mut sums = [0.0; N];
        for component in self.weights.chunks_exact(d) {
            let mut projection = [0.0; N];
            for (&weight, deviation) in component.iter().zip(deviations.iter()) {
                for k in 0..N {
                    projection[k] += weight * deviation[k];
                }
            }
            for k in 0..N {
                sums[k] += projection[k] * projection[k];
            }
        }
        for (score, sum) in scores.iter_mut().zip(sums) {
            // `min` returns the other number if a hostile model makes one NaN
            *score = sum.min(f64::MAX);
        }
    }
}

impl Detector for Pca {
    fn n_features(&self) -> usize {
        self.moments.n_features()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.n_features();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            scores.fill(0.0);
            return;
        };
        score_rows::<LANES>(self, d, values, scores);
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.moments.size_bytes()
            + 8 * (self.eigenvalues.len() + self.weights.len())
    }

    fn validate(&self) -> Result<()> {
        self.moments.validate()?;
        let d = self.moments.n_features();
        let kept = self.eigenvalues.len();
        let fits = self.params.check_ref().is_ok()
            && self.moments.n() >= 2
            && (1..=self.params.n_components().unwrap_or(d).min(d)).contains(&kept)
            && Some(self.weights.len()) == kept.checked_mul(d)
            && self.eigenvalues.iter().all(|x| x.is_finite() && *x > 0.0)
            && self.eigenvalues.is_sorted_by(|a, b| a >= b)
            && self.weights.iter().all(|x| x.is_finite());
        if !fits {
            let message = "the parts of the pca detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

impl Method for Pca {
    type Params = PcaParams;

    const NAME: &'static str = "pca";

    const STREAMS: bool = true;

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    /// Takes one pass over the rows.
    fn fit(
        params: &PcaValidParams,
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
        check_n_features(sample.rows, self.n_features())?;
        let mut merged = self.moments.clone();
        merged.merge(&moments(&sample, context)?)?;
        Self::from_moments(self.params.check_ref()?, merged, context).map(Learned::plain)
    }

    fn params(&self) -> &PcaParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
