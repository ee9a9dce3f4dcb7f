//! Trees with their thresholds, and how they score rows.

use std::sync::OnceLock;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cuts::{Cuts, encode};
use super::tree::Trees;
use super::walk::{self, Code, Codes, TILE, Walks};
use super::windows::Windows;
use crate::context::Context;
use crate::error::Result;

/// The most rows of a chunk, which traverses one tree after the other.
pub(super) const MAX_CHUNK: usize = 8192;

/// The most codes of a chunk, so that they stay in the cache.
const MAX_CODES: usize = 1 << 18;

/// Fewer rows than this are scored one by one.
const FEW: usize = 8;

/// How many rows are scored between two checks of the context.
const BATCH: usize = 1024;

/// Trees and their thresholds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Forest {
    pub(super) cuts: Cuts,
    pub(super) trees: Trees,
    /// Derived from the trees when they first score many rows.
    #[serde(skip)]
    windows: OnceLock<Windows>,
}

impl PartialEq for Forest {
    fn eq(&self, other: &Self) -> bool {
        self.cuts == other.cuts && self.trees == other.trees
    }
}

impl Forest {
    pub(super) fn new(cuts: Cuts, trees: Trees) -> Self {
        Self {
            cuts,
            trees,
            windows: OnceLock::new(),
        }
    }

    /// Its size in bytes once it has scored many rows.
    pub(super) fn size_bytes(&self) -> usize {
        self.cuts.size_bytes() + self.trees.size_bytes() + Windows::most_bytes(&self.trees)
    }

    /// The sum of each row's scores in all trees, added in the order of the trees whatever the other rows.
    pub(super) fn sum_chunk(&self, rows: ArrayView2<'_, f64>, sums: &mut [f64]) {
        if self.cuts.most() <= usize::from(u8::MAX) {
            self.sum_coded::<u8>(rows, sums);
        } else {
            self.sum_coded::<u16>(rows, sums);
        }
    }

    pub(super) fn sum_coded<C: Code>(&self, rows: ArrayView2<'_, f64>, sums: &mut [f64]) {
        // leaves read the code of slot 0, which a forest without splits lacks
        let n_slots = self.cuts.n_slots().max(1);
        if rows.nrows() < FEW {
            let mut codes = vec![C::default(); n_slots];
            for (row, sum) in rows.axis_chunks_iter(Axis(0), 1).zip(sums) {
                for slot in 0..self.cuts.n_slots() {
                    self.encode(row, slot, &mut codes[slot..=slot]);
                }
                *sum = walk::sum_row(&self.trees, &codes);
            }
            return;
        }
        let most = rows.nrows().next_multiple_of(TILE).min(MAX_CHUNK);
        let chunk = (MAX_CODES / n_slots / TILE * TILE).clamp(TILE, most);
        let mut codes = Codes::<C>::new(n_slots, chunk);
        let mut walks = Walks::default();
        let of_trees = || self.windows.get_or_init(|| Windows::new(&self.trees));
        let windows = C::narrow(&codes).map(|_| of_trees());
        for (rows, sums) in rows
            .axis_chunks_iter(Axis(0), chunk)
            .zip(sums.chunks_mut(chunk))
        {
            for slot in 0..self.cuts.n_slots() {
                self.encode(rows, slot, codes.slot_mut(slot));
            }
            codes.copy_to_rows(rows.nrows());
            sums.fill(0.0);
            for index in 0..self.trees.n_trees() {
                walks.add_tree((&self.trees, index), windows, &codes, sums);
            }
        }
    }

    /// The codes of the rows for a slot.
    fn encode<C: Code>(&self, rows: ArrayView2<'_, f64>, slot: usize, codes: &mut [C]) {
        let column = rows.column(self.cuts.features()[slot] as usize);
        let mut codes = codes.iter_mut();
        encode(self.cuts.of_slot(slot), column.iter().copied(), |code| {
            if let Some(out) = codes.next() {
                *out = C::new(code);
            }
        });
    }

    /// The same for many rows, in parallel.
    pub(super) fn sums(&self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; rows.nrows()];
        rows.axis_chunks_iter(Axis(0), BATCH)
            .into_par_iter()
            .zip(sums.par_chunks_mut(BATCH))
            .with_max_len(1)
            .try_for_each(|(rows, sums)| -> Result<()> {
                context.check()?;
                self.sum_chunk(rows, sums);
                Ok(())
            })?;
        Ok(sums)
    }

    /// The importance of each feature: its mean decrease of impurity over all trees with splits. They sum to 1 if there is any
    /// split.
    pub(super) fn importances(&self, n_features: usize) -> Vec<f64> {
        let mut importances = vec![0.0; n_features];
        for index in 0..self.trees.n_trees() {
            let tree = self.trees.tree(index);
            let splits = tree.nodes.iter().filter(|node| !node.is_leaf());
            for (node, &share) in splits.zip(tree.shares) {
                let feature = self.cuts.features()[node.slot()];
                importances[feature as usize] += f64::from(share);
            }
        }
        let sum: f64 = importances.iter().sum();
        if sum > 0.0 {
            importances.iter_mut().for_each(|x| *x /= sum);
        }
        importances
    }
}
