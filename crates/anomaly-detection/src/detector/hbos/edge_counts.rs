//! Exact counts of the values of a column below given edges, in one pass over the rows.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::context::Context;
use crate::detector::RowSource;
use crate::detector::source::pass;
use crate::error::Result;
use crate::statistics::rank_summary::count_leading;
use crate::statistics::rechunk::changed;

/// The maximum bytes of the counts of one pass; a column is never split.
const MAX_BYTES: usize = 64 << 20;

/// How many values are counted between two checks of the context, column by column while they are in the cache.
const CHUNK_VALUES: usize = 1 << 17;

/// How many look-ups are interleaved.
const LANES: usize = 16;

/// The edges of one column and the counts between them.
#[derive(Debug)]
pub(super) struct EdgeCounts {
    column: usize,
    /// How many values there are.
    n: u64,
    /// The edges, strictly ascending.
    edges: Vec<f64>,
    /// How many values lie at or above the previous edge and below this one.
    counts: Vec<u64>,
}

impl EdgeCounts {
    /// Empty counts for a column of `n` values.
    pub(super) fn new(column: usize, n: u64, mut edges: Vec<f64>) -> Self {
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
        Self {
            column,
            n,
            counts: vec![0; edges.len() + 1],
            edges,
        }
    }

    /// The index of the column.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// The size of the counts of a column with this many edges, in bytes.
    fn size_bytes(n_edges: usize) -> usize {
        size_of::<Self>().saturating_add(n_edges.saturating_mul(16))
    }

    fn count(&mut self, rows: ArrayView2<'_, f64>) {
        let mut lanes = [0.0; LANES];
        let mut filled = 0;
        for &x in rows.column(self.column).iter().filter(|x| x.is_finite()) {
            lanes[filled] = x;
            filled += 1;
            if filled == LANES {
                self.count_lanes(&lanes, filled);
                filled = 0;
            }
        }
        self.count_lanes(&lanes, filled);
    }

    fn count_lanes(&mut self, lanes: &[f64; LANES], filled: usize) {
        let places = count_leading::<LANES>(&self.edges, |lane, edge| edge <= lanes[lane]);
        for &place in &places[..filled] {
            self.counts[place] += 1;
        }
    }

    /// Accumulates the counts into how many values lie below each edge.
    fn sum_up(&mut self) {
        let mut sum = 0;
        for count in &mut self.counts {
            sum += *count;
            *count = sum;
        }
    }

    /// How many values lie below one of the edges.
    pub(super) fn below(&self, edge: f64) -> f64 {
        self.counts[self.edges.partition_point(|&other| other < edge)] as f64
    }
}

/// How many columns, of `n_edges` edges each, are counted in one pass.
pub(super) fn columns_a_pass(n_edges: usize) -> usize {
    (MAX_BYTES / EdgeCounts::size_bytes(n_edges)).max(1)
}

/// Counts the observed values, in one pass and in parallel on rayon's current pool.
///
/// # Errors
/// Those of the pass, and [`reason::UNUSABLE_ROWS`](crate::error::reason::UNUSABLE_ROWS) if the values are not those of the
/// earlier passes.
pub(super) fn count_all(
    columns: &mut [EdgeCounts],
    source: &dyn RowSource,
    context: &Context,
) -> Result<()> {
    let n_rows = (CHUNK_VALUES / source.n_features().max(1)).max(64);
    pass(source, context, &mut |_, chunk| {
        for rows in chunk.observed.axis_chunks_iter(Axis(0), n_rows) {
            context.check()?;
            let columns = columns.par_iter_mut();
            columns.for_each(|column| column.count(rows));
        }
        Ok(())
    })?;
    columns.iter_mut().for_each(EdgeCounts::sum_up);
    let is_complete = |column: &EdgeCounts| column.counts.last() == Some(&column.n);
    if columns.iter().all(is_complete) {
        Ok(())
    } else {
        Err(changed())
    }
}
