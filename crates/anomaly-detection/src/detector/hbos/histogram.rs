//! The histogram of one feature and the scores of its bins.

use super::params::{HbosValidParams, MAX_AUTO_BINS, NBins};
use crate::context::Context;
use crate::error::Result;

/// The distribution of the values of one feature, at least one.
pub(super) struct Counts<'a> {
    /// The smallest and the largest value.
    pub(super) range: (f64, f64),
    /// The number of values.
    pub(super) n: f64,
    /// How many values lie below a number.
    pub(super) below: &'a dyn Fn(f64) -> f64,
}

/// The histogram of one feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// The edges of the bins, ascending: one more than there are bins.
    pub(super) edges: Vec<f64>,
    /// The score of each bin, followed by that of a value far outside.
    pub(super) scores: Vec<f64>,
}

impl Histogram {
    pub(super) fn new(
        values: &Counts<'_>,
        params: &HbosValidParams,
        context: &Context,
    ) -> Result<Self> {
        let &Counts { range, n, .. } = values;
        let n_bins = match params.n_bins() {
            NBins::Count(count) => count as usize,
            NBins::Auto => auto_bins(values, context)?,
        };
        let edges = distinct_edges(range, n_bins);
        let mut counts: Vec<f64> = counts(values, &edges).collect();
        if range.0 == range.1 {
            // counted in the bin that it is looked up in, not in the one to the right of the edge
            counts.fill(0.0);
            counts[edges.partition_point(|&edge| edge < range.0).max(1) - 1] = n;
        }
        let mut scores: Vec<f64> = counts
            .into_iter()
            .zip(edges.windows(2))
            .map(|(count, edge)| {
                let density = count / (edge[1] - edge[0]) / n;
                // a bin may be too narrow for a finite density
                -(density.min(f64::MAX) + params.alpha()).log2()
            })
            .collect();
        scores.push(scores.iter().copied().fold(f64::MIN, f64::max));
        Ok(Self { edges, scores })
    }
}

/// The largest number of edges that [`edges_asked`] gives.
pub(super) fn most_edges_asked(params: &HbosValidParams) -> usize {
    let most = MAX_AUTO_BINS as usize;
    match params.n_bins() {
        NBins::Count(count) => count as usize + 1,
        NBins::Auto => most * (most + 3) / 2,
    }
}

/// All edges whose counts a histogram needs, for `n` values in a range.
pub(super) fn edges_asked(range: (f64, f64), n: f64, params: &HbosValidParams) -> Vec<f64> {
    match params.n_bins() {
        NBins::Count(count) => distinct_edges(range, count as usize),
        NBins::Auto => (1..auto_bound(n))
            .map(|n_bins| distinct_edges(range, n_bins))
            .collect::<Vec<_>>()
            .concat(),
    }
}

/// How many values lie in each bin, as `numpy.histogram` counts: only the last bin includes its right edge.
fn counts(values: &Counts<'_>, edges: &[f64]) -> impl Iterator<Item = f64> {
    let last = edges.len() - 1;
    let mut before = 0.0;
    edges[1..].iter().zip(1..).map(move |(&edge, i)| {
        let count = if i == last {
            values.n
        } else {
            (values.below)(edge)
        };
        count - std::mem::replace(&mut before, count)
    })
}

/// The edges of this many bins over a range of values, as from `numpy.linspace`; fewer if doubles cannot distinguish that many.
/// The range of a constant is widened by 0.5 either way, or by more if 0.5 is too little to change it.
fn distinct_edges((mut low, mut high): (f64, f64), mut n_bins: usize) -> Vec<f64> {
    if low == high {
        let margin = (low.abs() * (f64::EPSILON * n_bins as f64)).max(0.5);
        low = (low - margin).max(-f64::MAX);
        high = (high + margin).min(f64::MAX);
    }
    loop {
        let edges = edges(low, high, n_bins);
        if n_bins <= 1 || edges.is_sorted_by(|a, b| a < b) {
            return edges;
        }
        n_bins /= 2;
    }
}

fn edges(low: f64, high: f64, n_bins: usize) -> Vec<f64> {
    let step = (high - low) / n_bins as f64;
    let half_step = (0.5 * high - 0.5 * low) / n_bins as f64;
    let edge = |i: usize| {
        if i == n_bins {
            high
        } else if step.is_finite() {
            low + i as f64 * step
        } else {
            2.0 * (0.5 * low + i as f64 * half_step)
        }
    };
    (0..=n_bins).map(|i| edge(i).clamp(low, high)).collect()
}

/// The number of bins with the largest penalised likelihood, as in PyOD's `get_optimal_n_bins`: fewer than the root of the number
/// of values, with a penalty for each bin. Unlike there, at most [`MAX_AUTO_BINS`].
fn auto_bins(values: &Counts<'_>, context: &Context) -> Result<usize> {
    let &Counts { range, n, .. } = values;
    let mut best = (f64::MIN, 1);
    for n_bins in 1..auto_bound(n) {
        context.check()?;
        let edges = distinct_edges(range, n_bins);
        if edges.len() <= n_bins {
            // doubles cannot distinguish so many edges
            break;
        }
        let bins = n_bins as f64;
        let penalty = bins - 1.0 + bins.ln().powf(2.5);
        let likelihood: f64 = counts(values, &edges)
            .map(|count| count * (bins * count / n + 1.0).ln() - penalty)
            .sum();
        if likelihood > best.0 {
            best = (likelihood, n_bins);
        }
    }
    Ok(best.1)
}

/// The smallest number of bins that is no longer tried for `n` values.
fn auto_bound(n: f64) -> usize {
    (n.sqrt() as usize).clamp(2, MAX_AUTO_BINS as usize + 1)
}

#[cfg(test)]
mod tests;
