//! Logistic regression with a quadratic penalty (Hastie, Tibshirani, Friedman: "The Elements of Statistical Learning", 2nd
//! edition, 4.4): the score of a row is the probability that it is an anomaly.
//!
//! The objective is scikit-learn's: `c` times the weighted sum of the log losses, plus half the sum of the squared coefficients;
//! the intercept is not penalised. Newton's method finds its minimum, so that the coefficients do not depend on the start, and an
//! update is a fit that starts from the known coefficients.
//!
//! Probabilities near 0 keep their relative precision; the largest is the largest double below 1. Values are clamped to 1e150 in
//! magnitude.

mod design;
mod factor;
mod kernels;
mod newton;
mod params;

use linfa::ParamGuard as _;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{LogisticRegressionParams, LogisticRegressionValidParams};

use self::design::{Design, MAX_VALUE, Source};
use self::newton::Stop;
use super::method::linfa_fit;
use super::source::all_rows;
use super::{
    DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features,
};
use crate::calibration::Policy;
use crate::context::Context;
use crate::detector::dot::dot;
use crate::error::{Error, Result, reason};

/// The largest magnitude of a coefficient, so that no sum of products overflows.
const MAX_COEFFICIENT: f64 = 1e150;

/// The largest magnitude of the log-odds at the mean.
const MAX_LOG_ODDS: f64 = 1e300;

/// When the search for a starting point on fewer rows stops: at a step of a tenth, which leaves a smaller error than the distance
/// between its minimum and that over all rows.
const ROUGH_TOL: f64 = 10.0;
const MAX_ROUGH_ITER: u32 = 20;

linfa_fit!(LogisticRegressionValidParams => LogisticRegression, supervised);

/// A fitted logistic regression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    params: LogisticRegressionParams,
    #[serde(with = "crate::le_bytes")]
    coefficients: Vec<f64>,
    /// The mean of each feature, which is subtracted first, so that large offsets cost no precision.
    #[serde(with = "crate::le_bytes")]
    centers: Vec<f64>,
    /// The log-odds at the mean.
    log_odds: f64,
    converged: bool,
    n_iter: u32,
}

impl LogisticRegression {
    /// The d coefficients: how much the log-odds grow with each feature.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The log-odds where every feature is 0.
    pub fn intercept(&self) -> f64 {
        self.log_odds - dot(&self.coefficients, &self.centers)
    }

    /// Whether the last fit or update converged within its iterations.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// How many iterations the last fit or update took.
    pub fn n_iter(&self) -> u32 {
        self.n_iter
    }

