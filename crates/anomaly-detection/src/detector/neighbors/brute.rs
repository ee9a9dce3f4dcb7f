//! Brute-force search for many features, where bounding boxes prune little. Blocks of points that fit in the cache are compared
//! with a batch of queries, the nearest block first, so that other blocks can be skipped or filtered.

pub(super) use super::blocks::BLOCK;
use super::blocks::{Blocks, Centred};
use super::kernel::Kernel;
use super::nearest::Nearest;
use super::points::Points;
use super::search::Query;
use crate::context::Context;
use crate::error::Result;

/// The most queries that are searched for together.
pub(super) const BATCH: usize = 16;

/// The brute-force search, derived from [`Points`] and therefore always valid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Brute {
    blocks: Blocks,
}

impl Brute {
    pub(super) fn new(points: &Points, context: &Context) -> Result<Self> {
        let blocks = Blocks::new(points, context)?;
        Ok(Self { blocks })
    }

    pub(super) fn scratch(&self) -> Centred {
        Centred::new(self.blocks.n_features())
    }

    /// The block to search first for a row.
    #[inline(always)]
    pub(super) fn home(&self, row: &[f64]) -> usize {
        self.blocks.nearest(row)
    }

    /// Finds the nearest points of each of up to [`BATCH`] queries.
    #[inline(always)]
    pub(super) fn search<K: Kernel>(
        &self,
        kernel: K,
        points: &Points,
        queries: &[Query<'_>],
        centred: &mut Centred,
        best: &mut [Nearest],
        context: &Context,
    ) -> Result<()> {
        for (query, best) in queries.iter().zip(&mut *best) {
            best.clear();
            centred.clear();
            self.blocks
                .scan(kernel, query.home, points, *query, centred, best);
        }
        for block in 0..self.blocks.len() {
            context.check()?;
            for (query, best) in queries.iter().zip(&mut *best) {
                if block != query.home {
                    centred.clear();
                    self.blocks
                        .scan(kernel, block, points, *query, centred, best);
                }
            }
        }
        Ok(())
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.blocks.size_bytes()
    }
}
