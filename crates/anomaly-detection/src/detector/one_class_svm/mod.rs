//! One-class SVM (Schölkopf, Platt, Shawe-Taylor, Smola and Williamson, "Estimating the Support of a High-Dimensional
//! Distribution", Neural Computation 13, 2001).
//!
//! In the feature space of a kernel k it finds the hyperplane that separates most rows from the origin with the largest margin.
//! The score of a row x is `rho - sum_i alpha_i k(x_i, x)`, the negative of scikit-learn's `decision_function`: it is above 0
//! outside the boundary. A row of weight w counts as w copies of it, so that its coefficient is from 0 to w; all coefficients
//! sum to nu times the sum of the weights.
//!
//! Kernels are computed in f32; for the rbf kernel the rows are first centred in f64, while the others keep the origin. Equal
//! rows are merged into one with the sum of their weights, and the rows are sorted, so that their order has no influence. The
//! problem of the sigmoid kernel is not convex, so that another solver may find another solution.

mod compute;
mod frame;
mod params;
mod points;
mod rows;
mod similarity;
mod smo;
mod solve;
mod steps;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{MAX_DEGREE, OneClassSvmParams, OneClassSvmValidParams, SvmGamma, SvmKernel};

use super::method::linfa_fit;
use super::source::all_rows;
use super::{
    DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features,
};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use compute::{add_kernels, tiles, total};
use frame::{Frame, Visitor, resolve_gamma};
use points::{LANES, Points};
use rows::DistinctRows;
use similarity::Similarity;
use solve::{Problem, Solution};

/// The largest magnitude of the coefficients and of rho in a valid model.
const MAX_NUMBER: f64 = 1e30;

/// How many rows are compared with a tile of support vectors at once.
const MIN_CHUNK: usize = 32;

/// About how many kernel values a chunk of rows takes: a few milliseconds.
const CHUNK_PAIRS: usize = 1 << 22;

/// A fitted one-class SVM. Scores are the negative of scikit-learn's `decision_function`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneClassSvm {
    params: OneClassSvmParams,
    /// The factor of the kernel, which was resolved from the parameters on the rows of the first fit.
    gamma: f64,
    frame: Frame,
    /// The scaled support vectors; for a linear kernel only their weighted mean.
    support: Points,
    /// The coefficient of each support vector, and 0 for the padding of the last block.
    #[serde(with = "crate::le_bytes")]
    coefficients: Vec<f64>,
    rho: f64,
}

linfa_fit!(OneClassSvmValidParams => OneClassSvm);

impl OneClassSvmValidParams {
    /// Fits on weighted past rows and the rows of a sample, with the given gamma or that of the parameters.
    fn fit_rows(
        &self,
        past: Option<PastRows<'_>>,
        sample: Sample<'_>,
        gamma: Option<f64>,
        context: &Context,
    ) -> Result<OneClassSvm> {
        let rows = DistinctRows::new(past.as_ref(), &sample, context)?;
        let gamma = match gamma {
            Some(gamma) => gamma,
            None => resolve_gamma(self.gamma(), &rows, context)?,
        };
        let (frame, points) = Frame::learn(self, gamma, &rows, context)?;
        let solution = frame.form().visit(Solve {
            points: &points,
            caps: rows.weights(),
            sum: self.nu() * rows.weights().iter().sum::<f64>(),
            tol: self.tol() / frame.score_unit(),
            context,
        })?;
        let support: Vec<u32> = (0..points.n_rows() as u32)
            .filter(|&i| solution.alpha[i as usize] > 0.0)
            .collect();
        let mut coefficients: Vec<f64> = support
            .iter()
            .map(|&i| solution.alpha[i as usize])
            .collect();
        let mut support = points.pick(&support);
        if self.kernel() == SvmKernel::Linear {
            (support, coefficients) = support.weighted_mean(&coefficients);
        }
        coefficients.resize(support.n_padded_rows(), 0.0);
        Ok(OneClassSvm {
            params: self.clone().into(),
            gamma,
            frame,
            support,
            coefficients,
            rho: solution.rho,
        })
    }
}

