//! How many of the values of a feature lie at or below, and at or above, any number: a mergeable summary.
//!
//! A summary of up to [`MAX_EXACT`] distinct values is exact. A larger one is compressed to half of that. What it keeps then
//! is, for each of its values, the least and the most that the number of values up to it can be; runs of neighbouring values
//! are combined only where the gap between the two is at most a fraction of the number of values on either side of the run
//! that are certain. This is the biased guarantee of Cormode, Korn, Muthukrishnan and Srivastava, "Effective computation of
//! biased quantiles over data streams" (2005), for both tails at once: the relative error of a count is at most
//! [`error`](RankSummary::error) at either end, so that a rank in a far tail is as good as one in the middle, and the
//! outermost values stay exact. A compression takes the smallest error with which the summary is small enough: about 0.3 %
//! for a hundred thousand distinct values and 0.5 % for a million.
//!
//! The bounds of merged summaries add up, those of the counts as well as those of their gaps: a merge never makes the error
//! larger than the larger of the two, and a compression holds all earlier ones to its own limit. The error therefore does
//! not add up over updates, and is read off the bounds whenever it is asked for.

mod columns;
mod search;
mod sort;
mod sorted;
mod stream;

pub use columns::Budget;
pub use search::count_leading;
pub use stream::{ColumnStream, SortedParts};

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The most distinct values of a summary without error.
pub const MAX_EXACT: usize = 8192;

/// How many values a compression leaves at most.
#[cfg(test)]
const COMPRESSED: usize = MAX_EXACT / 2;

/// More values than this cannot have been counted one by one, and would not fit a double exactly.
const MAX_COUNT: u64 = 1 << 53;

/// The steps in which a compression looks for its error: eighths of an octave from 2^-20 to 2^7.
const ERROR_STEPS: usize = 27 * 8;

/// A summary of the values of one feature, all finite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RankSummary {
    /// Distinct values, ascending.
    #[serde(with = "crate::le_bytes")]
    values: Vec<f64>,
    /// At most how many values lie at or below each of them.
    #[serde(with = "crate::le_bytes")]
    most: Vec<u64>,
    /// At least how many values lie at or below each of them; empty while the summary is exact, because it equals `most`.
    #[serde(with = "crate::le_bytes")]
    least: Vec<u64>,
}

impl RankSummary {
    /// How many values it has seen.
    pub fn n(&self) -> u64 {
        self.most.last().copied().unwrap_or(0)
    }

    /// The values that it tells apart, ascending; the first and the last are the smallest and the largest that it has seen.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The smallest and the largest value; `None` when it has seen none.
    pub fn range(&self) -> Option<(f64, f64)> {
        Some((*self.values.first()?, *self.values.last()?))
    }

    /// How many values lie at or below the `index`-th of [`values`](Self::values), counted from 0, and below the next one.
    ///
    /// # Panics
    /// If there is no such value.
    pub fn count(&self, index: usize) -> f64 {
        let (least, most) = (self.least()[index], self.most[index]);
        // the middle errs by half at most
        0.5 * (least as f64 + most as f64)
    }

    /// How many values lie at or below `x`.
    pub fn at_most(&self, x: f64) -> f64 {
        self.leading(self.values.partition_point(|&value| value <= x))
    }

    /// How many values lie below `x`.
    pub fn below(&self, x: f64) -> f64 {
        self.leading(self.values.partition_point(|&value| value < x))
    }

    /// How many values lie at or above `x`.
    pub fn at_least(&self, x: f64) -> f64 {
        self.n() as f64 - self.below(x)
    }

    /// Whether it has no error.
    pub fn is_exact(&self) -> bool {
        self.least.is_empty()
    }

    /// The largest error of any count, relative to the count itself, be it from below or from above; 0 while exact.
    pub fn error(&self) -> f64 {
        let n = self.n();
        let bounds = self.least().iter().zip(&self.most);
        bounds
            .filter(|(least, most)| least < most)
            .map(|(&least, &most)| 0.5 * (most - least) as f64 / least.min(n - most) as f64)
            .fold(0.0, f64::max)
    }

