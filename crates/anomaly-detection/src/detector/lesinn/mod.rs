//! LeSiNN (Pang, Ting and Albrecht, "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest Neighbours", ICDM
//! workshops 2015): the score of a row is its mean distance to the nearest rows of many small random samples.
//!
//! With `n_estimators` samples S and k = min(`n_neighbors`, |S| - 1), the score is the mean over the samples of the mean
//! distance to the k nearest rows of S, of which one at distance exactly 0 is left out first: a row that was learned from
//! would meet itself there. The score of a training row is therefore honest. Each sample is a reservoir, so that after any
//! number of updates it is a uniform sample of all rows seen; the scale of the distances stays as it was at fit.

pub(super) mod frame;
mod kernel;
mod params;
pub(super) mod random;
mod references;
mod reservoirs;
mod simd;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use params::{LesinnMetric, LesinnParams, LesinnValidParams};

use super::method::linfa_fit;
use super::source::{ChosenRows, Rows};
use super::{
    DefaultScaling, Detector, History, Learned, Method, RowSource, Sample, check_n_features,
};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use frame::{Form, Frame};
use kernel::{Kernel, Scratch, TILE};
use references::References;
use reservoirs::Reservoirs;

/// The most rows of a block that is scored at a time, and the fewest where rows are long.
const BLOCK: usize = 64;

/// See [`BLOCK`].
const MIN_BLOCK: usize = 16;

/// How many coordinates a block holds about at most.
const BLOCK_VALUES: usize = 1 << 20;

/// About how many differences of eight samples are summed between two looks at the context: some 20 ms of work.
const BLOCK_TERMS: usize = 1 << 26;

linfa_fit!(LesinnValidParams => Lesinn);

/// A fitted lesinn detector. Scores are at least 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesinn {
    params: LesinnParams,
    frame: Frame,
    reservoirs: Reservoirs,
    references: References,
}

impl LesinnValidParams {
    /// Fits on rows, n x d, whose distances are taken in a scale of this form.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] for fewer than 2 rows or no columns, [`reason::INVALID_PARAMETER`] where the samples would take
    /// more than 1 GiB, and what `context` has to say.
    pub(super) fn fit_rows(&self, form: Form, rows: Rows<'_>, context: &Context) -> Result<Lesinn> {
        let (n, d) = (rows.nrows(), rows.ncols());
        self.check_shape(n, d)?;
        context.check()?;
        let params = self.params();
        let LesinnParams {
            n_estimators,
            max_samples,
            random_state,
            ..
        } = *params;
        let mut lesinn = Lesinn {
            params: params.clone(),
            frame: Frame::learn(form, rows, random_state, context)?,
            reservoirs: Reservoirs::new(n_estimators, max_samples, random_state),
            references: References::new(n_estimators, d),
        };
        lesinn.learn_rows(rows, context)?;
        Ok(lesinn)
    }

    /// The numbers of the rows, of n x d, that a fit looks at, in any order.
    ///
    /// # Errors
    /// As [`fit_rows`](Self::fit_rows), and [`reason::UNUSABLE_ROWS`] where they take too much.
    pub(super) fn rows_to_fit(&self, n: usize, d: usize, context: &Context) -> Result<Vec<usize>> {
        self.check_shape(n, d)?;
        let LesinnParams {
            n_estimators,
            max_samples,
            random_state,
            ..
        } = *self.params();
        ChosenRows::check_size(max_samples.min(n), d)?;
        let mut chosen = Frame::chosen_rows(n, d, random_state);
        let mut reservoirs = Reservoirs::new(n_estimators, max_samples, random_state);
        chosen.extend(reservoirs.members_of(n, context)?);
        Ok(chosen)
    }

