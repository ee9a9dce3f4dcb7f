//! The trees of a forest: nodes of 8 bytes.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::cuts::Cuts;
use super::windows::N_FIRST;
use crate::le_bytes::{self, LeNumber};

/// The most nodes of a forest. While they are grown and joined they take 20 bytes each, 1 GB in all.
pub(super) const MAX_NODES: usize = 50_000_000;

/// The code of a leaf, which no code of a value exceeds.
const LEAF: u16 = u16::MAX;

/// Either a branch, from which rows whose code in the slot exceeds that of the node go to `link + 1` and the others to `link`;
/// or a leaf, whose link holds the bits of its score.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(8))]
pub(super) struct Node {
    link: u32,
    slot: u16,
    code: u16,
}

impl Node {
    pub(super) fn split(child: u32, slot: u16, code: u16) -> Self {
        Self {
            link: child,
            slot,
            code,
        }
    }

    fn leaf(score: f32) -> Self {
        Self {
            link: score.to_bits(),
            slot: 0,
            code: LEAF,
        }
    }

    #[inline(always)]
    pub(super) fn is_leaf(self) -> bool {
        self.code == LEAF
    }

    /// The score of a leaf.
    #[inline(always)]
    pub(super) fn score(self) -> f32 {
        f32::from_bits(self.link)
    }

    /// The left child of a branch.
    #[inline(always)]
    pub(super) fn child(self) -> u32 {
        self.link
    }

    /// The slot that is compared; the first for a leaf.
    #[inline(always)]
    pub(super) fn slot(self) -> usize {
        usize::from(self.slot)
    }

    /// The index of the threshold among those of the slot; for a leaf [`LEAF`].
    #[inline(always)]
    pub(super) fn code(self) -> u16 {
        self.code
    }
}

impl LeNumber for Node {
    const SIZE: usize = 8;
    fn put(self, out: &mut Vec<u8>) {
        self.link.put(out);
        out.extend_from_slice(&self.slot.to_le_bytes());
        out.extend_from_slice(&self.code.to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Self {
            link: u32::get(&bytes[..4]),
            slot: u16::from_le_bytes([bytes[4], bytes[5]]),
            code: u16::from_le_bytes([bytes[6], bytes[7]]),
        }
    }
}

/// A tree under construction; the thresholds are stored elsewhere. The root is node 0.
#[derive(Debug)]
pub(super) struct GrowingTree {
    nodes: Vec<Node>,
    /// How much each node decreases the impurity.
    gains: Vec<f64>,
    /// The number of rows of each node.
    sizes: Vec<u32>,
}

/// A grown tree; the thresholds are stored elsewhere.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// The share of each branch in the total decrease of impurity.
    pub(super) shares: Vec<f32>,
}

impl GrowingTree {
    /// A tree without splits, of this many rows.
    pub(super) fn leaf(size: usize) -> Self {
        Self {
            nodes: vec![Node::leaf(0.0)],
            gains: vec![0.0],
            sizes: vec![size as u32],
        }
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn set_score(&mut self, leaf: u32, score: f32) {
        self.nodes[leaf as usize] = Node::leaf(score);
    }

    /// Splits a leaf into two with these numbers of rows and returns the left one.
    pub(super) fn split(
        &mut self,
        leaf: u32,
        (slot, code): (usize, u8),
        gain: f64,
        sizes: [usize; 2],
    ) -> u32 {
        let child = self.nodes.len() as u32;
        self.nodes[leaf as usize] = Node::split(child, slot as u16, u16::from(code));
        self.gains[leaf as usize] = gain;
        self.nodes.extend([Node::leaf(0.0); 2]);
        self.gains.extend([0.0; 2]);
        self.sizes.extend(sizes.map(|size| size as u32));
        child
    }

    /// Renumbers the nodes for [`windows`](super::windows): first the children of the splits with the most rows, then the
    /// descendants of each of these nodes in turn, again those with the most rows first. Parents stay before their children.
    pub(super) fn finish(self) -> Tree {
        let is_split = |&node: &usize| !self.nodes[node].is_leaf();
        let mut splits: Vec<usize> = (0..self.nodes.len()).filter(is_split).collect();
        splits.sort_unstable_by_key(|&node| (Reverse(self.sizes[node]), node));
        let children = |node: usize| {
            let child = self.nodes[node].child() as usize;
            [child, child + 1]
        };
        let n_first = N_FIRST.min(splits.len());
        let (first, rest) = splits.split_at_mut(n_first);
        let mut order = vec![0];
        order.extend(first.iter().flat_map(|&node| children(node)));
        let mut above = vec![0; self.nodes.len()];
        for (place, &node) in order.iter().enumerate() {
            above[node] = place;
        }
        for &node in &*rest {
            for child in children(node) {
                above[child] = above[node];
            }
        }
        rest.sort_by_key(|&node| above[node]);
        order.extend(rest.iter().flat_map(|&node| children(node)));
        let mut places = vec![0; self.nodes.len()];
        for (place, &node) in order.iter().enumerate() {
            places[node] = place as u32;
        }
        let moved = |&node: &usize| match self.nodes[node] {
            leaf if leaf.is_leaf() => leaf,
            node => Node::split(places[node.child() as usize], node.slot, node.code),
        };
        let sum: f64 = self.gains.iter().sum();
        let share = |&node: &usize| {
            if sum > 0.0 {
                (self.gains[node] / sum).min(1.0) as f32
            } else {
                0.0
            }
        };
        Tree {
            nodes: order.iter().map(moved).collect(),
            shares: order
                .iter()
                .filter(|node| is_split(node))
                .map(share)
                .collect(),
        }
    }
}

/// All trees, concatenated. Nodes are numbered within their tree, whose root is 0, and children come after their parents.
/// Otherwise the order of the nodes affects only the speed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trees {
    /// The index in `nodes` where each tree ends.
    #[serde(with = "le_bytes")]
    ends: Vec<u64>,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    /// The index in `shares` where the branches of each tree end.
    #[serde(with = "le_bytes")]
    share_ends: Vec<u64>,
    /// For each branch, its share of the decrease of impurity in its tree.
    #[serde(with = "le_bytes")]
    shares: Vec<f32>,
}

