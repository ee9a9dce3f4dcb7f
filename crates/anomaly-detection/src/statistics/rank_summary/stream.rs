//! Learns about columns from rows that come in chunks of any size, bit for bit the same however the rows are cut.
//!
//! The rows are regrouped into [long chunks](long_chunk_rows). Each column of such a chunk is sorted and merged into its summary,
//! in the order of the chunks. Until the end the summaries are finer than those that are kept: with up to 16 columns their
//! error is about 0.1 %, so that the error of the result is practically that of the last compression.

use ndarray::ArrayView2;

use super::columns::for_each_sorted_column;
use super::{MAX_EXACT, RankSummary};
use crate::context::Context;
use crate::error::Result;
use crate::statistics::rechunk::{Rechunk, long_chunk_rows};
use crate::statistics::skewness::ThirdMoment;

/// The most distinct values of a summary before the end of the stream.
const MAX_VALUES: usize = 1 << 15;

/// The same for all columns together, but never fewer than [`MAX_EXACT`] for each.
const MAX_VALUES_TOGETHER: usize = 1 << 19;

/// A statistic of a column that is learned from its values part by part.
pub(crate) trait SortedParts: Default + Send {
    /// Adds a part of the values, in ascending order. `most` is how many distinct values a summary may hold afterwards.
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

/// A statistic of each column of the rows so far. Values that are not finite are left out.
///
/// Holds up to 0.8 MB for each column if there are few, 0.2 MB for each if there are many, and one long chunk: 32 MB, or 256
/// rows if that is more.
#[derive(Debug)]
pub(crate) struct ColumnStream<T> {
    columns: Vec<T>,
    rechunk: Rechunk,
}

impl<T: SortedParts> ColumnStream<T> {
    /// A stream of rows with `n_features` columns.
    pub(crate) fn new(n_features: usize) -> Self {
        Self {
            columns: (0..n_features).map(|_| T::default()).collect(),
            rechunk: Rechunk::new(n_features, long_chunk_rows(n_features)),
        }
    }

    /// Adds rows, n x d; in parallel on rayon's current pool.
    ///
    /// # Errors
    /// Those of [`RankSummary::merge`] and of [`Context::check`]; the stream must not be used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub(crate) fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        context.check()?;
        let Self { columns, rechunk } = self;
        rechunk.push(rows, &mut |chunk| learn(columns, chunk, context))
    }

    /// The statistic of each column over all rows. A summary still has to be [compressed](RankSummary::compress).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(crate) fn finish(self, context: &Context) -> Result<Vec<T>> {
        context.check()?;
        let Self {
            mut columns,
            rechunk,
        } = self;
        rechunk.finish(&mut |chunk| learn(&mut columns, chunk, context))?;
        Ok(columns)
    }
}

fn learn<T: SortedParts>(
    columns: &mut [T],
    chunk: ArrayView2<'_, f64>,
    context: &Context,
) -> Result<()> {
    let most = most_values(columns.len());
    for_each_sorted_column(chunk, columns, context, |_, column, sorted| {
        context.check()?;
        column.learn(sorted, most)
    })
}

fn most_values(n_features: usize) -> usize {
    (MAX_VALUES_TOGETHER / n_features.max(1)).clamp(MAX_EXACT, MAX_VALUES)
}
