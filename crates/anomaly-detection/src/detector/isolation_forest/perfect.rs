//! Shallow trees, each padded to a perfect binary tree in heap order.

use serde::{Deserialize, Serialize};

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::grow::{AxisSplit, Layout};
use super::path::is_path_length;
use super::walk::{self, Tree};
use crate::le_bytes::{self, LeNumber};

/// Deeper trees are not padded: they would be mostly padding.
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

/// Trees of the same depth, one after the other. A tree has `2^depth` slots for nodes, where the root is 1 (0 is unused)
/// and the children of `i` are `2i` and `2i + 1`, and `2^depth` leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PerfectTrees {
    depth: u32,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    #[serde(with = "le_bytes")]
    leaves: Vec<f32>,
}

impl PerfectTrees {
    /// Trees that are all padding yet.
    pub(super) fn unsplit(n_trees: usize, depth: u32) -> Self {
        let padding = Node {
            threshold: f32::MAX,
            feature: 0,
        };
        Self {
            depth,
            nodes: vec![padding; n_trees << depth],
            leaves: vec![0.0; n_trees << depth],
        }
    }

    /// The trees, to be grown.
    pub(super) fn growing(&mut self) -> Vec<GrowingTree<'_>> {
        let n_slots = 1 << self.depth;
        self.nodes
            .chunks_exact_mut(n_slots)
            .zip(self.leaves.chunks_exact_mut(n_slots))
            .map(|(nodes, leaves)| GrowingTree {
                depth: self.depth,
                nodes,
                leaves,
            })
            .collect()
    }

    pub(super) fn tree(&self, index: usize) -> PerfectTree<'_> {
        let slots = index << self.depth..(index + 1) << self.depth;
        PerfectTree {
            depth: self.depth,
            nodes: &self.nodes[slots.clone()],
            leaves: &self.leaves[slots],
        }
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn n_trees(&self) -> usize {
        self.leaves.len() >> self.depth
    }

    /// Adds each row's path lengths; the block is laid out feature by feature.
    pub(super) fn add_block(&self, block: &[f32], sums: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        if avx2::add_block(self, block, sums) {
            return;
        }
        self.add_block_portably(block, sums);
    }

    /// The same, on any processor.
    pub(super) fn add_block_portably(&self, block: &[f32], sums: &mut [f64]) {
        for index in 0..self.n_trees() {
            walk::add_block(&self.tree(index), block, sums);
        }
    }

    /// The sum of one row's path lengths.
    pub(super) fn sum_row(&self, row: &[f32]) -> f64 {
        walk::sum_row(self.n_trees(), |index| self.tree(index), row)
    }

    /// What is wrong with trees that were read, if anything is.
    pub(super) fn fault(&self, n_trees: usize, n_features: usize) -> Option<&'static str> {
        if self.depth == 0 || self.depth > MAX_DEPTH {
            return Some("the depth of the trees is out of range");
        }
        let n_slots = n_trees << self.depth;
        if self.nodes.len() != n_slots || self.leaves.len() != n_slots {
            return Some(
                "the trees do not have the number of nodes and leaves that their depth asks for",
            );
        }
        if !self.nodes.iter().all(|node| node.threshold.is_finite()) {
            return Some("a threshold is not finite");
        }
        if !self
            .nodes
            .iter()
            .all(|node| (node.feature as usize) < n_features)
        {
            return Some("a node splits on a feature that does not exist");
        }
        if !self.leaves.iter().all(|&path| is_path_length(path)) {
            return Some("a path length is out of range");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.leaves)
    }
}

/// One of the trees, being grown.
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

    /// Gives the path to all slots below the leaf: padding leads to the first of them, or to any.
    fn leaf(&mut self, node: u32, depth: u32, path: f32) {
        let below = self.depth - depth;
        let first = ((node as usize) << below) - self.leaves.len();
        self.leaves[first..first + (1 << below)].fill(path);
    }
}

/// One of the trees.
pub(super) struct PerfectTree<'a> {
    pub(super) depth: u32,
    /// `2^depth` slots.
    pub(super) nodes: &'a [Node],
    /// As many path lengths.
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
    use super::*;

    #[test]
    fn damage_is_found() {
        let sound = PerfectTrees::unsplit(2, 3);
        assert_eq!(sound.fault(2, 5), None);
        assert!(sound.fault(3, 5).is_some());
        let damages: [&dyn Fn(&mut PerfectTrees); 9] = [
            &|trees| trees.depth = 0,
            &|trees| trees.depth = 4,
            &|trees| trees.depth = u32::MAX,
            &|trees| trees.nodes.truncate(15),
            &|trees| trees.leaves.push(1.0),
            &|trees| trees.nodes[9].feature = 5,
            &|trees| trees.nodes[1].threshold = f32::NAN,
            &|trees| trees.leaves[3] = f32::NAN,
            &|trees| trees.leaves[3] = -1.0,
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut trees = sound.clone();
            damage(&mut trees);
            assert!(trees.fault(2, 5).is_some(), "damage {index}");
        }
    }
}
