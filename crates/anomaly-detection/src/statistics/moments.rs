//! Mergeable moments: merging the moments of two sets of rows gives those of their union.
//!
//! They are merged pairwise as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
//! variances" (1979). Each chunk of rows is centred first on one of its own rows and then on its mean, and the mean is kept as
//! an unevaluated sum of two doubles, so that an offset of 1e9 costs no digits of the variance. A column whose values are all
//! equal has a second moment of exactly 0.

mod feature;
mod joint;
mod stream;

pub use feature::FeatureMoments;
pub use joint::Moments;
pub(crate) use joint::triangle;
pub use stream::{FeatureMomentsStream, MomentsStream};

use crate::error::{Error, reason};

/// How many rows are centred at a time, so few that they stay in the cache between the two passes.
const CHUNK_ROWS: usize = 1024;

/// The most rows that moments may count. Nobody can have counted more one by one, and a double would not hold the number exactly.
pub(super) const MAX_ROWS: u64 = 1 << 53;

/// A mean as an unevaluated sum of two doubles.
#[derive(Debug, Clone, Copy)]
struct Mean {
    high: f64,
    low: f64,
}

impl Mean {
    /// `a + b` without rounding error.
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        Self {
            high,
            low: rounding_error(a, b, high),
        }
    }

    fn minus(self, other: Self) -> f64 {
        (self.high - other.high) + (self.low - other.low)
    }

    fn plus(self, step: f64) -> Self {
        Self::sum(self.high, self.low + step)
    }
}

/// By how much `a + b` exceeds its rounded value `sum` (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B).
pub(super) fn rounding_error(a: f64, b: f64, sum: f64) -> f64 {
    let b_rounded = sum - a;
    (a - (sum - b_rounded)) + (b - b_rounded)
}

/// A sum of squares less the correction for an inexact centre: never below 0, and NaN if it is NaN.
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
    Error::new(reason::DAMAGED_ARTIFACT, message)
}

#[cfg(test)]
mod tests;
