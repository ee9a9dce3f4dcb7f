//! Walking rows down trees: many walks at a time, so that the look-ups of one wait beside those of others.

use super::tree::{Node, TreeView, Trees};

/// Walks that are interleaved.
const LANES: usize = 16;

/// Steps between looks at which walks have ended.
const STRIDE: usize = 4;

#[inline(always)]
fn next(node: Node, code: u16) -> u32 {
    node.child + u32::from(code > node.code)
}

/// Rows on their way down a tree: where each is, and which it is.
#[derive(Debug, Default)]
pub(super) struct Walks {
    open: Vec<(u32, u32)>,
    places: Vec<u32>,
}

impl Walks {
    /// Adds each row's score in a tree. The codes are laid out row by row, `n_slots` for each.
    pub(super) fn add_tree(
        &mut self,
        tree: TreeView<'_>,
        codes: &[u16],
        n_slots: usize,
        sums: &mut [f64],
    ) {
        let step = |(place, row): (u32, u32)| {
            let node = tree.nodes[place as usize];
            let code = codes[row as usize + usize::from(node.slot)];
            (next(node, code), row)
        };
        // a row is named by where its codes start
        self.open.clear();
        self.open
            .extend((0..sums.len() as u32).map(|row| (0, row * n_slots as u32)));
        self.places.resize(codes.len(), 0);
        while !self.open.is_empty() {
            let mut n_open = 0;
            for first in (0..self.open.len()).step_by(LANES) {
                let n_lanes = LANES.min(self.open.len() - first);
                let mut lanes = [(0, 0); LANES];
                lanes[..n_lanes].copy_from_slice(&self.open[first..first + n_lanes]);
                for _ in 0..STRIDE {
                    lanes.iter_mut().for_each(|lane| *lane = step(*lane));
                }
                for &(place, row) in &lanes[..n_lanes] {
                    self.places[row as usize] = place;
                    self.open[n_open] = (place, row);
                    n_open += usize::from(!tree.nodes[place as usize].is_leaf());
                }
            }
            self.open.truncate(n_open);
        }
        for (sum, row) in sums.iter_mut().zip(self.places.iter().step_by(n_slots)) {
            *sum += f64::from(tree.values[*row as usize]);
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
        let mut places = [0_u32; LANES];
        loop {
            let mut moved = 0;
            for (place, tree) in places.iter_mut().zip(&views) {
                let node = tree.nodes[*place as usize];
                let next = next(node, codes[usize::from(node.slot)]);
                moved |= next ^ *place;
                *place = next;
            }
            if moved == 0 {
                break;
            }
        }
        for (tree, leaf) in views.iter().zip(places).take(last + 1 - first) {
            sum += f64::from(tree.values[leaf as usize]);
        }
    }
    sum
}
