//! Rows that a detector learns from in passes, because they are too many to be held.

use ndarray::{ArrayView2, Axis};

use super::Sample;
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// Rows that follow one another, any number of them.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// The rows, all finite: missing values are imputed.
    pub rows: ArrayView2<'a, f64>,
    /// The same rows with NaN where a value was missing.
    pub observed: ArrayView2<'a, f64>,
}

/// What takes blocks of rows.
pub type EachBlock<'a> = dyn FnMut(Block<'_>) -> Result<()> + 'a;

/// Rows that can be walked over again and again, imputed and scaled as in a [`Sample`], without labels.
///
/// What is learned does not depend on how they are cut into blocks.
pub trait RowSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// How many columns they have.
    fn n_features(&self) -> usize;

    /// One pass: calls `each` with all rows, block after block in their order. Each pass gives the same rows.
    ///
    /// # Errors
    /// Those of `each`, what `context` has to say, and what keeps the rows from being read.
    fn visit(&self, context: &Context, each: &mut EachBlock<'_>) -> Result<()>;
}

impl RowSource for Sample<'_> {
    fn n_rows(&self) -> usize {
        self.rows.nrows()
    }

    fn n_features(&self) -> usize {
        self.rows.ncols()
    }

    fn visit(&self, _: &Context, each: &mut EachBlock<'_>) -> Result<()> {
        each(Block {
            rows: self.rows,
            observed: self.observed,
        })
    }
}

/// One pass over a source that is held to its word: `each` gets the number of the first row of a block, too.
///
/// # Errors
/// Those of the pass; [`reason::UNUSABLE_ROWS`] where there are more or fewer rows than there should be, and
/// [`reason::INTERNAL`] where a block has another shape.
pub(super) fn pass(
    source: &dyn RowSource,
    context: &Context,
    each: &mut dyn FnMut(usize, Block<'_>) -> Result<()>,
) -> Result<()> {
    let (n, d) = (source.n_rows(), source.n_features());
    let mut seen = 0;
    context.check()?;
    source.visit(context, &mut |block| {
        context.check()?;
        let n_rows = block.rows.nrows();
        if block.rows.ncols() != d || block.observed.dim() != block.rows.dim() {
            let message = "a block of rows has another shape than its source said";
            return Err(Error::new(reason::INTERNAL, message));
        }
        if n_rows > n - seen {
            return Err(changed());
        }
        each(seen, block)?;
        seen += n_rows;
        Ok(())
    })?;
    if seen < n {
        return Err(changed());
    }
    context.check()
}

/// That two passes did not give the same rows.
pub(super) fn changed() -> Error {
    let message = "the rows changed while they were read; train again";
    Error::new(reason::UNUSABLE_ROWS, message)
}

/// All rows, or those that were chosen of them; both by the number that a row has among all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    All(ArrayView2<'a, f64>),
    Chosen(&'a ChosenRows),
}

impl<'a> From<ArrayView2<'a, f64>> for Rows<'a> {
    fn from(rows: ArrayView2<'a, f64>) -> Self {
        Self::All(rows)
    }
}

impl<'a> Rows<'a> {
    /// The same for a shorter time.
    pub(super) fn view(&self) -> Rows<'_> {
        match self {
            Self::All(rows) => Rows::All(rows.view()),
            Self::Chosen(chosen) => Rows::Chosen(chosen),
        }
    }

    /// How many rows there are, chosen or not.
    pub(super) fn nrows(&self) -> usize {
        match self {
            Self::All(rows) => rows.nrows(),
            Self::Chosen(chosen) => chosen.n_rows,
        }
    }

    pub(super) fn ncols(&self) -> usize {
        match self {
            Self::All(rows) => rows.ncols(),
            Self::Chosen(chosen) => chosen.n_features,
        }
    }

    /// One of the rows.
    ///
    /// # Panics
    /// If there is no such row, or it was not chosen.
    pub(super) fn row(&self, index: usize) -> ndarray::ArrayView1<'a, f64> {
        match *self {
            Self::All(rows) => rows.index_axis_move(Axis(0), index),
            Self::Chosen(chosen) => {
                let place = chosen.indices.partition_point(|&chosen| chosen < index);
                assert_eq!(chosen.indices[place], index, "a chosen row");
                let start = place * chosen.n_features;
                let values = &chosen.values[start..start + chosen.n_features];
                ndarray::ArrayView1::from(values)
            }
        }
    }
}

/// The most bytes that chosen rows may take.
const MAX_CHOSEN_BYTES: u64 = 256 << 20;

/// Some of the rows of a source.
#[derive(Debug)]
pub(super) struct ChosenRows {
    n_rows: usize,
    n_features: usize,
    /// Their numbers among all rows, ascending and different.
    indices: Vec<usize>,
    values: Vec<f64>,
}

impl ChosenRows {
    /// None of `n_rows` rows.
    pub(super) fn none(n_rows: usize, n_features: usize) -> Self {
        Self {
            n_rows,
            n_features,
            indices: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Fails where so many rows would take more than 256 MiB. To be called before any of it is taken.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`].
    pub(super) fn check_size(n_chosen: usize, n_features: usize) -> Result<()> {
        let bytes = (n_chosen as u64)
            .saturating_mul(n_features as u64)
            .saturating_mul(size_of::<f64>() as u64);
        if bytes <= MAX_CHOSEN_BYTES {
            return Ok(());
        }
        let message = format!(
            "the detector draws {n_chosen} rows or more of {n_features} features from rows that are too many to be held; \
             they take {bytes} bytes, and at most {MAX_CHOSEN_BYTES} are allowed; lower max_samples, or learn from a \
             sample of the rows with sample_rows"
        );
        Err(Error::new(reason::UNUSABLE_ROWS, message))
    }

    /// Gathers rows by their numbers, in one pass.
    ///
    /// # Errors
    /// As [`check_size`](Self::check_size) and [`pass`].
    pub(super) fn gather(
        source: &dyn RowSource,
        mut indices: Vec<usize>,
        context: &Context,
    ) -> Result<Self> {
        let d = source.n_features();
        indices.sort_unstable();
        indices.dedup();
        Self::check_size(indices.len(), d)?;
        let mut values = Vec::with_capacity(indices.len() * d);
        let mut wanted = indices.iter().copied().peekable();
        pass(source, context, &mut |first, block| {
            let end = first + block.rows.nrows();
            while let Some(index) = wanted.next_if(|&index| index < end) {
                values.extend(block.rows.row(index - first));
            }
            Ok(())
        })?;
        Ok(Self {
            n_rows: source.n_rows(),
            n_features: d,
            indices,
            values,
        })
    }
}

#[cfg(test)]
mod tests;
