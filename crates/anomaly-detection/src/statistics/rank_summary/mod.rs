//! A mergeable summary that answers how many values of a feature lie at or below, or at or above, any number.
//!
//! A summary of up to [`MAX_EXACT`] distinct values is exact. A larger one is compressed to at most half as many. For each value
//! that it keeps, it then knows a lower and an upper bound on the number of values up to it. A run of neighbouring values is
//! combined only if the gap between these bounds is at most a fraction of the number of values that certainly lie on either
//! side of the run. This is the biased guarantee of Cormode, Korn, Muthukrishnan and Srivastava, "Effective computation of
//! biased quantiles over data streams" (2005), for both tails at once: counted from either end, the relative error of a count
//! is at most [`error`](RankSummary::error). A rank far out in a tail is therefore as good as one in the middle, and the
//! outermost values stay exact. A compression uses the smallest error that makes the summary small enough: about 0.3 % for a
//! hundred thousand distinct values and 0.5 % for a million.
//!
//! When summaries are merged, both their counts and the gaps between their bounds add up, so that the error of the result is
//! at most the larger of the two, and each compression bounds the gap as a whole, including that of earlier ones. The error
//! therefore does not accumulate over updates.

mod columns;
mod search;
mod sort;
mod sorted;
mod stream;

pub(crate) use columns::Budget;
pub(crate) use search::count_leading;
pub(crate) use stream::ColumnStream;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The most distinct values that a summary keeps without compressing.
pub const MAX_EXACT: usize = 8192;

/// The most values that a summary may count. Nobody can have counted more one by one, and a double would not hold the number
/// exactly.
const MAX_COUNT: u64 = 1 << 53;

/// How many errors a compression chooses from: powers of 2 in steps of 1/8, from 2^-20 to 2^7.
const ERROR_STEPS: usize = 27 * 8;

/// A summary of the values of one feature, all finite.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RankSummary {
    /// Distinct values, ascending.
    #[serde(with = "crate::le_bytes")]
    values: Vec<f64>,
    /// An upper bound on how many values lie at or below each of them.
    #[serde(with = "crate::le_bytes")]
    most: Vec<u64>,
    /// A lower bound on how many values lie at or below each of them; empty while the summary is exact, when it equals `most`.
    #[serde(with = "crate::le_bytes")]
    least: Vec<u64>,
}

impl RankSummary {
    /// How many values it summarises.
    pub fn n(&self) -> u64 {
        self.most.last().copied().unwrap_or(0)
    }

    /// The distinct values that it keeps, ascending; the first and the last are the smallest and the largest of all.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The smallest and the largest value; `None` for an empty summary.
    pub fn range(&self) -> Option<(f64, f64)> {
        Some((*self.values.first()?, *self.values.last()?))
    }

    /// How many values lie at or below the `index`-th of [`values`](Self::values), counted from 0; as many lie below the next
    /// one.
    ///
    /// # Panics
    /// If there is no such value.
    pub fn count(&self, index: usize) -> f64 {
        let (least, most) = (self.least()[index], self.most[index]);
        // the middle is off by at most half the gap
        0.5 * (least as f64 + most as f64)
    }

    /// How many values lie below `x`.
    pub fn below(&self, x: f64) -> f64 {
        self.leading(self.values.partition_point(|&value| value < x))
    }

    /// Whether it has no error.
    pub fn is_exact(&self) -> bool {
        self.least.is_empty()
    }

    /// The largest error of any count relative to that count, whether counted from below or from above; 0 while exact.
    pub fn error(&self) -> f64 {
        let n = self.n();
        let bounds = self.least().iter().zip(&self.most);
        bounds
            .filter(|(least, most)| least < most)
            .map(|(&least, &most)| 0.5 * (most - least) as f64 / least.min(n - most) as f64)
            .fold(0.0, f64::max)
    }

    /// Adds the values of another summary, without compressing.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when both together hold more values than can be counted exactly.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.n().saturating_add(other.n()) > MAX_COUNT {
            let message = "more than 2^53 values cannot be counted; train a new model";
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

    /// Its size in memory, in bytes.
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

    /// Bounds for the `rank`-th to the `last`-th value, counted from 0 in ascending order: the nearest of
    /// [`values`](Self::values) that are certainly not above and not below them, and the most values that can lie strictly
    /// between these two. `None` when there are not so many values.
    pub fn bracket(&self, rank: u64, last: u64) -> Option<(f64, f64, u64)> {
        if last >= self.n() {
            return None;
        }
        // at most `most[i]` values lie below the value after the i-th
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

    /// Combines values, with the smallest error that leaves at most `target` of them.
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
                // all values of the run may lie at its start, or none before its end
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

    /// Calls `visit` in order with each run of values that may be combined within this error, until it returns false. Runs of
    /// two are left alone, because combining keeps two values of a run.
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

/// The smallest of the errors in [`ERROR_STEPS`] for which `is_enough` holds; `n` values and the `target` only guide the search.
fn smallest_error(n: u64, target: usize, is_enough: impl Fn(f64) -> bool) -> f64 {
    let error = |step: usize| (step as f64 / 8.0 - 20.0).exp2();
    // about how many are left if all values differ: single ones in the tails, then runs that grow with the distance to the end
    let left = |error: f64| 2.0 / error * (1.0 + (0.5 * error * n as f64).max(1.0).ln());
    let guess = (0..ERROR_STEPS).find(|&step| left(error(step)) <= target as f64);
    let mut middle = guess.unwrap_or(ERROR_STEPS - 1);
    // searched from the guess, in strides that grow until there is a bound on either side
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

/// The number of leading elements for which a monotone condition holds, in time logarithmic in that number (galloping search).
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

/// The count before an index; 0 before the first.
fn before(counts: &[u64], index: usize) -> u64 {
    index.checked_sub(1).map_or(0, |last| counts[last])
}

#[cfg(test)]
mod tests;