/// Solves for the coefficients, generic over the kernel.
struct Solve<'a> {
    points: &'a Points,
    caps: &'a [f64],
    sum: f64,
    tol: f64,
    context: &'a Context,
}

impl Visitor for Solve<'_> {
    type Output = Result<Solution>;

    fn visit<S: Similarity>(self, kernel: S) -> Self::Output {
        let Self {
            points,
            caps,
            sum,
            tol,
            context,
        } = self;
        Problem {
            kernel,
            points,
            caps,
            sum,
            tol,
            context,
        }
        .solve()
    }
}

/// Scores rows, generic over the kernel.
struct Score<'a> {
    svm: &'a OneClassSvm,
    rows: ArrayView2<'a, f64>,
    scores: &'a mut [f64],
}

impl Visitor for Score<'_> {
    type Output = ();

    fn visit<S: Similarity>(self, kernel: S) {
        let Self { svm, rows, scores } = self;
        let d = svm.frame.n_features();
        let rows = rows.as_standard_layout();
        let Some(values) = rows.as_slice() else {
            return;
        };
        let mut projected = vec![0.0; MIN_CHUNK.min(scores.len()) * d];
        let chunks = values.chunks(MIN_CHUNK * d);
        for (rows, scores) in chunks.zip(scores.chunks_mut(MIN_CHUNK)) {
            let projected = &mut projected[..rows.len()];
            for (row, out) in rows.chunks_exact(d).zip(projected.chunks_exact_mut(d)) {
                svm.frame.project(row, out);
            }
            let mut sums = [[0.0; LANES]; MIN_CHUNK];
            let sums = &mut sums[..scores.len()];
            for tile in tiles(&svm.support, &svm.coefficients) {
                add_kernels(kernel, tile, projected, sums);
            }
            for (score, sums) in scores.iter_mut().zip(sums) {
                *score = (svm.rho - total(sums)) * svm.frame.score_unit();
            }
        }
    }
}

impl Detector for OneClassSvm {
    fn n_features(&self) -> usize {
        self.frame.n_features()
    }

    fn chunk_rows(&self) -> usize {
        (CHUNK_PAIRS / self.support.n_padded_rows().max(1)).clamp(MIN_CHUNK, 1024)
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features()),
            "a score for each row, of the model's features"
        );
        self.frame.form().visit(Score {
            svm: self,
            rows: rows.view(),
            scores,
        });
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.frame.size_bytes()
            + 4 * self.support.values().len()
            + 8 * self.coefficients.len()
    }

    fn validate(&self) -> Result<()> {
        let is_number = |x: f64| x.abs() <= MAX_NUMBER;
        let n = self.support.n_rows();
        let fits = self.params.check_ref().is_ok()
            && self.gamma > 0.0
            && self.gamma.is_finite()
            && self.n_features() > 0
            && self.frame.is_sound()
            && self.frame.suits(&self.params)
            && self.support.is_sound()
            && self.support.n_features() == self.n_features()
            && self.coefficients.len() == self.support.n_padded_rows()
            && self.coefficients.iter().all(|&x| is_number(x))
            && self.coefficients[n..].iter().all(|&x| x == 0.0)
            && is_number(self.rho);
        if !fits {
            let message = "the parts of the one-class svm do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

impl Method for OneClassSvm {
    type Params = OneClassSvmParams;

    const NAME: &'static str = "one_class_svm";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &OneClassSvmValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params
            .fit_rows(None, all_rows(rows, Self::NAME)?, None, context)
            .map(Learned::plain)
    }

    /// Fits again on the weighted past rows and the rows of the sample. Gamma stays the same.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        self.params
            .check_ref()?
            .fit_rows(Some(past), sample, Some(self.gamma), context)
            .map(Learned::plain)
    }

    fn params(&self) -> &OneClassSvmParams {
        &self.params
    }
}
