//! Shallow trees, each padded to a perfect binary tree in heap order.

use serde::{Deserialize, Deserializer, Serialize};

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::grow::{AxisSplit, Layout};
use super::path::is_path_length;
use super::walk::{self, Tree};
#[cfg(target_arch = "x86_64")]
use crate::detector::simd::Avx2;
use crate::le_bytes::{self, LeNumber};

/// The largest depth of trees that are padded; deeper ones would be mostly padding.
pub(super) const MAX_DEPTH: u32 = 10;

/// Rows whose value of the feature exceeds the threshold go to the second child.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(8))]
pub(super) struct Node {
    pub(super) threshold: f32,
    pub(super) feature: u32,
}

impl LeNumber for Node {
    const SIZE: usize = 8;
    fn put(self, out: &mut Vec<u8>) {
        self.threshold.put(out);
        self.feature.put(out);
    }
    fn get(bytes: &[u8]) -> Self {
        Self {
            threshold: f32::get(&bytes[..4]),
            feature: u32::get(&bytes[4..8]),
        }
    }
}

/// Trees of the same depth, concatenated. A tree has `2^depth` slots for nodes, where the root is 1 (0 is unused) and the
/// children of `i` are `2i` and `2i + 1`, and `2^depth` leaves.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct PerfectTrees {
    slots: Slots,
    /// All nodes split on features below this. Unchecked reads rely on it: it is computed from the nodes, which never change
    /// afterwards.
    #[serde(skip)]
    n_features: usize,
}

/// The nodes and leaves of trees, grown or being grown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slots {
    depth: u32,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    #[serde(with = "le_bytes")]
    leaves: Vec<f32>,
}

impl From<Slots> for PerfectTrees {
    fn from(slots: Slots) -> Self {
        let features = slots.nodes.iter().map(|node| node.feature as usize);
        let n_features = features.max().map_or(0, |last| last + 1);
        Self { slots, n_features }
    }
}

impl<'de> Deserialize<'de> for PerfectTrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Slots::deserialize(deserializer).map(Self::from)
    }
}

impl PerfectTrees {
    /// Calls `grow` for each tree, all of which start as padding only.
    pub(super) fn grow<E>(
        n_trees: usize,
        depth: u32,
        grow: impl FnOnce(&mut [GrowingTree<'_>]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let padding = Node {
            threshold: f32::MAX,
            feature: 0,
        };
        let mut slots = Slots {
            depth,
            nodes: vec![padding; n_trees << depth],
            leaves: vec![0.0; n_trees << depth],
        };
        let nodes = slots.nodes.chunks_exact_mut(1 << depth);
        let trees = nodes.zip(slots.leaves.chunks_exact_mut(1 << depth));
        let mut growing: Vec<_> = trees
            .map(|(nodes, leaves)| GrowingTree {
                depth,
                nodes,
                leaves,
            })
            .collect();
        grow(&mut growing)?;
        Ok(slots.into())
    }

    pub(super) fn tree(&self, index: usize) -> PerfectTree<'_> {
        let depth = self.slots.depth;
        let slots = index << depth..(index + 1) << depth;
        PerfectTree {
            depth,
            nodes: &self.slots.nodes[slots.clone()],
            leaves: &self.slots.leaves[slots],
        }
    }

    pub(super) fn depth(&self) -> u32 {
        self.slots.depth
    }

    pub(super) fn n_trees(&self) -> usize {
        self.slots.leaves.len() >> self.slots.depth
    }

    /// The number of features that a block needs: all nodes split on features below it.
    pub(super) fn n_features(&self) -> usize {
        self.n_features
    }

    /// Adds the path lengths of each row; the block is laid out feature by feature.
    pub(super) fn add_block(&self, block: &[f32], sums: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        if let (true, Some(avx2)) = (avx2::takes(self.depth()), Avx2::detect()) {
            return avx2::add_block(avx2, self, block, sums);
        }
        self.add_block_portably(block, sums);
    }

    /// The portable version.
    pub(super) fn add_block_portably(&self, block: &[f32], sums: &mut [f64]) {
        for index in 0..self.n_trees() {
            walk::add_block(&self.tree(index), block, sums);
        }
    }

    /// The sum of one row's path lengths.
    pub(super) fn sum_row(&self, row: &[f32]) -> f64 {
        walk::sum_row(self.n_trees(), |index| self.tree(index), row)
    }

