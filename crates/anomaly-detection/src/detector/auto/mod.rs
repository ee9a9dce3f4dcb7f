//! The default detector: an ensemble of three views of a row, combined by the rarity of their scores.
//!
//! The views are [`Lesinn`] on a scale halfway between robust and standard, [`Lesinn`] on the logarithms of robustly scaled
//! values, and the robust Mahalanobis distance in these logarithms. Each score is replaced by its surprisal among the training
//! rows, `-ln P(S >= score)`, with a fitted tail, so that scores above the largest known one are still told apart. The score of
//! the ensemble is the sum of the surprisals: Fisher's method of combining tests ("Statistical Methods for Research Workers",
//! 1932, section 21.1). With more than 256 features, or fewer than 5 rows per feature, the Mahalanobis distance is left out.

mod covariance;
mod params;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use params::{AutoParams, AutoValidParams};

use super::lesinn::frame::Form;
use super::lesinn::random::{spread_rows, stream_state};
use super::method::linfa_fit;
use super::source::{NeededRows, Rows};
use super::{
    DefaultScaling, Detector, Learned, Lesinn, LesinnParams, Method, PastRows, RowSource, Sample,
    check_n_features,
};
use crate::calibration::TailRank;
use crate::context::{Context, Unit};
use crate::error::{Error, Result, reason};
use covariance::Covariance;

/// The maximum number of rows that tail ranks are learned from.
const MAX_ROWS: usize = 10_000;

/// About the most values of these rows, but there are at least [`MIN_ROWS`] rows.
const MAX_VALUES: usize = 1 << 22;

/// See [`MAX_VALUES`].
const MIN_ROWS: usize = 256;

/// The two views by [`Lesinn`]: the number of the random stream of each, and the form of its scale.
const VIEWS: [(u64, Form); 2] = [(0, Form::Balanced), (1, Form::Logarithmic)];

/// How many rows are scored at a time.
const CHUNK: usize = 128;

linfa_fit!(AutoValidParams => Auto);

/// A fitted auto detector. Scores are above 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Auto {
    params: AutoParams,
    balanced: Box<Lesinn>,
    logarithmic: Box<Lesinn>,
    covariance: Option<Covariance>,
    /// The distribution of the scores of each view, in this order.
    ranks: Vec<TailRank>,
}

/// Rows that all have this weight.
type Part<'a> = (Rows<'a>, f64);

