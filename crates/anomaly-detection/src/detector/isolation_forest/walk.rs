//! Tree traversal, interleaved over several rows so that their loads overlap.
//!
//! Path lengths are single-precision numbers below 2^8, and at most 2^14 of them are added in double precision. The sum is
//! exact, so neither the order of the trees nor that of the traversal changes a score.

use super::BLOCK;

/// The number of interleaved traversals.
const LANES: usize = 16;

/// A tree that can be traversed. A leaf is its own child.
pub(super) trait Tree {
    /// The root.
    const ROOT: u32;
    /// The number of steps after which every row is at a leaf.
    fn depth(&self) -> u32;
    /// The child of a node for a row with these values.
    fn step(&self, node: u32, value: impl Fn(u32) -> f32) -> u32;
    /// The path length of a leaf.
    fn path(&self, leaf: u32) -> f32;
}

/// Adds the path lengths of the first `n` rows of a block, given feature by feature.
#[inline]
pub(super) fn add_block(tree: &impl Tree, block: &[f32], sums: &mut [f64]) {
    for (lane, sums) in sums.chunks_mut(LANES).enumerate() {
        add_lanes(tree, &block[lane * LANES..], sums);
    }
}

#[inline]
fn add_lanes<T: Tree>(tree: &T, block: &[f32], sums: &mut [f64]) {
    let mut nodes = [T::ROOT; LANES];
    for _ in 0..tree.depth() {
        for (lane, node) in nodes.iter_mut().enumerate() {
            *node = tree.step(*node, |feature| block[feature as usize * BLOCK + lane]);
        }
    }
    for (sum, node) in sums.iter_mut().zip(nodes) {
        *sum += f64::from(tree.path(node));
    }
}

/// The sum of the path lengths of one row over all trees, which have the same depth.
#[inline]
pub(super) fn sum_row<T: Tree>(n_trees: usize, tree: impl Fn(usize) -> T, row: &[f32]) -> f64 {
    let mut sum = 0.0;
    for first in (0..n_trees).step_by(LANES) {
        let n_lanes = LANES.min(n_trees - first);
        let mut nodes = [T::ROOT; LANES];
        let depth = tree(first).depth();
        for _ in 0..depth {
            for (lane, node) in nodes[..n_lanes].iter_mut().enumerate() {
                *node = tree(first + lane).step(*node, |feature| row[feature as usize]);
            }
        }
        for (lane, &node) in nodes[..n_lanes].iter().enumerate() {
            sum += f64::from(tree(first + lane).path(node));
        }
    }
    sum
}
