//! The columns of a matrix, each in ascending order.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::*;

use super::sort::{key, sort, value};
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// How many columns of a wide matrix are read at a time: as many as fill a cache line.
const COLUMNS: usize = 8;

/// How many rows are read between two checks of the context.
const CHUNK_ROWS: usize = 1 << 20;

/// The most bytes that the summaries of a model may take.
const MAX_BYTES: usize = 1 << 30;

/// The bytes that the summaries of a model have taken so far, at most 1 GiB.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    /// Takes bytes out of the budget.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when fewer are left.
    pub(crate) fn take(&self, bytes: usize) -> Result<()> {
        let taken = self.0.fetch_add(bytes, Ordering::Relaxed);
        if taken.saturating_add(bytes) > MAX_BYTES {
            let message = "the ranks of the values of all columns take more than 1 GiB; give fewer rows or leave columns out";
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        Ok(())
    }
}

/// Calls `learn` with the index of each column, its element of `columns` and its values in ascending order, in parallel on
/// rayon's current pool. Values that are not finite are left out.
///
/// # Errors
/// The error of the first column that has one, and those of [`Context::check`].
///
/// # Panics
/// If the length of `columns` is not the number of columns.
pub(super) fn for_each_sorted_column<T: Send>(
    rows: ArrayView2<'_, f64>,
    columns: &mut [T],
    context: &Context,
    learn: impl Fn(usize, &mut T, &[f64]) -> Result<()> + Sync,
) -> Result<()> {
    let (n, d) = rows.dim();
    assert_eq!(columns.len(), d, "number of columns");
    // few columns are spread over the threads one by one, and long ones are not copied several at a time
    let width = (d / 64).min((1 << 23) / n.max(1)).clamp(1, COLUMNS);
    let learn_some = |scratch: &mut Scratch, (part, columns): (usize, &mut [T])| -> Result<()> {
        let start = part * width;
        scratch.read(rows.slice(s![.., start..start + columns.len()]), context)?;
        for (i, column) in columns.iter_mut().enumerate() {
            learn(start + i, column, scratch.sorted(i, context)?)?;
        }
        Ok(())
    };
    let learned: Vec<Result<()>> = columns
        .par_chunks_mut(width)
        .enumerate()
        .map_init(Scratch::default, learn_some)
        .collect();
    learned.into_iter().collect()
}

/// Buffers for a few columns, reused for the next few.
#[derive(Debug, Default)]
struct Scratch {
    /// The finite values of each column, as sortable keys.
    columns: Vec<Vec<u64>>,
    /// Scratch space for sorting.
    room: Vec<u64>,
    sorted: Vec<f64>,
}

impl Scratch {
    /// Reads the finite values of a few columns.
    fn read(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        let (n, d) = rows.dim();
        self.columns.resize(d, Vec::new());
        for column in &mut self.columns {
            column.clear();
            column.reserve(n);
        }
        for chunk in rows.axis_chunks_iter(Axis(0), CHUNK_ROWS) {
            context.check()?;
            if let [column] = self.columns.as_mut_slice() {
                let present = chunk.into_iter().filter(|x| x.is_finite());
                column.extend(present.map(|&x| key(x)));
                continue;
            }
            for row in chunk.rows() {
                for (column, &x) in self.columns.iter_mut().zip(row) {
                    if x.is_finite() {
                        column.push(key(x));
                    }
                }
            }
        }
        Ok(())
    }

    /// The values of one of the columns, ascending.
    fn sorted(&mut self, column: usize, context: &Context) -> Result<&[f64]> {
        let keys = &mut self.columns[column];
        if self.room.len() < keys.len() {
            self.room.resize(keys.len(), 0);
        }
        let room = &mut self.room[..keys.len()];
        sort(keys, room, context)?;
        self.sorted.clear();
        self.sorted.extend(keys.iter().map(|&key| value(key)));
        Ok(&self.sorted)
    }
}
