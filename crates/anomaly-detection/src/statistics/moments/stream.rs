//! Moments of rows that come in blocks of any size, the same to the bit however they are cut.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::{BLOCK_ROWS, FeatureMoments, Moments};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::ColumnError;
use crate::statistics::reblock::Reblock;

/// The most blocks that are learned from side by side.
const MAX_SIDE_BY_SIDE: usize = 64;

/// About how many bytes these take together, with what is learned from them.
const SIDE_BY_SIDE_BYTES: usize = 16 << 20;

/// How many products of a block are summed between two looks at the context: some 10 ms of work.
const BLOCK_PRODUCTS: usize = 1 << 25;

/// The fewest rows of a block, where there are many columns.
const MIN_BLOCK_ROWS: usize = 32;

/// [`FeatureMoments`] on their way: equal to those of all rows at once. Holds 16 MB of rows at most, but 1024 rows.
#[derive(Debug)]
pub struct FeatureMomentsStream {
    moments: FeatureMoments,
    reblock: Reblock,
}

impl FeatureMomentsStream {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        let block_bytes = 8 * BLOCK_ROWS * n_features.max(1);
        let n_blocks = (SIDE_BY_SIDE_BYTES / block_bytes).clamp(1, MAX_SIDE_BY_SIDE);
        Self {
            moments: FeatureMoments::new(n_features),
            reblock: Reblock::new(n_features, n_blocks * BLOCK_ROWS),
        }
    }

    /// Adds rows, n x d, in which NaN is a missing value; in parallel on rayon's current pool.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`], where a moment is not finite, and what `context` has to say; the moments must not be
    /// used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let Self { moments, reblock } = self;
        reblock.push(rows, &mut |block| {
            context.check()?;
            moments.push(block).map_err(ColumnError::into)
        })
    }

    /// The moments of all rows.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self, context: &Context) -> Result<FeatureMoments> {
        let Self {
            mut moments,
            reblock,
        } = self;
        context.check()?;
        reblock.finish(&mut |block| moments.push(block).map_err(ColumnError::into))?;
        Ok(moments)
    }
}

/// [`Moments`] on their way: equal to those of all rows at once.
#[derive(Debug)]
pub struct MomentsStream {
    moments: Moments,
    /// Complete rows that are not learned yet.
    waiting: Vec<f64>,
}

impl MomentsStream {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        Self::after(Moments::new(n_features))
    }

    /// Adds to moments.
    pub(super) fn after(moments: Moments) -> Self {
        Self {
            moments,
            waiting: Vec::new(),
        }
    }

    /// Adds those of the rows, n x d, that hold no NaN; in parallel on rayon's current pool.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`], where a moment is not finite, and what `context` has to say; the moments must not be
    /// used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let d = self.moments.n_features();
        assert_eq!(rows.ncols(), d, "number of columns");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            return Ok(());
        };
        let full = n_side_by_side(d) * block_rows(d) * d;
        for row in values.chunks_exact(d) {
            if row.iter().any(|x| x.is_nan()) {
                continue;
            }
            self.waiting.extend_from_slice(row);
            if self.waiting.len() == full {
                self.learn_waiting(context)?;
            }
        }
        context.check()
    }

    /// The moments of all complete rows.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self, context: &Context) -> Result<Moments> {
        context.check()?;
        self.learn_waiting(context)?;
        Ok(self.moments)
    }

    fn learn_waiting(&mut self, context: &Context) -> Result<()> {
        let d = self.moments.n_features();
        let blocks = self
            .waiting
            .par_chunks_mut((block_rows(d) * d).max(1))
            .map_init(
                || Array2::zeros((d, d)),
                |products, block| {
                    context.check()?;
                    let shape = (block.len() / d, d);
                    let block = ArrayViewMut2::from_shape(shape, block).map_err(|error| {
                        Error::new(reason::INTERNAL, "a block has no whole rows").because(error)
                    })?;
                    Ok(Moments::of_block(block, products))
                },
            )
            .collect::<Result<Vec<_>>>()?;
        // merged in their order, so that the threads have no influence
        for block in &blocks {
            self.moments.merge(block)?;
        }
        self.waiting.clear();
        Ok(())
    }
}

/// How many rows are learned from at a time.
fn block_rows(d: usize) -> usize {
    (BLOCK_PRODUCTS / (d * d).max(1)).clamp(MIN_BLOCK_ROWS, BLOCK_ROWS)
}

/// How many blocks are learned from side by side, which changes nothing of what is learned.
fn n_side_by_side(d: usize) -> usize {
    let bytes = 8 * block_rows(d) * d + 12 * d * d;
    (4 * SIDE_BY_SIDE_BYTES / bytes.max(1)).clamp(2, MAX_SIDE_BY_SIDE)
}
