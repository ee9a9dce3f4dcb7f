//! HBOS: the emptier the histogram bin of a value, the more anomalous it is; the score of a row sums over its features (Goldstein
//! and Dengel, "Histogram-based outlier score (HBOS): a fast unsupervised anomaly detection algorithm", 2012).
//!
//! The score is PyOD's: the sum over the features of -log2(density + alpha), with bins of equal width between the smallest and
//! the largest value. A value outside by at most `tol` times the width of the outermost bin counts as in that bin, one farther
//! out as in the emptiest bin. Densities are per unit of the feature, so the score depends on the unit.
//!
//! As in PyOD, a value on an edge is counted in the bin to its right and looked up in the one to its left. Unlike PyOD, the
//! value of a constant feature is counted where it is looked up, since it would otherwise fall in an empty bin. A range too
//! narrow for doubles to divide into that many bins has fewer.
//!
//! The histograms of a fit are exact, and so are those of an update while no feature has more than 8,192 distinct values;
//! with more, the counts below an edge carry the [error of the summary](crate::statistics::rank_summary). An update divides the
//! new range into new bins.
//!
//! Missing values are ignored in training.

use linfa::ParamGuard;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::lanes::{FeatureKernel, add_feature};
use super::method::linfa_fit;
use super::source::pass;
use super::{Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::ColumnError;
use crate::statistics::rank_summary::{Budget, ColumnStream, RankSummary, count_leading};

mod edge_counts;
mod histogram;
mod params;

use edge_counts::EdgeCounts;
use histogram::{Counts, Histogram};
pub use params::{
    DEFAULT_ALPHA, DEFAULT_N_BINS, DEFAULT_TOL, HbosParams, HbosValidParams, MAX_AUTO_BINS,
    MAX_N_BINS, NBins,
};

/// How many rows are looked up in one histogram before the next, so that their values stay in the cache.
const CHUNK_ROWS: usize = 1024;

/// How many look-ups are interleaved.
const LANES: usize = 8;

/// An upper bound on the base-2 logarithm of any double.
const MAX_SCORE: f64 = 1100.0;

linfa_fit!(HbosValidParams => Hbos);

/// A fitted HBOS detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hbos {
    params: HbosParams,
    /// The ranks of each feature's values.
    ranks: Vec<RankSummary>,
    /// The number of bins of each feature.
    #[serde(with = "crate::le_bytes")]
    n_bins: Vec<u32>,
    /// The edges of each feature's bins in turn, ascending.
    #[serde(with = "crate::le_bytes")]
    edges: Vec<f64>,
    /// The score of a value in each of the bins of each feature in turn, and after them of a value far outside.
    #[serde(with = "crate::le_bytes")]
    scores: Vec<f64>,
}

impl Hbos {
    /// Learns from a source, on top of what an earlier detector learned.
    fn learn(
        params: &HbosValidParams,
        earlier: Option<&Self>,
        source: &dyn RowSource,
        context: &Context,
    ) -> Result<Self> {
        check_n_bins(params, source.n_features())?;
        let mut stream = ColumnStream::<RankSummary>::new(source.n_features());
        pass(source, context, &mut |_, chunk| {
            stream.push(chunk.observed, context)
        })?;
        let mut ranks = stream.finish(context)?;
        let mut histograms = Vec::new();
        if let Some(earlier) = earlier {
            for (ranks, earlier) in ranks.iter_mut().zip(&earlier.ranks) {
                context.check()?;
                ranks.merge(earlier)?;
            }
        } else {
            histograms = counted_histograms(&ranks, params, source, context)?;
        }
        if let Some(column) = ranks.iter().position(|ranks| ranks.n() == 0) {
            return Err(ColumnError::no_values(column).into());
        }
        histograms.resize(ranks.len(), None);
        let budget = Budget::default();
        let features = ranks
            .into_par_iter()
            .zip(histograms)
            .map(|(mut ranks, counted)| {
                context.check()?;
                let histogram = match counted {
                    Some(histogram) => histogram,
                    None => histogram(&ranks, &|x| ranks.below(x), params, context)?,
                };
                ranks.compress();
                budget.take(ranks.size_bytes() + 2 * 8 * histogram.edges.len())?;
                Ok((ranks, histogram))
            })
            .collect::<Result<Vec<_>>>()?;
        let n_edges = features.iter().map(|(_, h)| h.edges.len()).sum();
        let mut learned = Self {
            params: params.clone().into(),
            ranks: Vec::with_capacity(features.len()),
            n_bins: Vec::with_capacity(features.len()),
            edges: Vec::with_capacity(n_edges),
            scores: Vec::with_capacity(n_edges),
        };
        for (ranks, histogram) in features {
            learned.ranks.push(ranks);
            learned.n_bins.push(histogram.edges.len() as u32 - 1);
            learned.edges.extend(histogram.edges);
            learned.scores.extend(histogram.scores);
        }
        Ok(learned)
    }

