//! A search for the nearest points of rows, compiled for the processor that it runs on.

use super::Layout;
use super::blocks::Centred;
use super::brute::{self, Brute};
use super::kd_tree::{self, KdTree};
use super::kernel::Kernel;
use super::nearest::{Nearest, Neighbor};
use super::points::Points;
use crate::context::Context;
use crate::detector::simd::with_simd;
use crate::error::Result;

/// A row whose neighbours are searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// Its index among the rows of the search.
    pub(super) index: usize,
    pub(super) row: &'a [f64],
    /// The position of the row's own point, one copy of which is not counted as a neighbour; `None` for rows that are not
    /// points.
    pub(super) own: Option<usize>,
    /// The block or the leaf to search first.
    pub(super) home: usize,
}

/// A search with its reusable buffers.
pub(super) struct Search<'a> {
    points: &'a Points,
    layout: SearchLayout<'a>,
    best: Vec<Nearest>,
}

enum SearchLayout<'a> {
    Tree(&'a KdTree, kd_tree::Scratch),
    Brute(&'a Brute, Centred),
}

impl<'a> Search<'a> {
    pub(super) fn new(points: &'a Points, layout: &'a Layout, n_neighbors: usize) -> Self {
        let (layout, n_together) = match layout {
            Layout::Tree(tree) => (SearchLayout::Tree(tree, tree.scratch()), 1),
            Layout::Brute(brute) => (SearchLayout::Brute(brute, brute.scratch()), brute::BATCH),
        };
        Self {
            points,
            layout,
            best: vec![Nearest::new(n_neighbors); n_together],
        }
    }

    /// Calls `visit` with the index and the neighbours of each row, in any order. If the rows are points of the index, `own` is
    /// the position of the first.
    pub(super) fn run(
        &mut self,
        rows: &[f64],
        own: Option<usize>,
        context: &Context,
        visit: &mut dyn FnMut(usize, &[Neighbor]),
    ) -> Result<()> {
        with_simd!(kernel => self.run_with(kernel, rows, own, context, visit))
    }

    #[inline(always)]
    pub(super) fn run_with<K: Kernel>(
        &mut self,
        kernel: K,
        rows: &[f64],
        own: Option<usize>,
        context: &Context,
        visit: &mut dyn FnMut(usize, &[Neighbor]),
    ) -> Result<()> {
        let points = self.points;
        let d = points.n_features();
        let mut queries = Vec::with_capacity(rows.len() / d);
        for (index, row) in rows.chunks_exact(d).enumerate() {
            let own = own.map(|first| first + index);
            let home = match (&mut self.layout, own) {
                (SearchLayout::Tree(..), Some(position)) => position / kd_tree::LEAF,
                (SearchLayout::Tree(tree, scratch), None) => tree.home(kernel, row, scratch),
                (SearchLayout::Brute(..), Some(position)) => position / brute::BLOCK,
                (SearchLayout::Brute(brute, _), None) => brute.home(row),
            };
            queries.push(Query {
                index,
                row,
                own,
                home,
            });
        }
        // queries that are near each other need the same points, which then are in the cache
        queries.sort_unstable_by_key(|query| (query.home, query.index));
        match &mut self.layout {
            SearchLayout::Tree(tree, scratch) => {
                let best = &mut self.best[0];
                for query in queries {
                    tree.search(kernel, points, query, scratch, best);
                    visit(query.index, best.finish());
                }
            }
            SearchLayout::Brute(brute, centred) => {
                for queries in queries.chunks(brute::BATCH) {
                    brute.search(kernel, points, queries, centred, &mut self.best, context)?;
                    for (query, best) in queries.iter().zip(&mut self.best) {
                        visit(query.index, best.finish());
                    }
                }
            }
        }
        Ok(())
    }
}
