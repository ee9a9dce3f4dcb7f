//! Takes rows in chunks of any size and passes them on in chunks of one size, so that what is summed chunk by chunk depends on
//! the rows alone and not on how they were cut.

use ndarray::ArrayView2;

use crate::error::{Error, Result, reason};

/// A callback that takes a chunk of rows.
pub(crate) type EachChunk<'a> = dyn FnMut(ArrayView2<'_, f64>) -> Result<()> + 'a;

/// A pass over all rows, which can be repeated: it calls the given callback with each chunk in turn.
pub(crate) type Visit<'a> = dyn Fn(&mut EachChunk<'_>) -> Result<()> + 'a;

/// The error for passes that do not give the same rows.
pub(crate) fn changed() -> Error {
    let message = "the rows changed while they were being read; train again";
    Error::new(reason::UNUSABLE_ROWS, message)
}

/// About how many values a long chunk holds: 32 MB.
const CHUNK_VALUES: usize = 1 << 22;

/// The fewest and the most rows of a long chunk.
const MIN_ROWS: usize = 256;
const MAX_ROWS: usize = 1 << 17;

/// How many rows of `n_features` columns a long chunk has, one that is sorted as a whole: 131,072, and fewer if there are more
/// than 32 columns.
pub(crate) fn long_chunk_rows(n_features: usize) -> usize {
    (CHUNK_VALUES / n_features.max(1)).clamp(MIN_ROWS, MAX_ROWS)
}

/// Regroups rows into chunks of one size.
#[derive(Debug)]
pub(crate) struct Rechunk {
    n_features: usize,
    n_rows: usize,
    /// The rows that do not fill a chunk yet.
    waiting: Vec<f64>,
}

impl Rechunk {
    /// Makes chunks of `n_rows` rows, at least 1, of `n_features` columns.
    pub(crate) fn new(n_features: usize, n_rows: usize) -> Self {
        Self {
            n_features,
            n_rows: n_rows.max(1),
            waiting: Vec::new(),
        }
    }

    /// Adds rows, and calls `each` with every chunk that is full. Rows without columns are dropped.
    ///
    /// # Errors
    /// Those of `each`.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub(crate) fn push(
        &mut self,
        rows: ArrayView2<'_, f64>,
        each: &mut EachChunk<'_>,
    ) -> Result<()> {
        assert_eq!(rows.ncols(), self.n_features, "number of columns");
        let rows = rows.as_standard_layout();
        let mut values = rows.as_slice().unwrap_or_default();
        let full = self.n_rows.saturating_mul(self.n_features);
        if !self.waiting.is_empty() {
            let (fitting, rest) = values.split_at(values.len().min(full - self.waiting.len()));
            self.waiting.extend_from_slice(fitting);
            values = rest;
            if self.waiting.len() == full {
                each(chunk(&self.waiting, self.n_features)?)?;
                self.waiting.clear();
            }
        }
        while full > 0 && values.len() >= full {
            let (first, rest) = values.split_at(full);
            each(chunk(first, self.n_features)?)?;
            values = rest;
        }
        self.waiting.extend_from_slice(values);
        Ok(())
    }

    /// Calls `each` with the remaining rows, if there are any.
    ///
    /// # Errors
    /// Those of `each`.
    pub(crate) fn finish(self, each: &mut EachChunk<'_>) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        each(chunk(&self.waiting, self.n_features)?)
    }
}

/// Values as rows of `n_features` columns, at least one.
fn chunk(values: &[f64], n_features: usize) -> Result<ArrayView2<'_, f64>> {
    ArrayView2::from_shape((values.len() / n_features, n_features), values).map_err(|error| {
        Error::new(reason::INTERNAL, "the values of a chunk are not whole rows").because(error)
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, s};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_do_not_depend_on_how_the_rows_were_cut(
            n in 0..60usize,
            d in 1..4usize,
            size in 1..20usize,
            cuts in vec(0..60usize, 0..8),
        ) {
            let rows = Array2::from_shape_fn((n, d), |(i, j)| (i * d + j) as f64);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(n)).collect();
            cuts.extend([0, n]);
            cuts.sort_unstable();
            let mut found = Vec::new();
            let mut each = |chunk: ArrayView2<'_, f64>| {
                found.push(chunk.to_owned());
                Ok(())
            };
            let mut rechunk = Rechunk::new(d, size);
            for cut in cuts.windows(2) {
                rechunk.push(rows.slice(s![cut[0]..cut[1], ..]), &mut each).expect("taken");
            }
            rechunk.finish(&mut each).expect("taken");
            let expected: Vec<_> = rows.axis_chunks_iter(Axis(0), size).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn rows_without_columns_are_dropped() {
        let mut rechunk = Rechunk::new(0, 5);
        let rows = Array2::zeros((7, 0));
        let mut each = |_: ArrayView2<'_, f64>| panic!("a chunk");
        rechunk.push(rows.view(), &mut each).expect("taken");
        rechunk.finish(&mut each).expect("taken");
    }
}
