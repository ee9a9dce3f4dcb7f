//! The rows that a model learns from, wherever they are.

use ndarray::ArrayView2;

use super::learning_rows::LearningRows;
use crate::context::Context;
use crate::error::Result;
use crate::features::{Builder, Engineering, Gaps, Label, Vocabulary};

/// Rows that are aligned to a schema and have what was engineered, but are neither imputed nor encoded. They can be walked over
/// again and again: each pass gives the same rows in the same order, and how they are cut changes nothing that is learned.
pub(super) trait RawSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// The numbers of the texts among the values.
    fn vocabulary(&self) -> &Vocabulary;

    /// What is engineered.
    fn engineering(&self) -> Option<&Engineering>;

    /// One pass; returns what engineers the features of the rows behind these, where that is not a part of the engineering yet.
    ///
    /// # Errors
    /// Those of `each`, what `context` has to say, and what keeps the rows from being read.
    fn visit(&self, context: &Context, each: &mut EachRawBlock<'_>) -> Result<Option<Builder>>;

    /// All rows at once, with what is known of them beside, where they are held.
    fn held(&self) -> Option<&LearningRows> {
        None
    }
}

/// What takes blocks of rows.
pub(super) type EachRawBlock<'a> = dyn FnMut(RawBlock<'_>) -> Result<()> + 'a;

/// Rows that follow one another, any number of them.
pub(super) struct RawBlock<'a> {
    /// The values, n x r in standard layout, with NaN where a value is missing or infinite.
    pub(super) raw: ArrayView2<'a, f64>,
    pub(super) gaps: &'a Gaps,
    pub(super) labels: Option<&'a [Label]>,
}
