//! Tree traversal, interleaved over many rows so that their loads overlap.

use super::groups::Groups;
use super::outcomes::CODES;
use super::tree::{Node, TreeView, Trees};
use super::windows::Windows;

/// How many rows pass through the first window at a time. Full chunks are a multiple of this.
pub(super) const TILE: usize = 64;

/// The number of interleaved traversals.
const LANES: usize = 16;

/// Steps between checks for finished traversals.
const STRIDE: usize = 3;

/// A code, of 8 bits if these are enough or else of 16.
pub(super) trait Code: Copy + Default + Into<u16> {
    /// A code that is known to fit.
    fn new(code: u16) -> Self;

    /// The codes, if they have 8 bits.
    fn narrow(codes: &Codes<Self>) -> Option<&Codes<u8>>;
}

impl Code for u8 {
    #[inline(always)]
    fn new(code: u16) -> Self {
        code as u8
    }

    fn narrow(codes: &Codes<Self>) -> Option<&Codes<u8>> {
        Some(codes)
    }
}

impl Code for u16 {
    #[inline(always)]
    fn new(code: u16) -> Self {
        code
    }

    fn narrow(_: &Codes<Self>) -> Option<&Codes<u8>> {
        None
    }
}

/// The child of a node for a row; a leaf is its own child.
#[inline(always)]
fn next(place: u32, node: Node, code: impl Into<u16>) -> u32 {
    let child = node
        .child()
        .wrapping_add(u32::from(code.into() > node.code()));
    if node.is_leaf() { place } else { child }
}

/// The state of the rows that traverse a tree, with buffers that are reused for the next tree.
#[derive(Debug, Default)]
pub(super) struct Walks {
    groups: Groups,
    /// The node and the index of each row that has not reached a leaf.
    open: Vec<(u32, u32)>,
    /// The rows that were open at the start.
    opened: Vec<u32>,
    /// The current node or the leaf of each of these rows.
    places: Vec<u32>,
}

/// The codes of a chunk of rows in two layouts: to compare many rows with one node, and one row with many nodes.
#[derive(Debug)]
pub(super) struct Codes<C> {
    /// The codes slot by slot, [`stride`](Self::stride) for each slot. The stride is not a power of two, since the codes of a row
    /// would otherwise share the same sets of the first-level cache.
    by_slot: Vec<C>,
    stride: usize,
    /// The codes row by row, `2^shift` for each row, which is at least the number of slots and [`CODES`].
    by_row: Vec<C>,
    shift: u32,
}

impl<C: Code> Codes<C> {
    /// Room for the codes of this many rows, a multiple of [`TILE`].
    pub(super) fn new(n_slots: usize, n_rows: usize) -> Self {
        let shift = n_slots.next_power_of_two().max(CODES).ilog2();
        let stride = n_rows + TILE;
        Self {
            by_slot: vec![C::default(); n_slots * stride],
            stride,
            by_row: vec![C::default(); n_rows << shift],
            shift,
        }
    }

    /// Room for the codes of a slot.
    pub(super) fn slot_mut(&mut self, slot: usize) -> &mut [C] {
        &mut self.by_slot[slot * self.stride..][..self.stride]
    }

    pub(super) fn n_slots(&self) -> usize {
        self.by_slot.len() / self.stride
    }

    /// The codes slot by slot from a row on, and the stride from one slot to the next.
    pub(super) fn by_slot(&self, row: usize) -> (&[C], usize) {
        (&self.by_slot[row..], self.stride)
    }

    /// The codes row by row in groups of [`CODES`], and the shift for `2^shift` such groups per row.
    pub(super) fn by_row(&self) -> (&[[C; CODES]], u32) {
        (self.by_row.as_chunks().0, self.shift - CODES.ilog2())
    }

    /// Copies the codes of this many rows from the layout by slot to that by row.
    pub(super) fn copy_to_rows(&mut self, n_rows: usize) {
        for (slot, codes) in self.by_slot.chunks_exact(self.stride).enumerate() {
            let places = self.by_row[slot..].iter_mut().step_by(1 << self.shift);
            for (place, &code) in places.zip(&codes[..n_rows]) {
                *place = code;
            }
        }
    }
}

impl Walks {
    /// Adds each row's score in a tree, in row order. Windows exist for 8-bit codes only.
    pub(super) fn add_tree<C: Code>(
        &mut self,
        (trees, index): (&Trees, usize),
        windows: Option<&Windows>,
        codes: &Codes<C>,
        sums: &mut [f64],
    ) {
        let tree = trees.tree(index);
        self.open.clear();
        if let (Some(narrow), Some(windows)) = (C::narrow(codes), windows) {
            let windows = windows.of_tree(index);
            self.groups
                .add_tree(tree, windows, narrow, sums, &mut self.open);
        } else {
            self.open.extend((0..sums.len() as u32).map(|row| (0, row)));
        }
        self.opened.clear();
        self.opened.extend(self.open.iter().map(|&(_, row)| row));
        self.places.resize(sums.len(), 0);
        self.walk(tree.nodes, codes);
        for &row in &self.opened {
            let leaf = tree.nodes[self.places[row as usize] as usize];
            sums[row as usize] += f64::from(leaf.score());
        }
    }

    /// Moves the open rows down to their leaves.
    fn walk(&mut self, nodes: &[Node], codes: &Codes<impl Code>) {
        let code = |row: u32, slot: usize| codes.by_row[((row as usize) << codes.shift) + slot];
        let mut n_open = self.open.len();
        while n_open > 0 {
            let n_walked = n_open;
            n_open = 0;
            for first in (0..n_walked).step_by(LANES) {
                let n_lanes = LANES.min(n_walked - first);
                let mut lanes = [(0, 0); LANES];
                lanes[..n_lanes].copy_from_slice(&self.open[first..first + n_lanes]);
                for _ in 0..STRIDE {
                    for (place, row) in &mut lanes {
                        let node = nodes[*place as usize];
                        *place = next(*place, node, code(*row, node.slot()));
                    }
                }
                for &(place, row) in &lanes[..n_lanes] {
                    self.places[row as usize] = place;
                    self.open[n_open] = (place, row);
                    n_open += usize::from(!nodes[place as usize].is_leaf());
                }
            }
        }
    }
}

/// The sum of a row's scores in all trees, added in their order, given the row's code for each slot.
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
