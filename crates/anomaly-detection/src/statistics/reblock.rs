//! Rows that come in blocks of any size, passed on in blocks of one size: what is summed block by block then depends on the
//! rows alone, and not on how they were cut.

use ndarray::ArrayView2;

use crate::error::{Error, Result, reason};

/// What takes blocks of rows.
pub type EachBlock<'a> = dyn FnMut(ArrayView2<'_, f64>) -> Result<()> + 'a;

/// A way to walk over all rows, block by block and as often as needed: it calls what it is given with each block in turn.
pub type Visit<'a> = dyn Fn(&mut EachBlock<'_>) -> Result<()> + 'a;

/// About how many values a block holds that is sorted or ordered as a whole: 32 MB.
const BLOCK_VALUES: usize = 1 << 22;

/// The fewest and the most rows of such a block.
const MIN_ROWS: usize = 256;
const MAX_ROWS: usize = 1 << 17;

/// How many rows of `n_features` columns a block has that is sorted or ordered as a whole: 131,072, and fewer where there
/// are more than 32 columns.
pub fn long_block_rows(n_features: usize) -> usize {
    (BLOCK_VALUES / n_features.max(1)).clamp(MIN_ROWS, MAX_ROWS)
}

/// Rows on their way into blocks of one size.
#[derive(Debug)]
pub struct Reblock {
    n_features: usize,
    n_rows: usize,
    /// The rows that do not fill a block yet.
    waiting: Vec<f64>,
}

impl Reblock {
    /// Blocks of `n_rows` rows, at least 1, of `n_features` columns.
    pub fn new(n_features: usize, n_rows: usize) -> Self {
        Self {
            n_features,
            n_rows: n_rows.max(1),
            waiting: Vec::new(),
        }
    }

    /// Takes rows, and calls `each` with every block that they fill. Rows without columns are in no block.
    ///
    /// # Errors
    /// Those of `each`.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, each: &mut EachBlock<'_>) -> Result<()> {
        assert_eq!(rows.ncols(), self.n_features, "number of columns");
        let rows = rows.as_standard_layout();
        let mut values = rows.as_slice().unwrap_or_default();
        let full = self.n_rows.saturating_mul(self.n_features);
        if !self.waiting.is_empty() {
            let (fitting, rest) = values.split_at(values.len().min(full - self.waiting.len()));
            self.waiting.extend_from_slice(fitting);
            values = rest;
            if self.waiting.len() == full {
                each(block(&self.waiting, self.n_features)?)?;
                self.waiting.clear();
            }
        }
        while full > 0 && values.len() >= full {
            let (first, rest) = values.split_at(full);
            each(block(first, self.n_features)?)?;
            values = rest;
        }
        self.waiting.extend_from_slice(values);
        Ok(())
    }

    /// Calls `each` with the rows that filled no block, if there are any.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn finish(self, each: &mut EachBlock<'_>) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        each(block(&self.waiting, self.n_features)?)
    }
}

/// Values as rows of so many columns, at least one.
pub(super) fn block(values: &[f64], n_features: usize) -> Result<ArrayView2<'_, f64>> {
    ArrayView2::from_shape((values.len() / n_features, n_features), values).map_err(|error| {
        Error::new(reason::INTERNAL, "the values of a block are not whole rows").because(error)
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
        fn blocks_do_not_depend_on_how_rows_come(
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
            let mut each = |block: ArrayView2<'_, f64>| {
                found.push(block.to_owned());
                Ok(())
            };
            let mut reblock = Reblock::new(d, size);
            for cut in cuts.windows(2) {
                reblock.push(rows.slice(s![cut[0]..cut[1], ..]), &mut each).expect("taken");
            }
            reblock.finish(&mut each).expect("taken");
            let expected: Vec<_> = rows.axis_chunks_iter(Axis(0), size).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn rows_without_columns_are_in_no_block() {
        let mut reblock = Reblock::new(0, 5);
        let rows = Array2::zeros((7, 0));
        let mut each = |_: ArrayView2<'_, f64>| panic!("a block");
        reblock.push(rows.view(), &mut each).expect("taken");
        reblock.finish(&mut each).expect("taken");
    }
}