    /// Whether the edges of each feature ascend, given that there are as many as the numbers of bins require.
    fn edges_ascend(&self) -> bool {
        let mut edges = self.edges.as_slice();
        self.n_bins.iter().all(|&n_bins| {
            let (own, next) = edges.split_at(n_bins as usize + 1);
            edges = next;
            own.is_sorted_by(|a, b| a < b)
        })
    }
}

/// The histogram of the values of a rank summary, given how many of them lie below a number.
fn histogram(
    ranks: &RankSummary,
    below: &dyn Fn(f64) -> f64,
    params: &HbosValidParams,
    context: &Context,
) -> Result<Histogram> {
    let counts = Counts {
        range: ranks.range().unwrap_or_default(),
        n: ranks.n() as f64,
        below,
    };
    Histogram::new(&counts, params, context)
}

/// Exact histograms of the columns whose rank summaries are approximate, in as few passes as memory allows.
fn counted_histograms(
    ranks: &[RankSummary],
    params: &HbosValidParams,
    source: &dyn RowSource,
    context: &Context,
) -> Result<Vec<Option<Histogram>>> {
    let mut histograms = vec![None; ranks.len()];
    let is_open = |&column: &usize| !ranks[column].is_exact();
    let open: Vec<usize> = (0..ranks.len()).filter(is_open).collect();
    let columns_a_pass = edge_counts::columns_a_pass(histogram::most_edges_asked(params));
    for columns in open.chunks(columns_a_pass) {
        let ask = |&column: &usize| {
            context.check()?;
            let ranks = &ranks[column];
            let range = ranks.range().unwrap_or_default();
            let edges = histogram::edges_asked(range, ranks.n() as f64, params);
            Ok(EdgeCounts::new(column, ranks.n(), edges))
        };
        let mut counts = columns.par_iter().map(ask).collect::<Result<Vec<_>>>()?;
        edge_counts::count_all(&mut counts, source, context)?;
        let learned = counts.par_iter().map(|counts| {
            let ranks = &ranks[counts.column()];
            histogram(ranks, &|x| counts.below(x), params, context)
        });
        let learned = learned.collect::<Result<Vec<_>>>()?;
        for (&column, histogram) in columns.iter().zip(learned) {
            histograms[column] = Some(histogram);
        }
    }
    Ok(histograms)
}

/// The bins of one feature, with the score of a value in each of them and then that of a value far outside.
struct FeatureBins<'a> {
    edges: &'a [f64],
    table: &'a [f64],
    tol: f64,
}

