//! Tree traversal in groups: all rows pass through the first window together, and then the rows that leave it at the same node
//! pass through the next window together.

use std::hint::black_box;

use super::outcomes::{CODES, GATHERED, Outcomes, STAY, choose, transpose};
use super::tree::{Node, TreeView};
use super::walk::{Codes, TILE};
use super::windows::WindowView;

/// The cost of walking one row to its leaf, in comparisons of gathered rows with a split.
const WALK: usize = 8;

/// The cost of gathering rows for each [`CODES`] slots, in the same unit.
const GATHERING: usize = 20;

/// Buffers, which are reused for the next tree.
#[derive(Debug)]
pub(super) struct Groups {
    first: Box<Outcomes<TILE>>,
    outcomes: Box<Outcomes<GATHERED>>,
    /// The node at which each row leaves the first window.
    exits: Vec<u8>,
    /// The rows, sorted by that node.
    rows: Vec<u16>,
    /// The codes of gathered rows, slot by slot.
    gathered: Vec<[[u8; GATHERED]; CODES]>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            first: Box::new([[0; TILE]; 256]),
            outcomes: Box::new(STAY),
            exits: Vec::new(),
            rows: Vec::new(),
            gathered: Vec::new(),
        }
    }
}

impl Groups {
    /// Adds the score of each row that reaches a leaf within the windows. The others go to `open`, each with its current node.
    pub(super) fn add_tree<'a>(
        &mut self,
        tree: TreeView<'_>,
        mut windows: impl Iterator<Item = WindowView<'a>>,
        codes: &Codes<u8>,
        sums: &mut [f64],
        open: &mut Vec<(u32, u32)>,
    ) {
        let Some(first) = windows.next() else {
            return;
        };
        self.leave_first(first, codes, sums.len());
        let ends = self.sort(sums.len());
        prefetch(tree.nodes);
        let mut is_entered = [false; 256];
        self.gathered
            .resize(codes.n_slots().div_ceil(CODES), [[0; GATHERED]; CODES]);
        for window in windows {
            let root = window.root as usize;
            let group = group_of(&self.rows, &ends, root);
            is_entered[root] = true;
            self.outcomes[..window.n_nodes].copy_from_slice(&STAY[..window.n_nodes]);
            for rows in group.chunks(GATHERED) {
                let cost = GATHERING * self.gathered.len() + window.splits.len();
                if rows.len() * WALK < cost {
                    open.extend(rows.iter().map(|&row| (window.root, u32::from(row))));
                    continue;
                }
                gather(codes, rows, &mut self.gathered);
                let gathered = self.gathered.as_flattened().as_flattened();
                choose(window.splits, gathered, GATHERED, &mut self.outcomes);
                for (&row, &outcome) in rows.iter().zip(&self.outcomes[0]) {
                    let place = window.base + u32::from(outcome);
                    let node = tree.nodes[place as usize];
                    if node.is_leaf() {
                        sums[usize::from(row)] += f64::from(node.score());
                    } else {
                        open.push((place, u32::from(row)));
                    }
                }
            }
        }
        for (place, node) in tree.nodes[..first.n_nodes].iter().enumerate() {
            let group = group_of(&self.rows, &ends, place);
            if node.is_leaf() {
                let score = f64::from(node.score());
                group
                    .iter()
                    .for_each(|&row| sums[usize::from(row)] += score);
            } else if !is_entered[place] {
                open.extend(group.iter().map(|&row| (place as u32, u32::from(row))));
            }
        }
    }

    /// Moves all rows through the first window.
    fn leave_first(&mut self, window: WindowView<'_>, codes: &Codes<u8>, n_rows: usize) {
        for (node, outcomes) in self.first[..window.n_nodes].iter_mut().enumerate() {
            *outcomes = [node as u8; TILE];
        }
        self.exits.resize(n_rows, 0);
        for (tile, exits) in self.exits.chunks_mut(TILE).enumerate() {
            let (codes, stride) = codes.by_slot(tile * TILE);
            choose(window.splits, codes, stride, &mut self.first);
            exits.copy_from_slice(&self.first[0][..exits.len()]);
        }
    }

    /// Sorts the rows by the nodes at which they leave, and returns where the rows of each node end.
    fn sort(&mut self, n_rows: usize) -> [u32; 256] {
        // two sets of counts, because reading one that has just been written is slow
        let mut counts = [[0_u32; 256]; 2];
        for pair in self.exits.chunks(2) {
            for (counts, &exit) in counts.iter_mut().zip(pair) {
                counts[usize::from(exit)] += 1;
            }
        }
        let mut sum = 0;
        let mut ends: [u32; 256] = std::array::from_fn(|exit| {
            let start = sum;
            sum += counts[0][exit] + counts[1][exit];
            start
        });
        self.rows.resize(n_rows, 0);
        for (row, &exit) in self.exits.iter().enumerate() {
            let end = &mut ends[usize::from(exit)];
            self.rows[*end as usize] = row as u16;
            *end += 1;
        }
        ends
    }
}

/// Reads all nodes in order, which loads them into the cache faster than random access does.
fn prefetch(nodes: &[Node]) {
    let lines = nodes.iter().step_by(64 / size_of::<Node>());
    black_box(lines.fold(0, |bits, node| bits ^ node.child()));
}

/// The rows that leave at a node, given where those of each node end.
fn group_of<'a>(rows: &'a [u16], ends: &[u32; 256], node: usize) -> &'a [u16] {
    let start = if node == 0 { 0 } else { ends[node - 1] };
    &rows[start as usize..ends[node] as usize]
}

/// Gathers the codes of up to [`GATHERED`] rows, at least one.
fn gather(codes: &Codes<u8>, rows: &[u16], gathered: &mut [[[u8; GATHERED]; CODES]]) {
    let (codes, shift) = codes.by_row();
    let mut starts = [usize::from(rows[0]) << shift; GATHERED];
    for (start, &row) in starts.iter_mut().zip(rows) {
        *start = usize::from(row) << shift;
    }
    for (part, slots) in gathered.iter_mut().enumerate() {
        let mut parts = [&[0; CODES]; GATHERED];
        for (codes_of_row, start) in parts.iter_mut().zip(starts) {
            *codes_of_row = &codes[start + part];
        }
        transpose(&parts, slots);
    }
}
