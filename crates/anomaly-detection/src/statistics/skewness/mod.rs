//! Mergeable third central moments, and the skewness that follows from them.
//!
//! They are merged by the formulas of Pébay, "Formulas for robust, one-pass parallel computation of covariances and
//! arbitrary-order statistical moments" (2008). The moments are kept in units of a power of two near the spread of the
//! values, so that no cube overflows, and the mean as a sum of two doubles, so that a large offset costs no digits. A column
//! whose values are all equal has moments of exactly 0.

mod moments;

use super::moments::rounding_error;
use super::power_of_two::power_of_two;

pub(crate) use moments::ThirdMoments;

/// A skewness up to this in absolute value counts as 0 with rounding errors.
const ROUNDING: f64 = 1e-9;

/// The smallest unit, whose inverse is still finite.
const MIN_SCALE: f64 = f64::from_bits(23 << 52);

/// The largest power of two.
const MAX_SCALE: f64 = f64::from_bits(2046 << 52);

/// The number, the mean, and the second and third central moments of the values of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ThirdMoment {
    n: u64,
    mean: f64,
    /// The rounding error of the mean: the exact mean is the sum of both.
    mean_low: f64,
    /// The unit of the moments, a power of two.
    scale: f64,
    /// The sum of squared deviations from the mean, in units of the squared scale.
    m2: f64,
    /// The sum of cubed deviations from the mean, in units of the cubed scale.
    m3: f64,
}

impl Default for ThirdMoment {
    /// The moments of no values.
    fn default() -> Self {
        Self {
            n: 0,
            mean: 0.0,
            mean_low: 0.0,
            scale: MIN_SCALE,
            m2: 0.0,
            m3: 0.0,
        }
    }
}

impl ThirdMoment {
    /// The moments of finite values in ascending order.
    pub(crate) fn of_sorted(sorted: &[f64]) -> Self {
        let n = sorted.len();
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
            return Self::default();
        };
        // the mean is within a standard deviation of the median, so that little cancels out below
        let median = sorted[n / 2];
        let scale = unit((high - median).max(median - low));
        let mut sums = [0.0; 3];
        for chunk in sorted.chunks(1024) {
            let mut partial = [[0.0; 3]; 4];
            for (i, &x) in chunk.iter().enumerate() {
                let y = difference(x, median, scale);
                let [s1, s2, s3] = &mut partial[i % 4];
                *s1 += y;
                *s2 += y * y;
                *s3 += y * y * y;
            }
            for partial in partial {
                for (sum, partial) in sums.iter_mut().zip(partial) {
                    *sum += partial;
                }
            }
        }
        let [s1, s2, s3] = sums;
        let count = n as f64;
        let shift = s1 / count;
        let (mean, mean_low) = shifted((median, 0.0), shift, scale);
        Self {
            n: n as u64,
            mean,
            mean_low,
            scale,
            m2: (s2 - shift * s1).max(0.0),
            m3: s3 - 3.0 * shift * s2 + 2.0 * shift * shift * s1,
        }
    }

    /// The moments of the values of both.
    #[must_use]
    pub(crate) fn merge(self, other: Self) -> Self {
        if self.n == 0 || other.n == 0 {
            return if self.n == 0 { other } else { self };
        }
        let distance = (other.mean - self.mean) + (other.mean_low - self.mean_low);
        let scale = unit(distance.abs()).max(self.scale).max(other.scale);
        let delta = difference(other.mean, self.mean, scale)
            + difference(other.mean_low, self.mean_low, scale);
        let (a, b) = (self.n as f64, other.n as f64);
        let n = a + b;
        let (share_a, share_b) = (a / n, b / n);
        let (a2, a3) = self.in_units_of(scale);
        let (b2, b3) = other.in_units_of(scale);
        let (mean, mean_low) = shifted((self.mean, self.mean_low), delta * share_b, scale);
        Self {
            n: self.n.saturating_add(other.n),
            mean,
            mean_low,
            scale,
            m2: a2 + b2 + delta * delta * a * share_b,
            m3: a3
                + b3
                + delta * delta * delta * a * share_b * (share_a - share_b)
                + 3.0 * delta * (share_a * b2 - share_b * a2),
        }
    }

    /// The third standardised moment without a correction for bias, as in `scipy.stats.skew`; 0 if all values are equal.
    pub(crate) fn skewness(self) -> f64 {
        let n = self.n as f64;
        let variance = self.m2 / n;
        if variance > 0.0 {
            self.m3 / n / (variance * variance.sqrt())
        } else {
            0.0
        }
    }

    /// Whether the skewness is 0 up to rounding errors.
    pub(crate) fn is_symmetric(self) -> bool {
        self.skewness().abs() <= ROUNDING
    }

    fn in_units_of(self, scale: f64) -> (f64, f64) {
        let ratio = self.scale / scale;
        (self.m2 * ratio * ratio, self.m3 * ratio * ratio * ratio)
    }
}

/// The power of two at or below a spread, within the range of units.
fn unit(spread: f64) -> f64 {
    power_of_two(spread).clamp(MIN_SCALE, MAX_SCALE)
}

/// `a - b` in units of a scale, even if the difference overflows.
fn difference(a: f64, b: f64, scale: f64) -> f64 {
    let unit = 1.0 / scale;
    let difference = a - b;
    if difference.is_finite() {
        difference * unit
    } else {
        a * unit - b * unit
    }
}

/// A mean plus a shift in units of a scale, even if the shift overflows.
fn shifted((mean, mean_low): (f64, f64), shift: f64, scale: f64) -> (f64, f64) {
    let step = shift * scale;
    if step.is_finite() {
        return sum_of_two(mean, mean_low + step);
    }
    let quarter = 0.25 * mean + 0.25 * shift * scale;
    ((4.0 * quarter).clamp(-f64::MAX, f64::MAX), 0.0)
}

/// `a + b` without rounding error, as a sum of two doubles.
fn sum_of_two(a: f64, b: f64) -> (f64, f64) {
    let high = (a + b).clamp(-f64::MAX, f64::MAX);
    let low = rounding_error(a, b, high);
    (high, if low.is_finite() { low } else { 0.0 })
}

#[cfg(test)]
mod tests;
