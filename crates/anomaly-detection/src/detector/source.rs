//! The source of the rows that a detector learns from: all at once if they are held in memory, otherwise in passes over them.

use ndarray::{ArrayView2, Axis};

use super::Sample;
use super::method::cannot_stream;
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::rechunk::changed;

/// A chunk of consecutive rows, of any size.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The rows, all finite: missing values are imputed.
    pub rows: ArrayView2<'a, f64>,
    /// The same rows with NaN where a value was missing.
    pub observed: ArrayView2<'a, f64>,
}

/// A callback that takes chunks of rows.
pub type EachChunk<'a> = dyn FnMut(Chunk<'_>) -> Result<()> + 'a;

/// Rows, imputed and scaled as in a [`Sample`], over which any number of passes can be made. Rows that are held are available
/// as a sample, and only these can have labels.
///
/// What a detector learns does not depend on how the rows are cut into chunks.
pub trait RowSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// How many columns they have.
    fn n_features(&self) -> usize;

    /// One pass: calls `each` with all rows in order, chunk by chunk. Each pass gives the same rows.
    ///
    /// # Errors
    /// Those of `each`, of [`Context::check`] and of reading the rows.
    fn visit(&self, context: &Context, each: &mut EachChunk<'_>) -> Result<()>;

    /// All rows at once, if they are held.
    fn held(&self) -> Option<Sample<'_>> {
        None
    }
}

impl RowSource for Sample<'_> {
    fn n_rows(&self) -> usize {
        self.rows.nrows()
    }

    fn n_features(&self) -> usize {
        self.rows.ncols()
    }

    fn visit(&self, _: &Context, each: &mut EachChunk<'_>) -> Result<()> {
        each(Chunk {
            rows: self.rows,
            observed: self.observed,
        })
    }

    fn held(&self) -> Option<Sample<'_>> {
        Some(Sample {
            rows: self.rows.view(),
            observed: self.observed.view(),
            labels: self.labels,
        })
    }
}

/// All rows of a source, for a detector of this name that needs them at once.
///
/// # Errors
/// [`reason::UNUSABLE_ROWS`] if they are not held.
pub(super) fn all_rows<'a>(source: &'a dyn RowSource, name: &str) -> Result<Sample<'a>> {
    source.held().ok_or_else(|| cannot_stream(name))
}

/// One pass over a source, whose chunks are checked. `each` also gets the index of a chunk's first row.
///
/// # Errors
/// Those of the pass; [`reason::UNUSABLE_ROWS`] if there are more or fewer rows than announced, and [`reason::INTERNAL`] if a
/// chunk has the wrong shape.
pub(super) fn pass(
    source: &dyn RowSource,
    context: &Context,
    each: &mut dyn FnMut(usize, Chunk<'_>) -> Result<()>,
) -> Result<()> {
    let (n, d) = (source.n_rows(), source.n_features());
    let mut seen = 0;
    context.check()?;
    source.visit(context, &mut |chunk| {
        context.check()?;
        let n_rows = chunk.rows.nrows();
        if chunk.rows.ncols() != d || chunk.observed.dim() != chunk.rows.dim() {
            let message = "a chunk of rows does not have the shape that its source announced";
            return Err(Error::new(reason::INTERNAL, message));
        }
        if n_rows > n - seen {
            return Err(changed());
        }
        each(seen, chunk)?;
        seen += n_rows;
        Ok(())
    })?;
    if seen < n {
        return Err(changed());
    }
    context.check()
}

/// All rows, or some chosen ones; both are addressed by a row's index among all.
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
    /// Reborrows the rows.
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

    /// A row by its index.
    ///
    /// # Panics
    /// If there is no such row or it was not chosen.
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

/// The rows of a source that a detector needs.
#[derive(Debug)]
pub(super) enum NeededRows<'a> {
    /// All rows, which are held.
    All(ArrayView2<'a, f64>),
    /// The rows that it has chosen from a source that does not hold them.
    Chosen(ChosenRows),
}

impl<'a> NeededRows<'a> {
    /// All rows of a source if they are held; otherwise those with the indices from `choose`, gathered in one pass.
    ///
    /// # Errors
    /// Those of `choose` and of [`ChosenRows::gather`].
    pub(super) fn of(
        source: &'a dyn RowSource,
        choose: impl FnOnce() -> Result<Vec<usize>>,
        context: &Context,
    ) -> Result<Self> {
        Ok(match source.held() {
            Some(sample) => Self::All(sample.rows),
            None => Self::Chosen(ChosenRows::gather(source, choose()?, context)?),
        })
    }

    /// These rows.
    pub(super) fn rows(&self) -> Rows<'_> {
        match self {
            Self::All(rows) => Rows::All(rows.view()),
            Self::Chosen(chosen) => Rows::Chosen(chosen),
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
    /// Their indices among all rows, strictly ascending.
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

    /// Fails if this many rows would take more than 256 MiB. To be called before allocating.
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
            "the detector draws at least {n_chosen} rows of {n_features} features from rows that are too many to be held; \
             they take {bytes} bytes, and at most {MAX_CHOSEN_BYTES} are allowed; lower max_samples, or learn from a \
             sample of the rows with sample_rows"
        );
        Err(Error::new(reason::UNUSABLE_ROWS, message))
    }

    /// Gathers rows by their indices, in one pass.
    ///
    /// # Errors
    /// Those of [`check_size`](Self::check_size) and [`pass`].
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
        pass(source, context, &mut |first, chunk| {
            let end = first + chunk.rows.nrows();
            while let Some(index) = wanted.next_if(|&index| index < end) {
                values.extend(chunk.rows.row(index - first));
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
