//! Walking rows down trees: many walks at a time, so that the look-ups of one wait beside those of others.

use super::BLOCK;
use super::tree::{Node, TreeView, Trees};

/// Walks that are interleaved.
const LANES: usize = 16;

/// Steps between looks at whether all walks have ended.
const STRIDE: usize = 4;

/// Walks until no lane moves any more: `step` tells where a lane goes, and a leaf goes to itself.
#[inline(always)]
fn walk(mut step: impl FnMut(usize, u32) -> u32) -> [u32; LANES] {
    let mut places = [0_u32; LANES];
    loop {
        for _ in 1..STRIDE {
            for (lane, place) in places.iter_mut().enumerate() {
                *place = step(lane, *place);
            }
        }
        let mut moved = 0;
        for (lane, place) in places.iter_mut().enumerate() {
            let next = step(lane, *place);
            moved |= next ^ *place;
            *place = next;
        }
        if moved == 0 {
            return places;
        }
    }
}

#[inline(always)]
fn next(node: Node, code: u16) -> u32 {
    node.child + u32::from(code > node.code)
}

/// Adds each row's score in a tree; the codes of the block are laid out slot by slot, [`BLOCK`] for each.
pub(super) fn add_block(tree: TreeView<'_>, codes: &[u16], sums: &mut [f64]) {
    for (chunk, sums) in sums.chunks_mut(LANES).enumerate() {
        let first = chunk * LANES;
        let leaves = walk(|lane, place| {
            let node = tree.nodes[place as usize];
            next(node, codes[usize::from(node.slot) * BLOCK + first + lane])
        });
        for (sum, leaf) in sums.iter_mut().zip(leaves) {
            *sum += f64::from(tree.values[leaf as usize]);
        }
    }
}

/// The sum of a row's scores in all trees, in their order; the row has one code for each slot.
pub(super) fn sum_row(trees: &Trees, codes: &[u16]) -> f64 {
    let mut sum = 0.0;
    for first in (0..trees.n_trees()).step_by(LANES) {
        let last = trees.n_trees() - 1;
        let views: [TreeView<'_>; LANES] =
            std::array::from_fn(|lane| trees.tree((first + lane).min(last)));
        let leaves = walk(|lane, place| {
            let node = views[lane].nodes[place as usize];
            next(node, codes[usize::from(node.slot)])
        });
        for (tree, leaf) in views.iter().zip(leaves).take(last + 1 - first) {
            sum += f64::from(tree.values[leaf as usize]);
        }
    }
    sum
}
