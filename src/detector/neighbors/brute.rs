//! Looking at all points, for many features, where boxes keep little away: blocks of points small enough for the cache are
//! compared with a batch of queries. The nearest block comes first, so that the others can be skipped or filtered.

use super::blocks::{BLOCK, Blocks, Centred, Query};
use super::kernel::Kernel;
use super::nearest::Nearest;
use super::points::Points;
use crate::context::Context;
use crate::error::Result;

/// The most queries that are searched for together.
pub(super) const BATCH: usize = 16;

/// A derivative of [`Points`]; sound by construction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Brute {
    blocks: Blocks,
}

impl Brute {
    pub(super) fn new(points: &Points) -> Self {
        Self {
            blocks: Blocks::new(points),
        }
    }

    pub(super) fn scratch(&self) -> Centred {
        Centred::new(self.blocks.n_features())
    }

    /// Finds the nearest points of each query.
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
        let mut homes = [0; BATCH];
        for ((query, best), home) in queries.iter().zip(&mut *best).zip(&mut homes) {
            *home = match query.own {
                Some(position) => position / BLOCK,
                None => self.blocks.nearest(query.row),
            };
            best.clear();
            centred.clear();
            self.blocks
                .scan(kernel, *home, points, *query, centred, best);
        }
        for block in 0..self.blocks.len() {
            context.check()?;
            for ((query, best), &home) in queries.iter().zip(&mut *best).zip(&homes) {
                if block != home {
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
