//! Walking rows down trees: many walks at a time, so that the look-ups of one wait beside those of others.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::tree::{Node, TreeView, Trees};

/// The number of rows in a block is a multiple of this, or the block is not full.
pub(super) const CHUNK: usize = 64;

/// Walks that are interleaved.
const LANES: usize = 16;

/// Steps between looks at which walks have ended.
const STRIDE: usize = 3;

/// A code, of 8 bits where these suffice.
pub(super) trait Code: Copy + Default + Into<u16> {
    /// A code that is known to fit.
    fn new(code: u16) -> Self;

    /// Walks rows down the first nodes of a tree, many at once, where that can be done: the place of each row in `places`. The
    /// codes are laid out slot by slot, `stride` for each, a multiple of [`CHUNK`] that no row exceeds.
    fn descend(tree: TreeView<'_>, codes: &[Self], stride: usize, places: &mut [u8]) -> bool;
}

impl Code for u8 {
    #[inline(always)]
    fn new(code: u16) -> Self {
        code as u8
    }

    fn descend(tree: TreeView<'_>, codes: &[Self], stride: usize, places: &mut [u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if avx2::descend(tree, codes, stride, places) {
            return true;
        }
        let _ = (tree, codes, stride, places);
        false
    }
}

impl Code for u16 {
    #[inline(always)]
    fn new(code: u16) -> Self {
        code
    }

    fn descend(_: TreeView<'_>, _: &[Self], _: usize, _: &mut [u8]) -> bool {
        false
    }
}

/// Where a row goes from a node; it stays at a leaf.
#[inline(always)]
fn next(place: u32, node: Node, code: impl Into<u16>) -> u32 {
    let child = node
        .child()
        .wrapping_add(u32::from(code.into() > node.code()));
    if node.is_leaf() { place } else { child }
}

/// Rows on their way down a tree.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// Where each row is that has not ended, and which it is.
    open: Vec<(u32, u32)>,
    /// Where each row is or has ended.
    places: Vec<u32>,
    /// Where each row is after the first nodes.
    first: Vec<u8>,
}

impl Walks {
    /// Adds each row's score in a tree. The codes are laid out slot by slot, `2^shift` for each, at least
    /// [`CHUNK`] and no fewer than there are rows.
    pub(super) fn add_tree<C: Code>(
        &mut self,
        tree: TreeView<'_>,
        codes: &[C],
        shift: u32,
        sums: &mut [f64],
    ) {
        let n_rows = sums.len();
        let stride = 1 << shift;
        self.places.resize(n_rows, 0);
        self.open.resize(n_rows, (0, 0));
        self.first.resize(n_rows, 0);
        if !C::descend(tree, codes, stride, &mut self.first) {
            self.first.fill(0);
        }
        let mut n_open = 0;
        for (row, (place, &first)) in self.places.iter_mut().zip(&self.first).enumerate() {
            *place = u32::from(first);
            self.open[n_open] = (*place, row as u32);
            n_open += usize::from(!tree.nodes[usize::from(first)].is_leaf());
        }
        let step = |(place, row): (u32, u32)| {
            let node = tree.nodes[place as usize];
            let code = codes[(node.slot() << shift) + row as usize];
            (next(place, node, code), row)
        };
        while n_open > 0 {
            let n_walked = n_open;
            n_open = 0;
            for first in (0..n_walked).step_by(LANES) {
                let n_lanes = LANES.min(n_walked - first);
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
        }
        for (sum, &place) in sums.iter_mut().zip(&self.places) {
            *sum += f64::from(tree.nodes[place as usize].score());
        }
    }
}

/// The sum of a row's scores in all trees, in their order; the row has one code for each slot.
pub(super) fn sum_row(trees: &Trees, codes: &[impl Code]) -> f64 {
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
                let next = next(*place, node, codes[node.slot()]);
                moved |= next ^ *place;
                *place = next;
            }
            if moved == 0 {
                break;
            }
        }
        for (tree, leaf) in views.iter().zip(places).take(last + 1 - first) {
            sum += f64::from(tree.nodes[leaf as usize].score());
        }
    }
    sum
}
