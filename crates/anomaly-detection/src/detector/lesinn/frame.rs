//! The scaling of coordinates, which is learned at the fit and then fixed. Values are centred and scaled in double precision and
//! then rounded to single precision.

use ndarray::ArrayView1;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::random::{log_1p, spread_rows};
use crate::context::Context;
use crate::detector::source::Rows;
use crate::error::Result;
use crate::statistics::quantile::quantile;

/// Coordinates are clamped to this magnitude, so that no distance overflows: 65,536 squares of twice as much fit in an `f32`.
pub(super) const LIMIT: f64 = 1e15;

/// The maximum number of rows for quantiles.
const MAX_ROWS: usize = 1 << 15;

/// The maximum number of values for quantiles, over all columns; but at least [`MIN_ROWS`] rows.
const MAX_VALUES: usize = 1 << 23;

/// See [`MAX_VALUES`].
const MIN_ROWS: usize = 1 << 10;

/// How many columns are gathered in one pass over the rows.
const COLUMNS: usize = 8;

/// The interquartile range of the standard normal distribution.
const NORMAL_IQR: f64 = 1.349;

/// A spread below this fraction of another counts as 0.
const NEGLIGIBLE: f64 = 1e-9;

/// The transformation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::detector) enum Form {
    /// `(x - median) / sqrt(robust * deviation)`, where `robust` is the interquartile range over 1.349 and `deviation` the
    /// standard deviation of the values clamped to their 1st and 99th percentile: halfway between a scale that ignores the
    /// tails and one that follows them.
    Balanced,
    /// `sign(r) ln(1 + |r|)` of `r = (x - median) / robust`: tails count by their order of magnitude.
    Logarithmic,
}

/// The scale of each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::detector) struct Frame {
    form: Form,
    #[serde(with = "crate::le_bytes")]
    centre: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    divisor: Vec<f64>,
}

impl Frame {
    /// Learns the scale of rows, n x d, from at most [`MAX_ROWS`] of them that are spread over all, in parallel on rayon's
    /// current pool.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(in crate::detector) fn learn(
        form: Form,
        rows: Rows<'_>,
        random_state: u64,
        context: &Context,
    ) -> Result<Self> {
        let d = rows.ncols();
        let chosen = Self::chosen_rows(rows.nrows(), d, random_state);
        let scales: Vec<(f64, f64)> = (0..d.div_ceil(COLUMNS))
            .into_par_iter()
            .map(|block| {
                let first = block * COLUMNS;
                let last = (first + COLUMNS).min(d);
                let mut columns = vec![Vec::with_capacity(chosen.len()); last - first];
                for &row in &chosen {
                    let row = rows.row(row);
                    for (column, &x) in columns.iter_mut().zip(row.iter().skip(first)) {
                        column.push(x);
                    }
                }
                let mut scales = Vec::with_capacity(columns.len());
                for mut column in columns {
                    context.check()?;
                    scales.push(scale(form, &mut column));
                }
                Ok(scales)
            })
            .collect::<Result<Vec<_>>>()?
            .concat();
        let (centre, divisor) = scales.into_iter().unzip();
        Ok(Self {
            form,
            centre,
            divisor,
        })
    }

    /// The indices of the rows among n x d that the scale is learned from.
    pub(super) fn chosen_rows(n: usize, d: usize, random_state: u64) -> Vec<usize> {
        let most = (MAX_VALUES / d.max(1)).clamp(MIN_ROWS, MAX_ROWS);
        spread_rows(n, most, random_state)
    }

    pub(in crate::detector) fn n_features(&self) -> usize {
        self.centre.len()
    }

    /// Calls `put` with the index and the coordinate of each value of a finite row, clamped to [`LIMIT`] in magnitude.
    pub(in crate::detector) fn coordinates(
        &self,
        row: ArrayView1<'_, f64>,
        mut put: impl FnMut(usize, f64),
    ) {
        let scaled = row.iter().zip(&self.centre).zip(&self.divisor);
        match self.form {
            Form::Balanced => {
                for (i, ((&x, &centre), &divisor)) in scaled.enumerate() {
                    put(i, ((x - centre) / divisor).clamp(-LIMIT, LIMIT));
                }
            }
            Form::Logarithmic => {
                for (i, ((&x, &centre), &divisor)) in scaled.enumerate() {
                    put(i, signed_log((x - centre) / divisor));
                }
            }
        }
    }

    pub(in crate::detector) fn size_bytes(&self) -> usize {
        2 * 8 * self.centre.len()
    }

    /// Whether a stored scaling can be used.
    pub(in crate::detector) fn is_sound(&self) -> bool {
        !self.centre.is_empty()
            && self.centre.len() == self.divisor.len()
            && self.centre.iter().all(|x| x.is_finite())
            && self.divisor.iter().all(|x| x.is_finite() && *x > 0.0)
    }
}

/// The centre and the divisor of a column of at least one finite value.
fn scale(form: Form, column: &mut [f64]) -> (f64, f64) {
    let mut at = |q: f64| quantile(column, q).unwrap_or(0.0);
    let [first, quarter, centre, three_quarters, last] = [0.01, 0.25, 0.5, 0.75, 0.99].map(&mut at);
    let mut deviation = deviation(column, first, last);
    if deviation == 0.0 {
        deviation = self::deviation(column, f64::MIN, f64::MAX);
    }
    // halves, because a difference may overflow
    let robust = (0.5 * three_quarters - 0.5 * quarter) * (2.0 / NORMAL_IQR);
    let robust = if robust <= NEGLIGIBLE * deviation {
        deviation
    } else {
        robust
    };
    let divisor = match form {
        Form::Balanced => robust.sqrt() * deviation.sqrt(),
        Form::Logarithmic => robust,
    };
    if divisor == 0.0 {
        return (centre, 1.0);
    }
    // a spread within the rounding error of the values is meaningless
    let rounding = 4.0 * f64::EPSILON * centre.abs();
    (centre, divisor.min(f64::MAX).max(rounding))
}

/// The population standard deviation of the values clamped to `low..=high`, in units of half their range, so that no square
/// overflows or vanishes.
fn deviation(column: &[f64], low: f64, high: f64) -> f64 {
    let clamped = || column.iter().map(|x| x.clamp(low, high));
    let least = clamped().fold(f64::INFINITY, f64::min);
    let most = clamped().fold(f64::NEG_INFINITY, f64::max);
    let half = 0.5 * most - 0.5 * least;
    if half.is_nan() || half <= 0.0 {
        return 0.0;
    }
    let relative = || clamped().map(|x| (0.5 * x - 0.5 * least) / half);
    let n = column.len() as f64;
    let mean = relative().sum::<f64>() / n;
    let variance = relative().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    // the relative values range over 0 to 1, and `half` is half the range
    (2.0 * variance.sqrt()) * half
}

/// `sign(r) ln(1 + |r|)`, finite even for an infinite `r`.
fn signed_log(r: f64) -> f64 {
    log_1p(r.abs().min(1e300)).copysign(r)
}
