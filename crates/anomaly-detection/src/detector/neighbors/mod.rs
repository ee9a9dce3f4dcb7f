//! Exact nearest neighbours by Euclidean distance, for the detectors that score by them.
//!
//! [`Index`] holds every distinct row once ([`points`]) in the order of a kd-tree ([`order`]). It searches with a tree of boxes
//! if there are few features ([`kd_tree`]), and otherwise compares all points ([`brute`]). Both filter points with a bound in
//! floats ([`leaves`], [`blocks`]) and then compute exact distances in doubles ([`kernel`]). Among points at the same distance,
//! those at lower positions are nearer ([`nearest`]), so that the result depends neither on the order of the search nor on the
//! processor.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod blocks;
mod brute;
mod kd_tree;
mod kernel;
mod leaves;
mod nearest;
mod order;
mod points;
mod search;
mod union;

#[cfg(test)]
mod tests;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::context::{Context, Unit};
use crate::error::{Error, Result, reason};
use brute::Brute;
use kd_tree::KdTree;
use points::{Points, coordinate};
use search::Search;

pub(super) use nearest::Neighbor;
pub(super) use union::Union;

/// The most neighbours.
pub(super) const MAX_NEIGHBORS: usize = 10_000;

/// The most bytes that an index, and the neighbours of all its points, may each take.
pub(super) const MAX_BYTES: usize = 1 << 30;

/// The bytes that an index takes for each value: a double and a float.
const VALUE_BYTES: usize = 12;

/// The bytes that an index takes for each row besides its values, most of them only while it is being built.
const ROW_BYTES: usize = 64;

/// The most features that are searched with a tree.
const MAX_TREE_FEATURES: usize = 15;

/// How many rows of a chunk are searched for when all points are.
const CHUNK_ROWS: usize = 64;

/// The most chunks that a thread takes at a time.
const MAX_CHUNKS: usize = 8;

/// How many rows a detector with this many neighbours scores at a time. A search takes from a few microseconds to about a
/// millisecond, and longer for very many neighbours.
pub(super) fn chunk_rows(n_neighbors: usize) -> usize {
    (4096 / n_neighbors.max(1)).clamp(8, 128)
}

/// About how many values of the rows to search for are copied at a time.
const MAX_COPIED: usize = 1 << 20;

/// Checks a requested number of neighbours.
pub(super) fn check_n_neighbors(n_neighbors: usize) -> Result<()> {
    if !(1..=MAX_NEIGHBORS).contains(&n_neighbors) {
        let message = format!("n_neighbors is {n_neighbors}; it must be from 1 to {MAX_NEIGHBORS}");
        return Err(Error::new(reason::INVALID_PARAMETER, message).at("n_neighbors"));
    }
    Ok(())
}

/// A searchable set of rows. It is always valid, because deserialising an index validates it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points", into = "Points")]
pub(super) struct Index {
    points: Points,
    layout: Layout,
}

/// How the points are searched.
#[derive(Debug, Clone, PartialEq)]
enum Layout {
    Tree(KdTree),
    Brute(Brute),
}

impl From<Index> for Points {
    fn from(index: Index) -> Self {
        index.points
    }
}

impl TryFrom<Points> for Index {
    type Error = Error;

    fn try_from(points: Points) -> Result<Self> {
        match points.fault() {
            Some(fault) => Err(damaged(fault)),
            None => Self::new(points, &Context::new()),
        }
    }
}

/// The error for a stored index, or a detector with one, that is damaged.
pub(super) fn damaged(fault: &str) -> Error {
    let message = format!("damaged index of nearest neighbours: {fault}");
    Error::new(reason::DAMAGED_ARTIFACT, message)
}

