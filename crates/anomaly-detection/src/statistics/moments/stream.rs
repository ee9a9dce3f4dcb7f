//! Moments of rows that come in chunks of any size, bit for bit the same however the rows are cut.

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::{CHUNK_ROWS, FeatureMoments, Moments};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::ColumnError;
use crate::statistics::rechunk::Rechunk;

/// The most chunks that are processed in parallel.
const MAX_PARALLEL_CHUNKS: usize = 64;

/// About how many bytes these chunks and their moments take together.
const PARALLEL_BYTES: usize = 16 << 20;

/// How many products of a chunk are summed between two checks of the context: some 10 ms of work.
const CHUNK_PRODUCTS: usize = 1 << 25;

/// The fewest rows of a chunk, where there are many columns.
const MIN_CHUNK_ROWS: usize = 32;

/// Computes [`FeatureMoments`] from chunks of rows, equal to those of all rows at once. Holds at most 16 MB of rows, or 1024 rows
/// if that is more.
#[derive(Debug)]
pub struct FeatureMomentsStream {
    moments: FeatureMoments,
    rechunk: Rechunk,
}

impl FeatureMomentsStream {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        let chunk_bytes = 8 * CHUNK_ROWS * n_features.max(1);
        let n_chunks = (PARALLEL_BYTES / chunk_bytes).clamp(1, MAX_PARALLEL_CHUNKS);
        Self {
            moments: FeatureMoments::new(n_features),
            rechunk: Rechunk::new(n_features, n_chunks * CHUNK_ROWS),
        }
    }

    /// Adds rows, n x d, in which NaN is a missing value; in parallel on rayon's current pool.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`], where a moment is not finite, and those of [`Context::check`]; the moments must not be
    /// used then.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let Self { moments, rechunk } = self;
        rechunk.push(rows, &mut |chunk| {
            context.check()?;
            moments.push(chunk).map_err(ColumnError::into)
        })
    }

    /// The moments of all rows.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self, context: &Context) -> Result<FeatureMoments> {
        let Self {
            mut moments,
            rechunk,
        } = self;
        context.check()?;
        rechunk.finish(&mut |chunk| moments.push(chunk).map_err(ColumnError::into))?;
        Ok(moments)
    }
}

/// Computes [`Moments`] from chunks of rows, equal to those of all rows at once.
#[derive(Debug)]
pub struct MomentsStream {
    moments: Moments,
    /// Complete rows that are not in the moments yet.
    waiting: Vec<f64>,
}

impl MomentsStream {
    /// The moments of no rows of `n_features` columns.
    pub fn new(n_features: usize) -> Self {
        Self::after(Moments::new(n_features))
    }

    /// Continues from given moments.
    pub(super) fn after(moments: Moments) -> Self {
        Self {
            moments,
            waiting: Vec::new(),
        }
    }

    /// Adds rows, n x d, in parallel on rayon's current pool; rows with a NaN are skipped.
    ///
    /// # Errors
    /// A [`ColumnError`], as an [`Error`], where a moment is not finite, and those of [`Context::check`]; the moments must not be
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
        let full = n_parallel_chunks(d) * chunk_rows(d) * d;
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
        let chunks = self
            .waiting
            .par_chunks_mut((chunk_rows(d) * d).max(1))
            .map_init(
                || Array2::zeros((d, d)),
                |products, chunk| {
                    context.check()?;
                    let shape = (chunk.len() / d, d);
                    let chunk = ArrayViewMut2::from_shape(shape, chunk).map_err(|error| {
                        let message = "the values of a chunk are not whole rows";
                        Error::new(reason::INTERNAL, message).because(error)
                    })?;
                    Ok(Moments::of_chunk(chunk, products))
                },
            )
            .collect::<Result<Vec<_>>>()?;
        // merged in order, so that the result does not depend on the threads
        for chunk in &chunks {
            self.moments.merge(chunk)?;
        }
        self.waiting.clear();
        Ok(())
    }
}

/// How many rows are centred at a time.
fn chunk_rows(d: usize) -> usize {
    (CHUNK_PRODUCTS / (d * d).max(1)).clamp(MIN_CHUNK_ROWS, CHUNK_ROWS)
}

/// How many chunks are processed in parallel, which has no influence on the result.
fn n_parallel_chunks(d: usize) -> usize {
    let bytes = 8 * chunk_rows(d) * d + 12 * d * d;
    (4 * PARALLEL_BYTES / bytes.max(1)).clamp(2, MAX_PARALLEL_CHUNKS)
}