    fn learn(
        params: &LogisticRegressionValidParams,
        known: Option<&Self>,
        sources: &[Source<'_>],
        context: &Context,
    ) -> Result<Self> {
        let design = Design::new(sources, params, context)?;
        let d = design.units.len();
        let mut cold = vec![0.0; d + 1];
        cold[d] = design.log_odds;
        let mut starts = vec![cold];
        if let Some(known) = known {
            let coefficients = known.coefficients.iter().zip(&design.units);
            let mut warm: Vec<f64> = coefficients.map(|(x, unit)| x * unit).collect();
            let centers = design.centers.iter().zip(&known.centers);
            let moved: Vec<f64> = centers.map(|(new, old)| new - old).collect();
            warm.push(known.log_odds + dot(&known.coefficients, &moved));
            starts.push(warm);
        }
        let stop = Stop {
            tol: params.tol(),
            max_iter: params.max_iter(),
        };
        if let Some(thinned) = design.thinned() {
            let rough = Stop {
                tol: ROUGH_TOL,
                max_iter: params.max_iter().min(MAX_ROUGH_ITER),
            };
            starts = vec![newton::minimize(&thinned, &starts, rough, context)?.point];
        }
        let solution = newton::minimize(&design.problem(), &starts, stop, context)?;
        let bounded = |x: f64, bound: f64| {
            if x.is_nan() {
                0.0
            } else {
                x.clamp(-bound, bound)
            }
        };
        let (log_odds, coefficients) = solution.point.split_last().unwrap_or((&0.0, &[]));
        Ok(Self {
            params: params.clone().into(),
            coefficients: coefficients
                .iter()
                .zip(&design.units)
                .map(|(x, unit)| bounded(x / unit, MAX_COEFFICIENT))
                .collect(),
            centers: design.centers,
            log_odds: bounded(*log_odds, MAX_LOG_ODDS),
            converged: solution.converged,
            n_iter: solution.n_iter,
        })
    }

    /// The probability that a row of d values is an anomaly.
    fn probability(&self, row: &[f64]) -> f64 {
        const LANES: usize = 4;
        let (coefficients, coefficients_rest) = self.coefficients.as_chunks::<LANES>();
        let (centers, centers_rest) = self.centers.as_chunks::<LANES>();
        let (values, values_rest) = row.as_chunks::<LANES>();
        let term = |coefficient: f64, center: f64, x: f64| {
            coefficient * (x.clamp(-MAX_VALUE, MAX_VALUE) - center)
        };
        let mut lanes = [0.0; LANES];
        for ((coefficients, centers), values) in coefficients.iter().zip(centers).zip(values) {
            for k in 0..LANES {
                lanes[k] += term(coefficients[k], centers[k], values[k]);
            }
        }
        let rest = coefficients_rest.iter().zip(centers_rest).zip(values_rest);
        for (k, ((&coefficient, &center), &x)) in rest.enumerate() {
            lanes[k] += term(coefficient, center, x);
        }
        let [a, b, c, d] = lanes;
        sigmoid(self.log_odds + ((a + b) + (c + d)))
    }
}

/// The probability for these log-odds, above 0 and below 1.
fn sigmoid(log_odds: f64) -> f64 {
    let e = (-log_odds.abs()).exp();
    let probability = if log_odds < 0.0 { e } else { 1.0 } / (1.0 + e);
    probability.clamp(f64::MIN_POSITIVE, 1.0 - 0.5 * f64::EPSILON)
}

fn source<'a>(
    rows: ArrayView2<'a, f64>,
    labels: Option<&'a [bool]>,
    weights: [f64; 2],
) -> Result<Source<'a>> {
    let labels = labels.unwrap_or_default();
    if labels.len() != rows.nrows() {
        let message = format!(
            "there are {} labels for {} rows; logistic_regression needs one for each row",
            labels.len(),
            rows.nrows()
        );
        return Err(Error::new(reason::UNUSABLE_ROWS, message));
    }
    Ok(Source {
        rows,
        labels,
        weights,
    })
}

impl Detector for LogisticRegression {
    fn n_features(&self) -> usize {
        self.coefficients.len()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.n_features();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let rows = rows.as_standard_layout();
        let values = rows.as_slice().unwrap_or_default();
        for (row, score) in values.chunks_exact(d.max(1)).zip(scores) {
            *score = self.probability(row);
        }
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + 8 * (self.coefficients.len() + self.centers.len())
    }

    fn validate(&self) -> Result<()> {
        let within = |values: &[f64], bound: f64| values.iter().all(|x| x.abs() <= bound);
        let fits = self.params.check_ref().is_ok()
            && !self.coefficients.is_empty()
            && self.centers.len() == self.coefficients.len()
            && within(&self.coefficients, MAX_COEFFICIENT)
            && within(&self.centers, MAX_VALUE)
            && within(&[self.log_odds], MAX_LOG_ODDS);
        if !fits {
            let message = "the parts of the logistic_regression detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

impl Method for LogisticRegression {
    type Params = LogisticRegressionParams;

    const NAME: &'static str = "logistic_regression";

    const SUPERVISED: bool = true;

    /// Flags rows that are more likely anomalies than not.
    fn default_policy() -> Policy {
        Policy::Threshold(0.5)
    }

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    /// Fits on `sample.rows` and their labels.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] unless each row has a label, both classes have rows and there are columns, and for rows that
    /// take more than 1 GiB; and those of [`Context::check`].
    fn fit(
        params: &LogisticRegressionValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let sample = all_rows(rows, Self::NAME)?;
        if sample.rows.ncols() == 0 {
            return Err(Error::new(
                reason::UNUSABLE_ROWS,
                "the rows have no columns",
            ));
        }
        let sources = [source(sample.rows.view(), sample.labels, [1.0; 2])?];
        Self::learn(params, None, &sources, context).map(Learned::plain)
    }

    /// Fits on past and new rows together, with the past rows weighted by the rows that they stand for.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        let mut sources = vec![source(sample.rows.view(), sample.labels, [1.0; 2])?];
        if past.rows.nrows() > 0 {
            check_n_features(past.rows, self.n_features())?;
            sources.push(source(past.rows.view(), past.labels, past.class_weights())?);
        }
        Self::learn(self.params.check_ref()?, Some(self), &sources, context).map(Learned::plain)
    }

    fn params(&self) -> &LogisticRegressionParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