impl FeatureKernel for FeatureBins<'_> {
    fn add<const N: usize>(&self, values: [f64; N], sums: &mut [f64]) {
        let Self { edges, table, tol } = self;
        let last = edges.len() - 1;
        // the number of edges below a value gives its bin; bins include their right edge, and the first one also its left
        let counts = count_leading::<N>(edges, |lane, edge| edge < values[lane]);
        for ((count, x), sum) in counts.into_iter().zip(values).zip(sums) {
            *sum += if (1..=last).contains(&count) {
                table[count - 1]
            } else {
                let (distance, bin) = if count == 0 {
                    (edges[0] - x, 0)
                } else {
                    (x - edges[last], last - 1)
                };
                let is_near = distance <= (edges[bin + 1] - edges[bin]) * tol;
                table[if is_near { bin } else { last }]
            };
        }
    }
}

impl Detector for Hbos {
    fn n_features(&self) -> usize {
        self.n_bins.len()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.n_features();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        scores.fill(0.0);
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            return;
        };
        for (rows, scores) in values
            .chunks(CHUNK_ROWS * d)
            .zip(scores.chunks_mut(CHUNK_ROWS))
        {
            let (mut edges, mut tables) = (self.edges.as_slice(), self.scores.as_slice());
            for (feature, &n_bins) in self.n_bins.iter().enumerate() {
                let (own, next) = edges.split_at(n_bins as usize + 1);
                edges = next;
                let (table, next) = tables.split_at(n_bins as usize + 1);
                tables = next;
                let bins = FeatureBins {
                    edges: own,
                    table,
                    tol: self.params.tol(),
                };
                add_feature::<LANES>(&bins, d, feature, rows, scores);
            }
        }
    }

    fn size_bytes(&self) -> usize {
        let ranks: usize = self.ranks.iter().map(RankSummary::size_bytes).sum();
        let numbers = self.edges.len() + self.scores.len();
        size_of::<Self>() + ranks + 4 * self.n_bins.len() + 8 * numbers
    }

    fn validate(&self) -> Result<()> {
        self.ranks.iter().try_for_each(RankSummary::validate)?;
        let n_edges: usize = self.n_bins.iter().map(|&n_bins| n_bins as usize + 1).sum();
        let fits = self.params.check_ref().is_ok()
            && self.ranks.iter().all(|ranks| ranks.n() > 0)
            && self.ranks.len() == self.n_bins.len()
            && self.n_bins.iter().all(|n| (1..=MAX_N_BINS).contains(n))
            && self.edges.len() == n_edges
            && self.scores.len() == n_edges
            && self.edges.iter().all(|edge| edge.is_finite())
            && self.scores.iter().all(|score| score.abs() <= MAX_SCORE)
            && self.edges_ascend();
        if !fits {
            let message = "the parts of the hbos detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

impl Method for Hbos {
    type Params = HbosParams;

    const NAME: &'static str = "hbos";

    const STREAMS: bool = true;

    /// Takes two passes over the rows. One is enough if no column has more than 32,768 distinct values (fewer if there are more
    /// than 16 columns, but at least 8,192). If the number of bins is automatic, every seven columns with more values after the
    /// first seven take one more pass.
    fn fit(
        params: &HbosValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let n = rows.n_rows();
        if n < 2 {
            let message = format!("there are {n} rows; at least 2 are needed");
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        Self::learn(params, None, rows, context).map(Learned::plain)
    }

    /// Merges the rank summaries, which equal those of a fit on the union up to their stated error, and rebuilds the histograms
    /// from them.
    fn update(
        &self,
        _: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.observed, self.n_features())?;
        Self::learn(self.params.check_ref()?, Some(self), &sample, context).map(Learned::plain)
    }

    fn params(&self) -> &HbosParams {
        &self.params
    }
}

/// Refuses histograms that would take more than 1 GiB.
fn check_n_bins(params: &HbosValidParams, d: usize) -> Result<()> {
    if let NBins::Count(count) = params.n_bins()
        && d.saturating_mul(2 * 8 * (count as usize + 1)) > 1 << 30
    {
        let message =
            format!("{count} bins for each of {d} columns take more than 1 GiB; give fewer bins");
        return Err(Error::new(reason::INVALID_PARAMETER, message).at("n_bins"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
