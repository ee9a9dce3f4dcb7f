//! Summarises a sorted column without copying it.

use std::ops::Range;

use super::{MAX_EXACT, RankSummary, gallop, smallest_error};

impl RankSummary {
    /// The summary of values in ascending order: exact up to [`MAX_EXACT`] distinct values, otherwise compressed.
    pub fn of_sorted(sorted: &[f64]) -> Self {
        Self::of_sorted_within(sorted, MAX_EXACT)
    }

    /// The same with `most` distinct values instead of [`MAX_EXACT`].
    pub(super) fn of_sorted_within(sorted: &[f64], most: usize) -> Self {
        let steps = sorted.windows(2).filter(|pair| pair[0] != pair[1]);
        if steps.count() < most {
            Self::exact(sorted)
        } else {
            Self::compressed(sorted, most / 2)
        }
    }

    /// A summary of all distinct values, however many.
    pub(super) fn exact(sorted: &[f64]) -> Self {
        let mut summary = Self::default();
        let mut count = 0;
        while count < sorted.len() {
            // adding 0 turns -0 into 0
            summary.values.push(sorted[count] + 0.0);
            count = end_of_equals(sorted, count);
            summary.most.push(count as u64);
        }
        summary
    }

    /// A summary of at most `target` values with the smallest error.
    pub(super) fn compressed(sorted: &[f64], target: usize) -> Self {
        let error = smallest_error(sorted.len() as u64, target, |error| {
            let mut left = 0;
            for_each_run(sorted, error, |_, is_combined| {
                left += if is_combined { 2 } else { 1 };
                left <= target
            });
            left <= target
        });
        let mut summary = Self::default();
        for_each_run(sorted, error, |run, is_combined| {
            let Range { start, end } = run;
            let mut push = |value: f64, least: usize| {
                summary.values.push(value + 0.0);
                summary.most.push(end as u64);
                summary.least.push(least as u64);
            };
            if is_combined {
                // all values of the run may lie at its start, or none before its end
                push(sorted[start], start);
            }
            push(sorted[end - 1], end);
            true
        });
        summary
    }
}

/// Calls `visit` in order with each run of values and whether it is to be combined within this error, until it returns false.
/// Equal values stay together, and runs of fewer than three distinct values are not combined.
fn for_each_run(sorted: &[f64], error: f64, mut visit: impl FnMut(Range<usize>, bool) -> bool) {
    let n = sorted.len();
    let width = 2.0 * error;
    let mut start = 0;
    while start < n {
        // the largest end with end - start <= width * min(start, n - end)
        let (below, all) = (start as f64, n as f64);
        let farthest = (below * (1.0 + width)).min((below + width * all) / (1.0 + width)) as usize;
        let end = match sorted.get(farthest) {
            Some(&next) => {
                let run = &sorted[start..farthest.max(start)];
                start + run.partition_point(|&value| value < next)
            }
            None => n,
        };
        let equals = end_of_equals(sorted, start);
        let is_combined = end > equals && end > end_of_equals(sorted, equals);
        let end = if is_combined { end } else { equals };
        if !visit(start..end, is_combined) {
            return;
        }
        start = end;
    }
}

/// The end of the run of values that equal the one at `start`.
fn end_of_equals(sorted: &[f64], start: usize) -> usize {
    start + gallop(&sorted[start..], |value| value == sorted[start])
}