impl Auto {
    /// Learns the covariance, if there are enough rows for it, and the ranks.
    fn learn_ranks(&mut self, parts: &[Part<'_>], context: &Context) -> Result<()> {
        if let Some(rows) = self.rows_for_covariance(parts) {
            context.check()?;
            self.covariance = Some(Covariance::fit(&rows, self.n_features(), context)?);
        }
        let mut weights = Vec::new();
        let mut rows = Vec::new();
        for (part, weight) in parts {
            let chosen =
                rows_for_ranks(part.nrows(), self.n_features(), self.params.random_state());
            let stands_for = weight * part.nrows() as f64 / chosen.len().max(1) as f64;
            weights.resize(weights.len() + chosen.len(), stands_for);
            rows.extend(chosen.into_iter().map(|row| part.row(row)));
        }
        let chunk = self.chunk_rows().min(CHUNK);
        let step = context.step(Unit::Parts, rows.len());
        let chunks = rows
            .par_chunks(chunk)
            .with_max_len(1)
            .map(|rows| {
                context.check()?;
                let rows = ndarray::stack(Axis(0), rows).map_err(|error| {
                    Error::new(reason::INTERNAL, "rows differ in length").because(error)
                })?;
                let views = self.views(rows.view());
                step.advance(rows.nrows());
                Ok(views)
            })
            .collect::<Result<Vec<_>>>()?;
        let n_views = 2 + usize::from(self.covariance.is_some());
        self.ranks = (0..n_views)
            .map(|view| {
                let scores = chunks.iter().flat_map(|views| &views[view]).copied();
                TailRank::fit(&scores.collect::<Vec<f64>>(), Some(&weights))
            })
            .collect::<Result<_>>()?;
        Ok(())
    }

    /// The logarithmic coordinates of rows that represent the parts with equal weights; `None` if they are too few or too wide
    /// for a covariance.
    fn rows_for_covariance(&self, parts: &[Part<'_>]) -> Option<Vec<f64>> {
        let d = self.n_features();
        let heaviest = parts.iter().map(|part| part.1).fold(0.0, f64::max);
        let shares = parts
            .iter()
            .map(|(rows, weight)| rows.nrows() as f64 * (weight / heaviest));
        let total: f64 = shares.clone().sum();
        let thinning = (most_rows(d)? as f64 / total).min(1.0);
        let mut coordinates = Vec::new();
        for ((rows, _), share) in parts.iter().zip(shares) {
            let wanted = (share * thinning).round() as usize;
            for row in spread_rows(rows.nrows(), wanted, self.params.random_state()) {
                let start = coordinates.len();
                coordinates.resize(start + d, 0.0);
                let frame = self.logarithmic.frame();
                frame.coordinates(rows.row(row), |i, x| coordinates[start + i] = x);
            }
        }
        (coordinates.len() / d >= covariance::fewest_rows(d)).then_some(coordinates)
    }

    /// The score of each row in each view.
    fn views(&self, rows: ArrayView2<'_, f64>) -> Vec<Vec<f64>> {
        let (n, d) = rows.dim();
        let mut views: Vec<Vec<f64>> = [&self.balanced, &self.logarithmic]
            .map(|lesinn| {
                let mut scores = vec![0.0; n];
                lesinn.score_chunk(rows, &mut scores);
                scores
            })
            .into();
        if let Some(covariance) = &self.covariance {
            let mut coordinates = vec![0.0; n * d];
            for (row, place) in rows.outer_iter().zip(coordinates.chunks_exact_mut(d)) {
                let frame = self.logarithmic.frame();
                frame.coordinates(row, |i, x| place[i] = x);
            }
            let mut distances = vec![0.0; n];
            covariance.distances(&coordinates, &mut distances);
            views.push(distances);
        }
        views
    }
}

/// The most rows of `d` features that the covariance is learned from; `None` if there are too many features.
fn most_rows(d: usize) -> Option<usize> {
    Some(covariance::most_rows(d)?.min(MAX_ROWS))
}

/// The indices of the rows among n x d that tail ranks are learned from.
fn rows_for_ranks(n: usize, d: usize, random_state: u64) -> Vec<usize> {
    let most = (MAX_VALUES / d).clamp(MIN_ROWS, MAX_ROWS);
    spread_rows(n, most, random_state)
}

impl AutoValidParams {
    /// The parameters of the view with this number.
    fn member(&self, number: u64) -> LesinnParams {
        LesinnParams::new().with_random_state(stream_state(self.random_state(), number))
    }

    /// The indices of the rows among n x d that a fit reads, in any order.
    fn rows_to_fit(&self, n: usize, d: usize, context: &Context) -> Result<Vec<usize>> {
        let mut rows = Vec::new();
        for (number, _) in VIEWS {
            let member = self.member(number);
            rows.extend(member.check_ref()?.rows_to_fit(n, d, context)?);
        }
        rows.extend(rows_for_ranks(n, d, self.random_state()));
        if let Some(most) = most_rows(d) {
            rows.extend(spread_rows(n, most.min(n), self.random_state()));
        }
        Ok(rows)
    }

    fn fit_rows(&self, rows: Rows<'_>, context: &Context) -> Result<Auto> {
        let [balanced, logarithmic] = VIEWS.map(|(number, form)| -> Result<Box<Lesinn>> {
            let member = self.member(number);
            let lesinn = member.check_ref()?.fit_rows(form, rows, context)?;
            Ok(Box::new(lesinn))
        });
        let mut auto = Auto {
            balanced: balanced?,
            logarithmic: logarithmic?,
            params: self.clone().into(),
            covariance: None,
            ranks: Vec::new(),
        };
        auto.learn_ranks(&[(rows, 1.0)], context)?;
        Ok(auto)
    }
}

impl Detector for Auto {
    fn n_features(&self) -> usize {
        self.balanced.n_features()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features()),
            "shape of the rows"
        );
        let chunks = rows.axis_chunks_iter(Axis(0), CHUNK);
        for (rows, scores) in chunks.zip(scores.chunks_mut(CHUNK)) {
            scores.fill(0.0);
            for (view, rank) in self.views(rows).iter().zip(&self.ranks) {
                for (score, &x) in scores.iter_mut().zip(view) {
                    *score = (*score + rank.surprisal(x)).min(f64::MAX);
                }
            }
        }
    }

    fn chunk_rows(&self) -> usize {
        self.balanced.chunk_rows()
    }

    fn validate(&self) -> Result<()> {
        self.balanced.validate()?;
        self.logarithmic.validate()?;
        self.ranks.iter().try_for_each(TailRank::validate)?;
        let d = self.balanced.n_features();
        let covariance = self.covariance.as_ref();
        let fits = self.params.check_ref().is_ok()
            && self.logarithmic.n_features() == d
            && covariance.is_none_or(|covariance| covariance.is_sound(d))
            && self.ranks.len() == 2 + usize::from(covariance.is_some());
        if !fits {
            let message = "the parts of the auto detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let covariance = self.covariance.as_ref().map_or(0, Covariance::size_bytes);
        let ranks: usize = self.ranks.iter().map(TailRank::size_bytes).sum();
        size_of::<Self>()
            + self.balanced.size_bytes()
            + self.logarithmic.size_bytes()
            + covariance
            + ranks
    }
}

impl Method for Auto {
    type Params = AutoParams;

    const NAME: &'static str = "auto";

    const STREAMS: bool = true;

    const SCALING: DefaultScaling = DefaultScaling::Own;

    fn random_state(params: &AutoParams) -> u64 {
        params.random_state()
    }

    /// Takes one pass over rows that are not held, and holds only those that a view, the covariance or the ranks are learned
    /// from.
    fn fit(
        params: &AutoValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let choose = || params.rows_to_fit(rows.n_rows(), rows.n_features(), context);
        let rows = NeededRows::of(rows, choose, context)?;
        params.fit_rows(rows.rows(), context).map(Learned::plain)
    }

    /// The samples are offered the new rows. The ranks are learned again from the past and the new rows, and so is the
    /// covariance if there are enough of them.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        let mut auto = self.clone();
        auto.balanced.learn(sample.rows, context)?;
        auto.logarithmic.learn(sample.rows, context)?;
        if past.rows.nrows() > 0 {
            check_n_features(past.rows, self.n_features())?;
            let parts = [
                (past.rows.view().into(), past.weight()),
                (sample.rows.view().into(), 1.0),
            ];
            auto.learn_ranks(&parts, context)?;
        }
        Ok(Learned::plain(auto))
    }

    fn params(&self) -> &AutoParams {
        &self.params
    }
}