    /// Fails for fewer than 2 rows, no columns, or samples that would take too much.
    fn check_shape(&self, n: usize, d: usize) -> Result<()> {
        if n < 2 || d == 0 {
            let message = format!(
                "a lesinn detector needs at least 2 rows and 1 feature, got {n} rows of {d} features"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let params = self.params();
        references::check_size(params.n_estimators, params.max_samples.min(n), d)
    }
}

impl Lesinn {
    /// Shows rows, n x d, to the samples.
    pub(super) fn learn(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        self.learn_rows(rows.into(), context)
    }

    fn learn_rows(&mut self, rows: Rows<'_>, context: &Context) -> Result<()> {
        let n_members = self.reservoirs.n_members_after(rows.nrows());
        references::check_size(self.params.n_estimators, n_members, rows.ncols())?;
        self.references.grow(n_members);
        let frame = &self.frame;
        let groups = self.references.groups_mut();
        self.reservoirs
            .offer(rows.nrows(), groups, context, |group, lane, arrivals| {
                let places = arrivals.iter().enumerate();
                for (place, &row) in places.filter(|&(_, &row)| row != Reservoirs::KEPT) {
                    context.check()?;
                    frame.coordinates(rows.row(row), |i, x| group.set(lane, place, i, x as f32));
                }
                Ok(())
            })
    }

    fn kernel(&self) -> Kernel<'_> {
        let n_members = self.reservoirs.n_members();
        Kernel {
            members: self.references.lanes(),
            n_members,
            n_features: self.n_features(),
            n_samples: self.params.n_estimators,
            n_neighbors: self.params.n_neighbors.min(n_members - 1),
            metric: self.params.metric,
        }
    }

    /// Writes the coordinates of a block of rows in the order in which the kernel reads them.
    fn prepare(&self, rows: ArrayView2<'_, f64>, coordinates: &mut Vec<f32>) {
        let (n, d) = rows.dim();
        coordinates.resize(n * d, 0.0);
        let n_tiled = n / TILE * TILE;
        for (row, values) in rows.outer_iter().enumerate() {
            let (start, step) = if row < n_tiled {
                (row / TILE * TILE * d + row % TILE, TILE)
            } else {
                (row * d, 1)
            };
            let place = &mut coordinates[start..];
            self.frame
                .coordinates(values, |i, x| place[i * step] = x as f32);
        }
    }

    /// The scale of the distances.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Detector for Lesinn {
    fn n_features(&self) -> usize {
        self.frame.n_features()
    }

    fn score_block(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.n_features();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let kernel = self.kernel();
        let block = (BLOCK_VALUES / d).clamp(MIN_BLOCK, BLOCK);
        let mut scratch = Scratch::default();
        let blocks = rows.axis_chunks_iter(Axis(0), block);
        for (rows, scores) in blocks.zip(scores.chunks_mut(block)) {
            self.prepare(rows, &mut scratch.coordinates);
            kernel.score(&mut scratch, scores);
        }
    }

    fn block_rows(&self) -> usize {
        let members = self.params.n_estimators * self.params.max_samples;
        let terms = self.references.lanes().len() + members * self.params.n_neighbors;
        (BLOCK_TERMS / terms.max(1)).clamp(TILE, 1024)
    }

    fn validate(&self) -> Result<()> {
        let d = self.frame.n_features();
        let LesinnParams {
            n_estimators,
            max_samples,
            ..
        } = self.params;
        let fits = self.params.check_ref().is_ok()
            && self.frame.is_sound()
            && self.reservoirs.is_sound(n_estimators, max_samples)
            && self
                .references
                .is_sound(n_estimators, self.reservoirs.n_members(), d);
        if !fits {
            let message = "the parts of the lesinn detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.frame.size_bytes()
            + self.reservoirs.size_bytes()
            + self.references.size_bytes()
    }
}

impl Method for Lesinn {
    type Params = LesinnParams;

    const NAME: &'static str = "lesinn";

    const STREAMS: bool = true;

    const SCALING: DefaultScaling = DefaultScaling::Own;

    fn random_state(params: &LesinnParams) -> u64 {
        params.random_state
    }

    fn fit(
        params: &LesinnValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params
            .fit_rows(Form::Balanced, sample.rows.into(), context)
            .map(Learned::plain)
    }

    /// In one pass, of which only the members of the samples and the rows that the scale is learned from are held.
    fn fit_streamed(
        params: &LesinnValidParams,
        source: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let chosen = params.rows_to_fit(source.n_rows(), source.n_features(), context)?;
        let chosen = ChosenRows::gather(source, chosen, context)?;
        params
            .fit_rows(Form::Balanced, Rows::Chosen(&chosen), context)
            .map(Learned::plain)
    }

    /// The samples see the new rows, after which they are those of a fit on all rows ever seen; the scale stays.
    fn update(
        &self,
        _: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        let mut lesinn = self.clone();
        lesinn.learn(sample.rows, context)?;
        Ok(Learned::plain(lesinn))
    }

    fn params(&self) -> &LesinnParams {
        &self.params
    }
}
