//! LeSiNN (Pang, Ting and Albrecht, "LeSiNN: Detecting Anomalies by Identifying Least Similar Nearest Neighbours", ICDM
//! workshops 2015): the score of a row is its mean distance to the nearest rows of many small random samples.
//!
//! With `n_estimators` samples S and k = min(`n_neighbors`, |S| - 1), the score is the mean over the samples of the mean
//! distance to the k nearest rows of S. One row at distance exactly 0 is skipped first, since a training row would find itself
//! there; so the scores of training rows are unbiased. Each sample is a reservoir, which after any number of updates is a
//! uniform sample of all rows seen; the scale of the distances stays as fitted.

pub(super) mod frame;
mod kernel;
mod params;
pub(super) mod random;
mod references;
mod reservoirs;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use params::{LesinnMetric, LesinnParams, LesinnValidParams};

use super::method::linfa_fit;
use super::source::{ChosenRows, NeededRows, Rows};
use super::{
    DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features,
};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use frame::{Form, Frame};
use kernel::{GroupedSamples, Scratch, TILE};
use references::References;
use reservoirs::Reservoirs;

/// The most rows of a chunk.
const MAX_CHUNK: usize = 64;

/// The fewest rows of a chunk, if rows are wide.
const MIN_CHUNK: usize = 16;

/// About the most coordinates of a chunk.
const CHUNK_VALUES: usize = 1 << 20;

/// About how many differences of eight samples are summed between two checks of the context: some 20 ms of work.
const CHUNK_TERMS: usize = 1 << 26;

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
    /// Fits on rows, n x d, with a form of scaling.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] for fewer than 2 rows or no columns, [`reason::INVALID_PARAMETER`] if the samples would take
    /// more than 1 GiB, and those of [`Context::check`].
    pub(super) fn fit_rows(&self, form: Form, rows: Rows<'_>, context: &Context) -> Result<Lesinn> {
        let (n, d) = (rows.nrows(), rows.ncols());
        self.check_shape(n, d)?;
        context.check()?;
        let random_state = self.random_state();
        let mut lesinn = Lesinn {
            params: self.clone().into(),
            frame: Frame::learn(form, rows, random_state, context)?,
            reservoirs: self.reservoirs(),
            references: References::new(self.n_estimators(), d),
        };
        lesinn.learn_rows(rows, context)?;
        Ok(lesinn)
    }

    /// The indices of the rows among n x d that a fit reads, in any order.
    ///
    /// # Errors
    /// Those of [`fit_rows`](Self::fit_rows), and [`reason::UNUSABLE_ROWS`] if these rows take too much memory.
    pub(super) fn rows_to_fit(&self, n: usize, d: usize, context: &Context) -> Result<Vec<usize>> {
        self.check_shape(n, d)?;
        ChosenRows::check_size(self.max_samples().min(n), d)?;
        let mut chosen = Frame::chosen_rows(n, d, self.random_state());
        chosen.extend(self.reservoirs().members_of(n, context)?);
        Ok(chosen)
    }

    /// Empty samples.
    fn reservoirs(&self) -> Reservoirs {
        Reservoirs::new(self.n_estimators(), self.max_samples(), self.random_state())
    }

    /// Fails for fewer than 2 rows, no columns, or samples that would take too much.
    fn check_shape(&self, n: usize, d: usize) -> Result<()> {
        if n < 2 || d == 0 {
            let message = format!(
                "a lesinn detector needs at least 2 rows and 1 feature, got {n} rows of {d} features"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        references::check_size(self.n_estimators(), self.max_samples().min(n), d)
    }
}

impl Lesinn {
    /// Updates the samples with rows, n x d.
    pub(super) fn learn(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        self.learn_rows(rows.into(), context)
    }

    fn learn_rows(&mut self, rows: Rows<'_>, context: &Context) -> Result<()> {
        let n_members = self.reservoirs.n_members_after(rows.nrows());
        references::check_size(self.params.n_estimators(), n_members, rows.ncols())?;
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

    fn grouped_samples(&self) -> GroupedSamples<'_> {
        let n_members = self.reservoirs.n_members();
        GroupedSamples {
            members: self.references.lanes(),
            n_members,
            n_features: self.n_features(),
            n_samples: self.params.n_estimators(),
            n_neighbors: self.params.n_neighbors().min(n_members - 1),
            metric: self.params.metric(),
        }
    }

    /// Writes the coordinates of a chunk of rows in the order in which the kernel reads them.
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

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.n_features();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let samples = self.grouped_samples();
        let chunk = (CHUNK_VALUES / d).clamp(MIN_CHUNK, MAX_CHUNK);
        let mut scratch = Scratch::default();
        let chunks = rows.axis_chunks_iter(Axis(0), chunk);
        for (rows, scores) in chunks.zip(scores.chunks_mut(chunk)) {
            self.prepare(rows, &mut scratch.coordinates);
            samples.score(&mut scratch, scores);
        }
    }

    fn chunk_rows(&self) -> usize {
        let members = self.params.n_estimators() * self.params.max_samples();
        let terms = self.references.lanes().len() + members * self.params.n_neighbors();
        (CHUNK_TERMS / terms.max(1)).clamp(TILE, 1024)
    }

    fn validate(&self) -> Result<()> {
        let d = self.frame.n_features();
        let n_estimators = self.params.n_estimators();
        let max_samples = self.params.max_samples();
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
        params.random_state()
    }

    /// Takes one pass over rows that are not held, and holds only the members of the samples and the rows that the scale is
    /// learned from.
    fn fit(
        params: &LesinnValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let choose = || params.rows_to_fit(rows.n_rows(), rows.n_features(), context);
        let rows = NeededRows::of(rows, choose, context)?;
        params
            .fit_rows(Form::Balanced, rows.rows(), context)
            .map(Learned::plain)
    }

    /// Updates the samples, which then equal those of a fit on all rows ever seen. The scale stays.
    fn update(
        &self,
        _: PastRows<'_>,
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