    /// What is wrong with deserialised trees, if anything.
    pub(super) fn fault(&self, n_trees: usize, n_features: usize) -> Option<&'static str> {
        let Slots {
            depth,
            nodes,
            leaves,
        } = &self.slots;
        if !(1..=MAX_DEPTH).contains(depth) {
            return Some("the depth of the trees is out of range");
        }
        let n_slots = n_trees << depth;
        if nodes.len() != n_slots || leaves.len() != n_slots {
            return Some(
                "the trees do not have the number of nodes and leaves that their depth asks for",
            );
        }
        if !nodes.iter().all(|node| node.threshold.is_finite()) {
            return Some("a threshold is not finite");
        }
        if self.n_features > n_features {
            return Some("a node splits on a feature that does not exist");
        }
        if !leaves.iter().all(|&path| is_path_length(path)) {
            return Some("a path length is out of range");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.slots.nodes) + size_of_val(&*self.slots.leaves)
    }
}

/// A tree under construction.
pub(super) struct GrowingTree<'a> {
    depth: u32,
    nodes: &'a mut [Node],
    leaves: &'a mut [f32],
}

impl Layout<AxisSplit> for GrowingTree<'_> {
    const ROOT: u32 = 1;

    fn branch(&mut self, node: u32, AxisSplit { feature, threshold }: AxisSplit) -> [u32; 2] {
        self.nodes[node as usize] = Node { threshold, feature };
        [2 * node, 2 * node + 1]
    }

    /// Fills all slots below the leaf with its path: padding may lead to any of them.
    fn leaf(&mut self, node: u32, depth: u32, path: f32) {
        let below = self.depth - depth;
        let first = ((node as usize) << below) - self.leaves.len();
        self.leaves[first..first + (1 << below)].fill(path);
    }
}

/// A tree.
pub(super) struct PerfectTree<'a> {
    pub(super) depth: u32,
    /// `2^depth` slots.
    pub(super) nodes: &'a [Node],
    /// `2^depth` path lengths.
    pub(super) leaves: &'a [f32],
}

impl Tree for PerfectTree<'_> {
    const ROOT: u32 = 1;

    #[inline]
    fn depth(&self) -> u32 {
        self.depth
    }

    #[inline]
    fn step(&self, node: u32, value: impl Fn(u32) -> f32) -> u32 {
        let Node { threshold, feature } = self.nodes[node as usize];
        2 * node + u32::from(value(feature) > threshold)
    }

    #[inline]
    fn path(&self, leaf: u32) -> f32 {
        self.leaves[leaf as usize - self.leaves.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::BLOCK;
    use super::*;

    fn unsplit(n_trees: usize, depth: u32) -> PerfectTrees {
        PerfectTrees::grow(n_trees, depth, |_| Ok::<_, ()>(())).expect("trees")
    }

    #[test]
    fn damage_is_found() {
        let sound = unsplit(2, 3);
        assert_eq!(sound.fault(2, 5), None);
        assert!(sound.fault(3, 5).is_some());
        let damages: [&dyn Fn(&mut Slots); 9] = [
            &|slots| slots.depth = 0,
            &|slots| slots.depth = 4,
            &|slots| slots.depth = u32::MAX,
            &|slots| slots.nodes.truncate(15),
            &|slots| slots.leaves.push(1.0),
            &|slots| slots.nodes[9].feature = 5,
            &|slots| slots.nodes[1].threshold = f32::NAN,
            &|slots| slots.leaves[3] = f32::NAN,
            &|slots| slots.leaves[3] = -1.0,
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut slots = sound.slots.clone();
            damage(&mut slots);
            let trees = PerfectTrees::from(slots);
            assert!(trees.fault(2, 5).is_some(), "damage {index}");
        }
    }

    #[test]
    fn no_walk_reads_beyond_a_block_or_a_tree() {
        let trees = unsplit(2, 6);
        let mut slots = trees.slots.clone();
        slots.nodes[40].feature = 2;
        let names_a_third_feature = PerfectTrees::from(slots);
        let mut slots = trees.slots.clone();
        slots.nodes.truncate(70);
        let lacks_nodes = PerfectTrees::from(slots);
        let two_features = vec![1.0; 2 * BLOCK];
        let panics = |trees: &PerfectTrees, block: &[f32], n_rows: usize| {
            let walk = || trees.add_block(block, &mut vec![0.0; n_rows]);
            std::panic::catch_unwind(walk).is_err()
        };
        assert!(!panics(&trees, &two_features, BLOCK));
        assert!(panics(&trees, &two_features, BLOCK + 1));
        assert!(panics(&trees, &two_features[..BLOCK - 1], BLOCK));
        assert!(panics(&names_a_third_feature, &two_features, BLOCK));
        assert!(panics(&lacks_nodes, &vec![1.0; 3 * BLOCK], BLOCK));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            for depth in [1, 3] {
                let walk = || {
                    let sums = &mut vec![0.0; BLOCK];
                    avx2::add_block(avx2, &unsplit(2, depth), &two_features, sums);
                };
                assert!(std::panic::catch_unwind(walk).is_err(), "depth {depth}");
            }
        }
    }
}
