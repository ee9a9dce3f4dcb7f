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
    /// The nodes of a tree in short.
    short: Vec<u32>,
}

/// The codes of a block of rows, twice: many rows are compared with one node side by side, and one row with many nodes.
#[derive(Debug)]
pub(super) struct Codes<C> {
    /// Slot by slot, [`stride`](Self::stride) for each: no power of two, or those of a row would compete for the same places
    /// of the processor's first cache.
    by_slot: Vec<C>,
    stride: usize,
    /// Row by row, `2^shift` for each, no fewer than there are slots: those of a row lie near each other.
    by_row: Vec<C>,
    shift: u32,
}

impl<C: Code> Codes<C> {
    /// Room for the codes of so many rows, a multiple of [`CHUNK`].
    pub(super) fn new(n_slots: usize, n_rows: usize) -> Self {
        let shift = n_slots.next_power_of_two().ilog2();
        let stride = n_rows + CHUNK;
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

    /// Copies what is there slot by slot, for so many rows.
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
    /// Adds each row's score in a tree, in the order of the rows of the codes.
    pub(super) fn add_tree<C: Code>(
        &mut self,
        tree: TreeView<'_>,
        codes: &Codes<C>,
        sums: &mut [f64],
    ) {
        let n_rows = sums.len();
        self.places.resize(n_rows, 0);
        self.open.resize(n_rows, (0, 0));
        self.first.resize(n_rows, 0);
        if !C::descend(tree, &codes.by_slot, codes.stride, &mut self.first) {
            self.first.fill(0);
        }
        let mut n_open = 0;
        for (row, (place, &first)) in self.places.iter_mut().zip(&self.first).enumerate() {
            *place = u32::from(first);
            self.open[n_open] = (*place, row as u32);
            n_open += usize::from(!tree.nodes[usize::from(first)].is_leaf());
        }
        let code = |row: u32, slot: usize| codes.by_row[((row as usize) << codes.shift) + slot];
        let mut short = std::mem::take(&mut self.short);
        if shorten::<C>(tree, &mut short) {
            let step = |place: u32, row: u32| {
                let node = short[place as usize];
                let is_above = code(row, (node >> 8) as usize & 0xff).into() > node as u16 & 0xff;
                (node >> 16) + u32::from(is_above)
            };
            self.walk(n_open, step, |place| short[place as usize] >> 16 == place);
        } else {
            let step = |place: u32, row: u32| {
                let node = tree.nodes[place as usize];
                next(place, node, code(row, node.slot()))
            };
            self.walk(n_open, step, |place| tree.nodes[place as usize].is_leaf());
        }
        self.short = short;
        for (sum, &place) in sums.iter_mut().zip(&self.places) {
            *sum += f64::from(tree.nodes[place as usize].score());
        }
    }

    /// Walks the open rows down to their leaves, where steps do not lead away from.
    #[inline(always)]
    fn walk(
        &mut self,
        mut n_open: usize,
        step: impl Fn(u32, u32) -> u32,
        is_leaf: impl Fn(u32) -> bool,
    ) {
        while n_open > 0 {
            let n_walked = n_open;
            n_open = 0;
            for first in (0..n_walked).step_by(LANES) {
                let n_lanes = LANES.min(n_walked - first);
                let mut lanes = [(0, 0); LANES];
                lanes[..n_lanes].copy_from_slice(&self.open[first..first + n_lanes]);
                for _ in 0..STRIDE {
                    for (place, row) in &mut lanes {
                        *place = step(*place, *row);
                    }
                }
                for &(place, row) in &lanes[..n_lanes] {
                    self.places[row as usize] = place;
                    self.open[n_open] = (place, row);
                    n_open += usize::from(!is_leaf(place));
                }
            }
        }
    }
}

/// Packs the nodes of a tree into half the bytes, so that more of them stay near: the left child in the upper half, the slot,
/// the code. A leaf is its own child and has the code 255, which no other exceeds. False where the tree does not fit.
fn shorten<C: Code>(tree: TreeView<'_>, short: &mut Vec<u32>) -> bool {
    short.clear();
    if size_of::<C>() > 1 || tree.nodes.len() > 1 << 16 {
        return false;
    }
    short.extend(tree.nodes.iter().zip(0..).map(|(node, place)| {
        if node.is_leaf() {
            place << 16 | 0xff
        } else {
            node.child() << 16 | (node.slot() as u32 & 0xff) << 8 | u32::from(node.code())
        }
    }));
    tree.nodes.iter().all(|node| node.slot() <= 0xff)
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