/// One of the trees.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeView<'a> {
    pub(super) nodes: &'a [Node],
    /// The share of each branch.
    pub(super) shares: &'a [f32],
}

impl Trees {
    pub(super) fn with_capacity(n_trees: usize, n_nodes: usize) -> Self {
        Self {
            ends: Vec::with_capacity(n_trees),
            nodes: Vec::with_capacity(n_nodes),
            share_ends: Vec::with_capacity(n_trees),
            shares: Vec::with_capacity(n_nodes / 2),
        }
    }

    /// Appends a tree, with the share of each branch.
    pub(super) fn push(&mut self, nodes: impl Iterator<Item = Node>, shares: &[f32]) {
        self.nodes.extend(nodes);
        self.shares.extend_from_slice(shares);
        self.ends.push(self.nodes.len() as u64);
        self.share_ends.push(self.shares.len() as u64);
    }

    /// The number of branches.
    pub(super) fn n_splits(&self) -> usize {
        self.shares.len()
    }

    pub(super) fn n_trees(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn tree(&self, index: usize) -> TreeView<'_> {
        let part = |ends: &[u64]| {
            let start = if index == 0 { 0 } else { ends[index - 1] };
            start as usize..ends[index] as usize
        };
        TreeView {
            nodes: &self.nodes[part(&self.ends)],
            shares: &self.shares[part(&self.share_ends)],
        }
    }

    /// What is wrong with deserialised trees, if anything.
    pub(super) fn fault(&self, n_trees: usize, cuts: &Cuts) -> Option<&'static str> {
        let divide = self.ends.len() == n_trees
            && self.ends.first().is_some_and(|&end| end > 0)
            && self.ends.is_sorted_by(|a, b| a < b)
            && self.ends.last() == Some(&(self.nodes.len() as u64))
            && self.share_ends.len() == n_trees
            && self.share_ends.is_sorted()
            && self.share_ends.last() == Some(&(self.shares.len() as u64));
        if !divide {
            return Some("the trees do not divide the nodes between them");
        }
        let is_sound = |index: usize, node: Node, n_nodes: usize| {
            if node.is_leaf() {
                return node.slot == 0 && (0.0..=1.0).contains(&node.score());
            }
            let child = node.child() as usize;
            // forward only, so that every traversal ends
            child > index
                && child < n_nodes - 1
                && node.slot() < cuts.n_slots()
                && usize::from(node.code) < cuts.of_slot(node.slot()).len()
        };
        let are_sound = (0..n_trees).all(|tree| {
            let TreeView { nodes, shares } = self.tree(tree);
            let mut indexed = nodes.iter().enumerate();
            indexed.all(|(index, &node)| is_sound(index, node, nodes.len()))
                && nodes.iter().filter(|node| !node.is_leaf()).count() == shares.len()
        });
        if !are_sound {
            return Some("a node has an impossible threshold, child or score");
        }
        if !self.shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            return Some("the decrease of impurity is out of range");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.ends)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.share_ends)
            + size_of_val(&*self.shares)
    }
}