    /// Adds what another summary has seen, without compressing.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when they have seen more values together than can be counted exactly.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.n().saturating_add(other.n()) > MAX_COUNT {
            let message = "more values than 2^53 cannot be counted; train a new model";
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let exact = self.is_exact() && other.is_exact();
        let mut merged = Self::default();
        let (mut i, mut j) = (0, 0);
        let (mut most, mut least) = ([0; 2], [0; 2]);
        loop {
            let value = match (self.values.get(i), other.values.get(j)) {
                (Some(&a), Some(&b)) => a.min(b),
                (Some(&a), None) => a,
                (None, Some(&b)) => b,
                (None, None) => break,
            };
            for (k, (summary, index)) in [(self as &Self, &mut i), (other, &mut j)]
                .into_iter()
                .enumerate()
            {
                if summary.values.get(*index) == Some(&value) {
                    most[k] = summary.most[*index];
                    least[k] = summary.least()[*index];
                    *index += 1;
                }
            }
            merged.values.push(value);
            merged.most.push(most[0] + most[1]);
            if !exact {
                merged.least.push(least[0] + least[1]);
            }
        }
        *self = merged;
        Ok(())
    }

    /// Compresses a summary of more than [`MAX_EXACT`] values; leaves a smaller one as it is.
    pub fn compress(&mut self) {
        self.compress_within(MAX_EXACT);
    }

    /// Compresses a summary of more than `most` values to half of that; leaves a smaller one as it is.
    fn compress_within(&mut self, most: usize) {
        if self.values.len() > most {
            self.compress_to(most / 2);
        }
        self.values.shrink_to_fit();
        self.most.shrink_to_fit();
        self.least.shrink_to_fit();
    }

    /// The bytes that it takes in memory.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 8 * (self.values.len() + self.most.len() + self.least.len())
    }

    /// Checks a summary that was read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when its parts do not fit together.
    pub fn validate(&self) -> Result<()> {
        let Self {
            values,
            most,
            least,
        } = self;
        let rising = |counts: &[u64]| counts.is_sorted() && counts.first() != Some(&0);
        let fits = values.len() == most.len()
            && (least.is_empty() || least.len() == most.len())
            && values.iter().all(|value| value.is_finite())
            && values.is_sorted_by(|a, b| a < b)
            && rising(most)
            && rising(least)
            && least.iter().zip(most).all(|(least, most)| least <= most)
            && self.least().first() == most.first()
            && self.least().last() == most.last()
            && self.n() <= MAX_COUNT;
        if !fits {
            let message = "the parts of the rank summary do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }

    /// Where the `rank`-th to the `last`-th value lie, counted from 0 in ascending order: the nearest of
    /// [`values`](Self::values) that are certainly not above and not below them, and how many values there can be strictly
    /// between the two. `None` when it has not seen so many.
    pub fn bracket(&self, rank: u64, last: u64) -> Option<(f64, f64, u64)> {
        if last >= self.n() {
            return None;
        }
        // at most `most[i]` values lie below the one after the i-th
        let low = self.most.partition_point(|&most| most <= rank);
        let least = self.least();
        let high = least.partition_point(|&least| least <= last).max(low);
        let between = before(&self.most, high).saturating_sub(least[low]);
        Some((self.values[low], self.values[high], between))
    }

    fn least(&self) -> &[u64] {
        if self.least.is_empty() {
            &self.most
        } else {
            &self.least
        }
    }

    /// How many values lie at or below the last of the first `length` values.
    fn leading(&self, length: usize) -> f64 {
        length.checked_sub(1).map_or(0.0, |last| self.count(last))
    }

    /// Combines values with the smallest error with which at most `target` are left.
    fn compress_to(&mut self, target: usize) {
        let error = smallest_error(self.n(), target, |error| {
            let mut left = 0;
            self.for_each_run(error, |run| {
                left += run.len().min(2);
                left <= target
            });
            left <= target
        });
        let mut compressed = Self::default();
        let least = self.least();
        self.for_each_run(error, |run| {
            let (first, last) = (run.start, run.end - 1);
            if first < last {
                // that all of the run may lie at its beginning, or none before its end
                compressed.values.push(self.values[first]);
                compressed.most.push(self.most[last]);
                compressed.least.push(before(least, first));
            }
            compressed.values.push(self.values[last]);
            compressed.most.push(self.most[last]);
            compressed.least.push(least[last]);
            true
        });
        *self = compressed;
    }

    /// Calls `visit` with each run of values that may be combined with this error, in order, until it says to stop. A run of
    /// two is not combined, since two values of a run are kept.
    fn for_each_run(&self, error: f64, mut visit: impl FnMut(Range<usize>) -> bool) {
        let (least, n) = (self.least(), self.n());
        let mut start = 0;
        while start < self.most.len() {
            let below = before(least, start);
            let rest = &self.most[start..];
            let length = gallop(rest, |most| {
                let certain = below.min(n - most);
                (most - below) as f64 <= 2.0 * error * certain as f64
            });
            let end = start + if length > 2 { length } else { 1 };
            if !visit(start..end) {
                return;
            }
            start = end;
        }
    }
}

/// The smallest error, of those that compressions try, that is large enough for `n` values to be combined to `target`.
fn smallest_error(n: u64, target: usize, is_enough: impl Fn(f64) -> bool) -> f64 {
    let error = |step: usize| (step as f64 / 8.0 - 20.0).exp2();
    // about how many are left where all differ: single ones in the tails, then runs that grow with the distance to the end
    let left = |error: f64| 2.0 / error * (1.0 + (0.5 * error * n as f64).max(1.0).ln());
    let guess = (0..ERROR_STEPS).find(|&step| left(error(step)) <= target as f64);
    let mut middle = guess.unwrap_or(ERROR_STEPS - 1);
    // looked for around it, in strides that grow until there is a bound on either side
    let (mut low, mut high) = (0, ERROR_STEPS);
    let mut stride = 1;
    while low < high {
        if is_enough(error(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
        middle = match (low > 0, high < ERROR_STEPS) {
            (true, true) => (low + high) / 2,
            (true, false) => (middle + stride).min(ERROR_STEPS - 1),
            (false, _) => middle.saturating_sub(stride),
        };
        stride *= 2;
    }
    error(high)
}

/// How many of the leading elements satisfy a condition that holds for none after one for which it does not, in time that
/// grows with the logarithm of the answer.
fn gallop<T: Copy>(elements: &[T], holds: impl Fn(T) -> bool) -> usize {
    let mut bound = 1;
    while elements
        .get(bound - 1)
        .is_some_and(|&element| holds(element))
    {
        bound *= 2;
    }
    let rest = &elements[bound / 2..elements.len().min(bound)];
    bound / 2 + rest.partition_point(|&element| holds(element))
}

fn before(counts: &[u64], index: usize) -> u64 {
    index.checked_sub(1).map_or(0, |last| counts[last])
}

#[cfg(test)]
mod tests;
