//! Learning the columns of rows that come in blocks of any size, the same to the bit however they are cut.
//!
//! The rows are cut anew into [long blocks](long_block_rows), of which each column is sorted and merged into its summary, in
//! the order of the blocks. Until all rows are seen the summaries are finer than those that are kept: of up to 16 columns they
//! err by about 0.1 %, so that the error of the result is that of its last compression.

use ndarray::ArrayView2;

use super::columns::for_each_sorted_column;
use super::{MAX_EXACT, RankSummary};
use crate::context::Context;
use crate::error::Result;
use crate::statistics::reblock::{Reblock, long_block_rows};
use crate::statistics::skewness::ThirdMoment;

/// The most distinct values of a summary that is not finished yet.
const MAX_VALUES: usize = 1 << 15;

/// The most of all columns together, but never fewer than [`MAX_EXACT`] for each.
const MAX_VALUES_TOGETHER: usize = 1 << 19;

/// What can be learned of a column from its values, one part of them after the other.
pub trait SortedParts: Default + Send {
    /// Adds a part of the values, in ascending order. `most` is how many distinct values a summary may hold after that.
    ///
    /// # Errors
    /// As [`RankSummary::merge`].
    fn learn(&mut self, sorted: &[f64], most: usize) -> Result<()>;
}

impl SortedParts for RankSummary {
    fn learn(&mut self, sorted: &[f64], most: usize) -> Result<()> {
        if self.n() == 0 {
            *self = Self::of_sorted_within(sorted, most);
            return Ok(());
        }
        self.merge(&Self::exact(sorted))?;
        self.compress_within(most);
        Ok(())
    }
}

impl SortedParts for (RankSummary, ThirdMoment) {
    fn learn(&mut self, sorted: &[f64], most: usize) -> Result<()> {
        self.0.learn(sorted, most)?;
        self.1 = self.1.merge(ThirdMoment::of_sorted(sorted));
        Ok(())
    }
}

/// What is known of each column of the rows so far. Values that are not finite are left out.
///
/// Holds up to 0.8 MB for each of few columns, 0.2 MB for each of many, and one long block: 32 MB, or 256 rows.
#[derive(Debug)]
pub struct ColumnStream<T> {
    columns: Vec<T>,
    reblock: Reblock,
}

impl<T: SortedParts> ColumnStream<T> {
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

fn learn<T: SortedParts>(
    columns: &mut [T],
    block: ArrayView2<'_, f64>,
    context: &Context,
) -> Result<()> {
    let most = most_values(columns.len());
    for_each_sorted_column(block, columns, context, |_, column, sorted| {
        context.check()?;
        column.learn(sorted, most)
    })
}

fn most_values(n_features: usize) -> usize {
    (MAX_VALUES_TOGETHER / n_features.max(1)).clamp(MAX_EXACT, MAX_VALUES)
}
