//! The source of the rows that a model learns from, whether they are held or read in passes.

use ndarray::ArrayView2;

use super::learning_rows::LearningRows;
use crate::context::Context;
use crate::error::Result;
use crate::features::{Builder, Engineering, Gaps, Label, Vocabulary};

/// Rows that are aligned to a schema and have their engineered features, but are neither imputed nor encoded. Every pass gives
/// the same rows in the same order, and how they are cut into chunks has no influence on what is learned.
pub(super) trait RawSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// The texts whose numbers are among the values.
    fn vocabulary(&self) -> &Vocabulary;

    /// The feature engineering, if there is any.
    fn engineering(&self) -> Option<&Engineering>;

    /// One pass: calls `each` with all rows in order, chunk by chunk. Returns the builder that continues after these rows, unless
    /// [`engineering`](Self::engineering) already remembers them.
    ///
    /// # Errors
    /// Those of `each`, of [`Context::check`] and of reading the rows.
    fn visit(&self, context: &Context, each: &mut EachRawChunk<'_>) -> Result<Option<Builder>>;

    /// All rows with their labels and weights, if they are held in memory.
    fn held(&self) -> Option<&LearningRows> {
        None
    }
}

/// A callback that takes a chunk of rows.
pub(super) type EachRawChunk<'a> = dyn FnMut(RawChunk<'_>) -> Result<()> + 'a;

/// Any number of consecutive rows.
pub(super) struct RawChunk<'a> {
    /// The values, n x r in standard layout, with NaN where a value is missing or infinite.
    pub(super) raw: ArrayView2<'a, f64>,
    pub(super) gaps: &'a Gaps,
    pub(super) labels: Option<&'a [Label]>,
}
