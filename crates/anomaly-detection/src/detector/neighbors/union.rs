//! The rows that neighbour-based detectors learn from in an update.
//!
//! Past rows stand for several rows each, but weights do not define a density of neighbours. An update therefore learns again
//! from the past rows and from a uniform sample of the new rows at the same rate. Together they are a uniform sample of all
//! rows ever seen, which does not grow with every update.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::context::Context;
use crate::detector::row_order::lexicographic;
use crate::detector::{Detector, Learned, PastRows, Sample, check_n_features};
use crate::error::{Error, Result};
use crate::statistics::draw::Draw;

/// The number of rows between two checks of the context.
const ROWS_PER_CHECK: usize = 32;

/// A uniform sample of past rows and of the new ones.
pub(in crate::detector) struct Union<'a> {
    past: ArrayView2<'a, f64>,
    new: ArrayView2<'a, f64>,
    /// The new rows that were drawn, and whether each new row was; `None` if all were.
    drawn: Option<(Array2<f64>, Vec<bool>)>,
}

impl<'a> Union<'a> {
    /// Joins past and new rows for a detector of `n_features` features. A share of 1 / [`PastRows::weight`] of the new rows is
    /// drawn, at least one row. The draw depends only on the set of new rows and on how many rows were seen before.
    ///
    /// # Errors
    /// [`reason::SCHEMA_MISMATCH`](crate::error::reason::SCHEMA_MISMATCH) for rows with another number of features.
    pub(in crate::detector) fn new(
        n_features: usize,
        past: &'a PastRows<'_>,
        sample: &'a Sample<'_>,
    ) -> Result<Self> {
        let mut union = Self {
            past: past.rows.view(),
            new: sample.rows.view(),
            drawn: None,
        };
        check_n_features(sample.rows, n_features)?;
        if past.rows.is_empty() {
            union.past = sample.rows.slice(ndarray::s![..0, ..]);
            return Ok(union);
        }
        check_n_features(past.rows, n_features)?;
        let n_new = union.new.nrows();
        let n_drawn = (n_new as f64 / past.weight()).round().max(1.0) as usize;
        if n_drawn < n_new {
            let is_drawn = draw(sample.rows, n_drawn, past.seen);
            let indices: Vec<usize> = (0..n_new).filter(|&i| is_drawn[i]).collect();
            union.drawn = Some((union.new.select(Axis(0), &indices), is_drawn));
        }
        Ok(union)
    }

    /// The rows to learn from: the past rows and the drawn ones.
    pub(in crate::detector) fn parts(&self) -> [ArrayView2<'_, f64>; 2] {
        let new = match &self.drawn {
            Some((rows, _)) => rows.view(),
            None => self.new.view(),
        };
        [self.past.view(), new]
    }

    /// Extends the calibration scores to all rows; rows that were not drawn are scored as unseen rows.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(in crate::detector) fn complete<D: Detector>(
        &self,
        learned: Learned<D>,
        context: &Context,
    ) -> Result<Learned<D>> {
        let (Some((_, is_drawn)), Some(scores)) = (&self.drawn, &learned.calibration_scores) else {
            return Ok(learned);
        };
        let indices: Vec<usize> = (0..is_drawn.len()).filter(|&i| !is_drawn[i]).collect();
        let rest = self.new.select(Axis(0), &indices);
        let mut rest_scores = vec![0.0; indices.len()];
        rest.axis_chunks_iter(Axis(0), ROWS_PER_CHECK)
            .into_par_iter()
            .zip(rest_scores.par_chunks_mut(ROWS_PER_CHECK))
            .with_max_len(1)
            .try_for_each(|(rows, scores)| {
                context.check()?;
                learned.detector.score_chunk(rows, scores);
                Ok::<_, Error>(())
            })?;
        let (past, drawn) = scores.split_at(self.past.nrows());
        let (mut drawn, mut rest) = (drawn.iter(), rest_scores.iter());
        let new = is_drawn.iter().filter_map(|&is_drawn| {
            let scores = if is_drawn { &mut drawn } else { &mut rest };
            scores.next().copied()
        });
        let scores = past.iter().copied().chain(new).collect();
        Ok(Learned {
            calibration_scores: Some(scores),
            ..learned
        })
    }
}

/// Marks `n` of the rows, drawn uniformly. The rows are considered in lexicographic order, so that their own order has no
/// influence.
fn draw(rows: ArrayView2<'_, f64>, n: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    order.par_sort_unstable_by(|&a, &b| {
        lexicographic(rows.row(a).iter().copied(), rows.row(b).iter().copied())
    });
    let mut marks = vec![false; rows.nrows()];
    for (row, is_drawn) in order.into_iter().zip(Draw { n, seed }.marks(rows.nrows())) {
        marks[row] = is_drawn;
    }
    marks
}
