//! Learning the columns of rows that come in blocks of any size, the same to the bit however they are cut.
//!
//! The rows are cut anew into [long blocks](long_block_rows), of which each column is sorted and summarised by itself; the
//! summaries are merged in the order of the blocks. Until all rows are seen they are finer than a summary that is kept: where
//! columns are few enough for it, the error of the result is that of its own, last compression.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::{MAX_EXACT, RankSummary, map_sorted_columns};
use crate::context::Context;
use crate::error::Result;
use crate::statistics::reblock::{Reblock, long_block_rows};
use crate::statistics::skewness::ThirdMoment;

/// The most distinct values of a summary that is not finished yet.
const MAX_VALUES: usize = 1 << 16;

/// The most of all columns together, but never fewer than [`MAX_EXACT`] for each.
const MAX_VALUES_TOGETHER: usize = 1 << 20;

/// What can be learned of a column from its values in ascending order, one part of them after the other. `most` is how many
/// distinct values a summary may hold.
pub trait OfSorted: Default + Send {
    /// Learns one part.
    fn of_sorted(sorted: &[f64], most: usize) -> Self;

    /// Adds a later part.
    ///
    /// # Errors
    /// As [`RankSummary::merge`].
    fn join(&mut self, later: Self, most: usize) -> Result<()>;
}

impl OfSorted for RankSummary {
    fn of_sorted(sorted: &[f64], most: usize) -> Self {
        Self::of_sorted_within(sorted, most)
    }

    fn join(&mut self, later: Self, most: usize) -> Result<()> {
        if self.n() == 0 {
            *self = later;
            return Ok(());
        }
        self.merge(&later)?;
        self.compress_within(most);
        Ok(())
    }
}

impl OfSorted for (RankSummary, ThirdMoment) {
    fn of_sorted(sorted: &[f64], most: usize) -> Self {
        let ranks = RankSummary::of_sorted_within(sorted, most);
        (ranks, ThirdMoment::of_sorted(sorted))
    }

    fn join(&mut self, later: Self, most: usize) -> Result<()> {
        self.0.join(later.0, most)?;
        self.1 = self.1.merge(later.1);
        Ok(())
    }
}

/// What is known of each column of the rows so far. Values that are not finite are left out.
///
/// Holds about 2 MB for each of few columns, 0.5 MB for each of many, and one long block: 32 MB, or 256 rows.
#[derive(Debug)]
pub struct ColumnStream<T> {
    columns: Vec<T>,
    reblock: Reblock,
}

impl<T: OfSorted> ColumnStream<T> {
    /// `n_features` columns without values.
    pub fn new(n_features: usize) -> Self {
        Self {
            columns: (0..n_features).map(|_| T::default()).collect(),
            reblock: Reblock::new(n_features, long_block_rows(n_features)),
        }
    }

    /// Adds rows, n x d; in parallel on rayon's current pool.
    ///
    /// # Errors
    /// As [`RankSummary::merge`], and what `context` has to say; nothing must be made of the columns then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        context.check()?;
        let Self { columns, reblock } = self;
        reblock.push(rows, &mut |block| learn(columns, block, context))
    }

    /// What is known of each column of all rows. A summary still has to be [compressed](RankSummary::compress).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self, context: &Context) -> Result<Vec<T>> {
        context.check()?;
        let Self {
            mut columns,
            reblock,
        } = self;
        reblock.finish(&mut |block| learn(&mut columns, block, context))?;
        Ok(columns)
    }
}

fn learn<T: OfSorted>(
    columns: &mut [T],
    block: ArrayView2<'_, f64>,
    context: &Context,
) -> Result<()> {
    let most = most_values(columns.len());
    let parts = map_sorted_columns(block, context, |_, sorted| Ok(T::of_sorted(sorted, most)))?;
    columns
        .par_iter_mut()
        .zip(parts)
        .try_for_each(|(column, part)| {
            context.check()?;
            column.join(part, most)
        })
}

fn most_values(n_features: usize) -> usize {
    (MAX_VALUES_TOGETHER / n_features.max(1)).clamp(MAX_EXACT, MAX_VALUES)
}
