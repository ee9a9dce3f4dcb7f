//! Deep trees, stored without padding. A leaf is its own child.

use serde::{Deserialize, Serialize};

use super::grow::{AxisSplit, Layout};
use super::path::is_path_length;
use super::walk::{self, Tree};
use crate::le_bytes::{self, LeNumber};

/// Rows whose value of the feature exceeds the threshold go to `child + 1`, the others to `child`. A leaf is its own child,
/// and nothing exceeds its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    threshold: f32,
    feature: u32,
    child: u32,
}

impl Node {
    fn leaf(node: u32) -> Self {
        Self {
            threshold: f32::MAX,
            feature: 0,
            child: node,
        }
    }
}

impl LeNumber for Node {
    const SIZE: usize = 12;
    fn put(self, out: &mut Vec<u8>) {
        self.threshold.put(out);
        self.feature.put(out);
        self.child.put(out);
    }
    fn get(bytes: &[u8]) -> Self {
        Self {
            threshold: f32::get(&bytes[..4]),
            feature: u32::get(&bytes[4..8]),
            child: u32::get(&bytes[8..12]),
        }
    }
}

/// Trees of any shape, concatenated. Children are numbered within their tree, whose root is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CompactTrees {
    depth: u32,
    /// The start of each tree, and the end of the last.
    #[serde(with = "le_bytes")]
    starts: Vec<u64>,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    /// The path length of each node that is a leaf.
    #[serde(with = "le_bytes")]
    paths: Vec<f32>,
}

impl CompactTrees {
    /// Concatenates trees of at most this depth.
    pub(super) fn join(depth: u32, trees: Vec<GrowingTree>) -> Self {
        let n_nodes = trees.iter().map(|tree| tree.nodes.len()).sum();
        let mut joined = Self {
            depth,
            starts: vec![0],
            nodes: Vec::with_capacity(n_nodes),
            paths: Vec::with_capacity(n_nodes),
        };
        for tree in trees {
            joined.nodes.extend(tree.nodes);
            joined.paths.extend(tree.paths);
            joined.starts.push(joined.nodes.len() as u64);
        }
        joined
    }

    fn tree(&self, index: usize) -> CompactTree<'_> {
        let slots = self.starts[index] as usize..self.starts[index + 1] as usize;
        CompactTree {
            depth: self.depth,
            nodes: &self.nodes[slots.clone()],
            paths: &self.paths[slots],
        }
    }

    pub(super) fn n_trees(&self) -> usize {
        self.starts.len() - 1
    }

    /// Adds the path lengths of each row; the block is laid out feature by feature.
    pub(super) fn add_block(&self, block: &[f32], sums: &mut [f64]) {
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
        if self.depth == 0 || self.depth > 64 {
            return Some("the depth of the trees is out of range");
        }
        if self.nodes.len() != self.paths.len()
            || !are_starts(&self.starts, n_trees, self.nodes.len())
        {
            return Some("the trees do not divide the nodes between them");
        }
        let is_sound = |node: &Node, n_nodes: usize| {
            node.threshold.is_finite()
                && (node.feature as usize) < n_features
                && (node.child as usize) + usize::from(node.threshold < f32::MAX) < n_nodes
        };
        let are_sound = (0..n_trees).all(|index| {
            let nodes = self.tree(index).nodes;
            nodes.iter().all(|node| is_sound(node, nodes.len()))
        });
        if !are_sound {
            return Some("a node has a threshold, a feature or a child that cannot be");
        }
        if !self.paths.iter().all(|&path| is_path_length(path)) {
            return Some("a path length is out of range");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.nodes) + size_of_val(&*self.paths)
    }
}

/// Whether these are the starts of `n_trees` non-empty trees of `n_nodes` nodes in total.
pub(super) fn are_starts(starts: &[u64], n_trees: usize, n_nodes: usize) -> bool {
    starts.len() == n_trees + 1
        && starts.first() == Some(&0)
        && starts.last() == Some(&(n_nodes as u64))
        && starts.is_sorted_by(|start, end| start < end)
}

/// A tree under construction.
#[derive(Debug)]
pub(super) struct GrowingTree {
    nodes: Vec<Node>,
    paths: Vec<f32>,
}

impl Default for GrowingTree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::leaf(0)],
            paths: vec![0.0],
        }
    }
}

impl Layout<AxisSplit> for GrowingTree {
    const ROOT: u32 = 0;

    fn branch(&mut self, node: u32, AxisSplit { feature, threshold }: AxisSplit) -> [u32; 2] {
        let child = self.nodes.len() as u32;
        self.nodes[node as usize] = Node {
            threshold,
            feature,
            child,
        };
        self.nodes
            .extend([Node::leaf(child), Node::leaf(child + 1)]);
        self.paths.extend([0.0, 0.0]);
        [child, child + 1]
    }

    fn leaf(&mut self, node: u32, _depth: u32, path: f32) {
        self.paths[node as usize] = path;
    }
}

/// A tree.
struct CompactTree<'a> {
    depth: u32,
    nodes: &'a [Node],
    paths: &'a [f32],
}

impl Tree for CompactTree<'_> {
    const ROOT: u32 = 0;

    #[inline]
    fn depth(&self) -> u32 {
        self.depth
    }

    #[inline]
    fn step(&self, node: u32, value: impl Fn(u32) -> f32) -> u32 {
        let Node {
            threshold,
            feature,
            child,
        } = self.nodes[node as usize];
        child + u32::from(value(feature) > threshold)
    }

    #[inline]
    fn path(&self, leaf: u32) -> f32 {
        self.paths[leaf as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_found() {
        let mut tree = GrowingTree::default();
        tree.branch(
            0,
            AxisSplit {
                feature: 1,
                threshold: 0.5,
            },
        );
        let sound = CompactTrees::join(1, vec![tree, GrowingTree::default()]);
        assert_eq!(sound.fault(2, 2), None);
        assert!(sound.fault(3, 2).is_some() && sound.fault(2, 1).is_some());
        let damages: [&dyn Fn(&mut CompactTrees); 11] = [
            &|trees| trees.depth = 0,
            &|trees| trees.depth = u32::MAX,
            &|trees| trees.starts[1] = 4,
            &|trees| trees.starts[1] = u64::MAX,
            &|trees| trees.starts.clear(),
            &|trees| trees.nodes.truncate(3),
            &|trees| trees.nodes[0].child = 2,
            &|trees| trees.nodes[0].child = u32::MAX,
            &|trees| trees.nodes[1].threshold = f32::NAN,
            &|trees| trees.nodes[2].feature = 2,
            &|trees| trees.paths[3] = f32::INFINITY,
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut trees = sound.clone();
            damage(&mut trees);
            assert!(trees.fault(2, 2).is_some(), "damage {index}");
        }
    }
}
