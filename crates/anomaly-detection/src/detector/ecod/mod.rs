//! ECOD: the farther out a value lies in a tail of its feature, the more anomalous it is; the score of a row sums over its
//! features (Li, Zhao, Hu, Botta, Ionescu and Chen, "ECOD: unsupervised outlier detection using empirical cumulative
//! distribution functions", 2022).
//!
//! The score is PyOD's: the sum over the features of the larger of -ln(share of values at or below this one) and -ln(share at
//! or above). Where the skewness is exactly 0, both count. (The paper lets the skewness choose the tail; since PyOD takes
//! the largest of the left, the right and the chosen tail for each feature, it decides nothing more than that.) A skewness
//! within 1e-9 counts as 0.
//!
//! Unlike PyOD's, the score of a row does not depend on the other rows of its batch: shares are taken among the training
//! values. A training value counts itself; any other is counted as if it alone had been added, so one beyond the range has a
//! share of 1 / (n + 1). The scores of the training rows equal PyOD's `decision_scores_` while no feature has more than 8,192
//! distinct values; with more, shares carry the [error of the summary](crate::statistics::rank_summary), relative to the share.
//!
//! Missing values are ignored in training.

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
use crate::statistics::skewness::{ThirdMoment, ThirdMoments};

mod params;

pub use params::{EcodParams, EcodValidParams};

/// How many rows are looked up in the tables of one feature before the next, so that their values stay in the cache.
const CHUNK_ROWS: usize = 1024;

/// How many searches are interleaved.
const LANES: usize = 8;

/// An upper bound on -ln of a share of at most 2^53 values.
const MAX_SCORE: f64 = 100.0;

linfa_fit!(EcodValidParams => Ecod);

/// A fitted ECOD detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ecod {
    params: EcodParams,
    /// The ranks of each feature's values.
    ranks: Vec<RankSummary>,
    /// The moments of each feature.
    moments: ThirdMoments,
    /// For each feature in turn, the contributions to the score: of a value below all values of the summary, equal to the
    /// first, between the first and the second, and so on up to one above all.
    #[serde(with = "crate::le_bytes")]
    scores: Vec<f64>,
}

impl Ecod {
    /// Learns from a source in one pass, on top of what an earlier detector learned.
    fn learn(earlier: Option<&Self>, source: &dyn RowSource, context: &Context) -> Result<Self> {
        let mut stream = ColumnStream::<(RankSummary, ThirdMoment)>::new(source.n_features());
        pass(source, context, &mut |_, chunk| {
            stream.push(chunk.observed, context)
        })?;
        let budget = Budget::default();
        let learn = |(column, (mut ranks, mut moment)): (usize, (RankSummary, ThirdMoment))| {
            context.check()?;
            if let Some(earlier) = earlier {
                ranks.merge(&earlier.ranks[column])?;
                moment = earlier.moments.feature(column).merge(moment);
            }
            if ranks.n() == 0 {
                return Err(ColumnError::no_values(column).into());
            }
            ranks.compress();
            let scores = tail_scores(&ranks, moment.is_symmetric());
            budget.take(ranks.size_bytes() + 8 * scores.len())?;
            Ok((ranks, moment, scores))
        };
        let columns = stream.finish(context)?;
        let learned: Vec<Result<_>> = columns.into_par_iter().enumerate().map(learn).collect();
        // the first error in column order
        let features = learned.into_iter().collect::<Result<Vec<_>>>()?;
        let n_scores = features.iter().map(|(_, _, scores)| scores.len()).sum();
        let mut learned = Self {
            params: EcodParams::default(),
            ranks: Vec::with_capacity(features.len()),
            moments: ThirdMoments::default(),
            scores: Vec::with_capacity(n_scores),
        };
        for (ranks, moment, scores) in features {
            learned.ranks.push(ranks);
            learned.moments.push(moment);
            learned.scores.extend(scores);
        }
        Ok(learned)
    }
}

/// The distinct values of one feature and their contributions to the score.
struct FeatureScores<'a> {
    known: &'a [f64],
    table: &'a [f64],
}

impl FeatureKernel for FeatureScores<'_> {
    fn add<const N: usize>(&self, values: [f64; N], sums: &mut [f64]) {
        let Self { known, table } = self;
        let counts = count_leading::<N>(known, |lane, value| value <= values[lane]);
        for ((count, x), sum) in counts.into_iter().zip(values).zip(sums) {
            let is_known = count > 0 && known[count - 1] == x;
            *sum += table[2 * count - usize::from(is_known)];
        }
    }
}

/// The contributions of values to the score, in the layout of [`Ecod::scores`].
fn tail_scores(ranks: &RankSummary, both_tails: bool) -> Vec<f64> {
    let n = ranks.n() as f64;
    let score = |left: f64, right: f64| {
        let log = if both_tails {
            left.ln() + right.ln()
        } else {
            left.min(right).ln()
        };
        // adding 0 turns -0 into 0
        0.0 - log
    };
    let between = |count: f64| score((count + 1.0) / (n + 1.0), (n - count + 1.0) / (n + 1.0));
    let mut scores = Vec::with_capacity(2 * ranks.values().len() + 1);
    let mut before = 0.0;
    for index in 0..ranks.values().len() {
        let count = ranks.count(index);
        scores.push(between(before));
        scores.push(score(count / n, (n - before) / n));
        before = count;
    }
    scores.push(between(before));
    scores
}

impl Detector for Ecod {
    fn n_features(&self) -> usize {
        self.ranks.len()
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
            let mut tables = self.scores.as_slice();
            for (feature, ranks) in self.ranks.iter().enumerate() {
                let known = ranks.values();
                let (table, next) = tables.split_at(2 * known.len() + 1);
                tables = next;
                let feature_scores = FeatureScores { known, table };
                add_feature::<LANES>(&feature_scores, d, feature, rows, scores);
            }
        }
    }

    fn size_bytes(&self) -> usize {
        let ranks: usize = self.ranks.iter().map(RankSummary::size_bytes).sum();
        size_of::<Self>() + ranks + self.moments.size_bytes() + 8 * self.scores.len()
    }

    fn validate(&self) -> Result<()> {
        self.ranks.iter().try_for_each(RankSummary::validate)?;
        self.moments.validate()?;
        let n_scores: usize = self.ranks.iter().map(|r| 2 * r.values().len() + 1).sum();
        let fits = self.ranks.iter().all(|ranks| ranks.n() > 0)
            && self.moments.n_features() == self.ranks.len()
            && self.scores.len() == n_scores
            && self.scores.iter().all(|x| (0.0..=MAX_SCORE).contains(x));
        if !fits {
            let message = "the parts of the ecod detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

impl Method for Ecod {
    type Params = EcodParams;

    const NAME: &'static str = "ecod";

    const STREAMS: bool = true;

    /// Takes one pass over the rows.
    fn fit(_: &EcodValidParams, rows: &dyn RowSource, context: &Context) -> Result<Learned<Self>> {
        check_n_rows(rows)?;
        Self::learn(None, rows, context).map(Learned::plain)
    }

    /// Merges ranks and moments, which equal those of a fit on the union up to the error of the summaries.
    fn update(
        &self,
        _: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.observed, self.n_features())?;
        Self::learn(Some(self), &sample, context).map(Learned::plain)
    }

    fn params(&self) -> &EcodParams {
        &self.params
    }
}

fn check_n_rows(source: &dyn RowSource) -> Result<()> {
    let n = source.n_rows();
    if n < 2 {
        let message = format!("there are {n} rows; at least 2 are needed");
        return Err(Error::new(reason::UNUSABLE_ROWS, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