impl Index {
    /// An index of the rows of all parts, and for each row the position of its point.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] for fewer than 2 rows, no features, or more than fit into 1 GiB; and those of
    /// [`Context::check`].
    pub(super) fn learn(
        parts: &[ArrayView2<'_, f64>],
        context: &Context,
    ) -> Result<(Self, Vec<u32>)> {
        let n_features = parts.first().map_or(0, ArrayView2::ncols);
        let n_rows: usize = parts.iter().map(ArrayView2::nrows).sum();
        if n_rows < 2 || n_features == 0 {
            let message = format!(
                "nearest neighbours need at least 2 rows and 1 feature, got {n_rows} rows of {n_features} features"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let row_bytes = n_features
            .saturating_mul(VALUE_BYTES)
            .saturating_add(ROW_BYTES);
        let bytes = row_bytes.saturating_mul(n_rows);
        if bytes > MAX_BYTES {
            let message = format!(
                "an index of {n_rows} rows of {n_features} features takes {bytes} bytes, and at most {MAX_BYTES} are \
                 allowed; learn from fewer rows or leave features out"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let leaf = match n_features {
            ..=MAX_TREE_FEATURES => kd_tree::LEAF,
            _ => blocks::BLOCK,
        };
        let (points, point_of_row) = Points::learn(parts, leaf, context)?;
        Ok((Self::new(points, context)?, point_of_row))
    }

    fn new(points: Points, context: &Context) -> Result<Self> {
        let layout = match points.n_features() {
            ..=MAX_TREE_FEATURES => Layout::Tree(KdTree::new(&points, context)?),
            _ => Layout::Brute(Brute::new(&points, context)?),
        };
        Ok(Self { points, layout })
    }

    pub(super) fn n_features(&self) -> usize {
        self.points.n_features()
    }

    /// The number of distinct points.
    pub(super) fn n_points(&self) -> usize {
        self.points.len()
    }

    /// The requested number of neighbours, or all other rows if there are fewer.
    pub(super) fn n_neighbors(&self, asked: usize) -> usize {
        if asked < self.points.len() {
            // each point is at least one row; counting all rows would take as long as a search
            return asked;
        }
        asked.min(self.points.n_rows() - 1)
    }

    /// Its size in memory, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let layout = match &self.layout {
            Layout::Tree(tree) => tree.size_bytes(),
            Layout::Brute(brute) => brute.size_bytes(),
        };
        self.points.size_bytes() + layout
    }

    /// Checks the index; cheap, since deserialising already did.
    pub(super) fn validate(&self) -> Result<()> {
        self.points
            .fault()
            .map_or(Ok(()), |fault| Err(damaged(fault)))
    }

    /// Finds the `n_neighbors` nearest of all other rows for a row of each point, in parallel. `visit` gets them with the part of
    /// `out` for the point, which has `width` elements.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(super) fn leave_one_out<T: Send>(
        &self,
        n_neighbors: usize,
        width: usize,
        out: &mut [T],
        context: &Context,
        visit: impl Fn(&[Neighbor], &mut [T]) + Sync,
    ) -> Result<()> {
        let step = context.step(Unit::Parts, self.n_points());
        let rows = self
            .points
            .values()
            .par_chunks(CHUNK_ROWS * self.n_features());
        let chunks = rows.zip(out.par_chunks_mut(CHUNK_ROWS * width));
        // some points take far longer than others
        let chunks = chunks.enumerate().with_max_len(MAX_CHUNKS);
        chunks.try_for_each_init(
            || Search::new(&self.points, &self.layout, n_neighbors),
            |search, (chunk, (rows, out))| {
                context.check()?;
                search.run(
                    rows,
                    Some(chunk * CHUNK_ROWS),
                    context,
                    &mut |row, found| {
                        visit(found, &mut out[row * width..(row + 1) * width]);
                    },
                )?;
                step.advance(rows.len() / self.n_features());
                Ok(())
            },
        )
    }

    /// Finds the `n_neighbors` nearest rows of each of these rows on the calling thread, in any order. `visit` gets the index
    /// of the row and its neighbours.
    pub(super) fn nearest(
        &self,
        n_neighbors: usize,
        rows: ArrayView2<'_, f64>,
        mut visit: impl FnMut(usize, &[Neighbor]),
    ) {
        let context = Context::new();
        let mut search = Search::new(&self.points, &self.layout, n_neighbors);
        let n_together = (MAX_COPIED / self.n_features()).max(CHUNK_ROWS);
        let mut copied = Vec::new();
        for (chunk, rows) in rows.axis_chunks_iter(Axis(0), n_together).enumerate() {
            copied.clear();
            copied.extend(rows.iter().map(|&x| coordinate(x)));
            let mut visit = |row, found: &[_]| visit(chunk * n_together + row, found);
            // a search fails only if its context does, and this one is never cancelled
            let _ = search.run(&copied, None, &context, &mut visit);
        }
    }
}
