//! The trees of a forest: nodes of 8 bytes, each with a value beside it.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::cuts::Cuts;
use crate::le_bytes::{self, LeNumber};

/// The most nodes of a forest: with what is needed to join them they stay below 1 GiB.
pub(super) const MAX_NODES: usize = 1 << 25;

/// The code of a leaf, which no value's exceeds.
const LEAF: u16 = u16::MAX;

/// Rows whose code of the slot exceeds that of the node go to `child + 1`, the others to `child`. A leaf is its own child.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(8))]
pub(super) struct Node {
    pub(super) child: u32,
    pub(super) slot: u16,
    pub(super) code: u16,
}

impl Node {
    fn leaf(node: u32) -> Self {
        Self {
            child: node,
            slot: 0,
            code: LEAF,
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.code == LEAF
    }
}

impl LeNumber for Node {
    const SIZE: usize = 8;
    fn put(self, out: &mut Vec<u8>) {
        self.child.put(out);
        out.extend_from_slice(&self.slot.to_le_bytes());
        out.extend_from_slice(&self.code.to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Self {
            child: u32::get(&bytes[..4]),
            slot: u16::from_le_bytes([bytes[4], bytes[5]]),
            code: u16::from_le_bytes([bytes[6], bytes[7]]),
        }
    }
}

/// One tree, being grown, on thresholds that it does not hold. The root is node 0.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The score of each leaf; for each other node how much it lowers the impurity.
    values: Vec<f64>,
    /// How many rows each node has.
    sizes: Vec<u32>,
}

impl Tree {
    /// A tree without splits, of so many rows.
    pub(super) fn leaf(size: usize) -> Self {
        Self {
            nodes: vec![Node::leaf(0)],
            values: vec![0.0],
            sizes: vec![size as u32],
        }
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f32> {
        self.values.iter().map(|&value| value as f32)
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn set_leaf(&mut self, node: u32, score: f32) {
        self.values[node as usize] = f64::from(score);
    }

    /// Splits a leaf into two with so many rows; the left one of them.
    pub(super) fn split(
        &mut self,
        node: u32,
        (slot, code): (usize, u8),
        decrease: f64,
        sizes: [usize; 2],
    ) -> u32 {
        let child = self.nodes.len() as u32;
        self.nodes[node as usize] = Node {
            child,
            slot: slot as u16,
            code: u16::from(code),
        };
        self.values[node as usize] = decrease;
        self.nodes
            .extend([Node::leaf(child), Node::leaf(child + 1)]);
        self.values.extend([0.0, 0.0]);
        self.sizes.extend(sizes.map(|size| size as u32));
        child
    }

    /// Numbers the nodes anew, so that those which most rows reach come first; parents stay before their children.
    pub(super) fn reorder(&mut self) {
        let is_split = |&node: &usize| !self.nodes[node].is_leaf();
        let mut splits: Vec<usize> = (0..self.nodes.len()).filter(is_split).collect();
        splits.sort_unstable_by_key(|&node| (Reverse(self.sizes[node]), node));
        let mut order = vec![0];
        order.extend(splits.iter().flat_map(|&node| {
            let child = self.nodes[node].child as usize;
            [child, child + 1]
        }));
        let mut places = vec![0; self.nodes.len()];
        for (place, &node) in order.iter().enumerate() {
            places[node] = place as u32;
        }
        let moved = |&node: &usize| Node {
            child: places[self.nodes[node].child as usize],
            ..self.nodes[node]
        };
        let nodes = order.iter().map(moved).collect();
        self.values = order.iter().map(|&node| self.values[node]).collect();
        self.sizes = order.iter().map(|&node| self.sizes[node]).collect();
        self.nodes = nodes;
    }

    /// Turns decreases of the impurity into shares of their sum.
    pub(super) fn normalise(&mut self) {
        let values = self.nodes.iter().zip(&mut self.values);
        let mut decreases: Vec<&mut f64> = values
            .filter(|(node, _)| !node.is_leaf())
            .map(|(_, value)| value)
            .collect();
        let sum: f64 = decreases.iter().map(|value| **value).sum();
        if sum > 0.0 {
            for value in &mut decreases {
                **value = (**value / sum).min(1.0);
            }
        }
    }
}

/// Trees, one after the other. Children are numbered within their tree, whose root is 0, and come after their parents. Nodes that
/// many rows reach tend to come first, which only the speed depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trees {
    /// Where each tree ends.
    #[serde(with = "le_bytes")]
    ends: Vec<u64>,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    /// The score of each leaf, in [0, 1]; for each other node its share of the decrease of impurity in its tree.
    #[serde(with = "le_bytes")]
    values: Vec<f32>,
}

/// One of the trees.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeView<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) values: &'a [f32],
}

impl Trees {
    pub(super) fn with_capacity(n_trees: usize, n_nodes: usize) -> Self {
        Self {
            ends: Vec::with_capacity(n_trees),
            nodes: Vec::with_capacity(n_nodes),
            values: Vec::with_capacity(n_nodes),
        }
    }

    /// Appends a tree.
    pub(super) fn push(
        &mut self,
        nodes: impl Iterator<Item = Node>,
        values: impl Iterator<Item = f32>,
    ) {
        self.nodes.extend(nodes);
        self.values.extend(values);
        self.ends.push(self.nodes.len() as u64);
    }

    pub(super) fn n_trees(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn tree(&self, index: usize) -> TreeView<'_> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let nodes = start as usize..self.ends[index] as usize;
        TreeView {
            nodes: &self.nodes[nodes.clone()],
            values: &self.values[nodes],
        }
    }

    /// What is wrong with trees that were read, if anything is.
    pub(super) fn fault(&self, n_trees: usize, cuts: &Cuts) -> Option<&'static str> {
        let divide = self.ends.len() == n_trees
            && self.ends.first().is_some_and(|&end| end > 0)
            && self.ends.is_sorted_by(|a, b| a < b)
            && self.ends.last() == Some(&(self.nodes.len() as u64))
            && self.values.len() == self.nodes.len();
        if !divide {
            return Some("the trees do not divide the nodes between them");
        }
        let is_sound = |index: usize, node: &Node, n_nodes: usize| {
            let child = node.child as usize;
            if node.code == LEAF {
                child == index && node.slot == 0
            } else {
                // forward only, so that every walk ends
                child > index
                    && child + 1 < n_nodes
                    && usize::from(node.slot) < cuts.n_slots()
                    && usize::from(node.code) < cuts.of_slot(usize::from(node.slot)).len()
            }
        };
        let are_sound = (0..n_trees).all(|tree| {
            let nodes = self.tree(tree).nodes;
            let mut indexed = nodes.iter().enumerate();
            indexed.all(|(index, node)| is_sound(index, node, nodes.len()))
        });
        if !are_sound {
            return Some("a node has a threshold or a child that cannot be");
        }
        if !self.values.iter().all(|value| (0.0..=1.0).contains(value)) {
            return Some("the score of a leaf is not from 0 to 1");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.ends) + size_of_val(&*self.nodes) + size_of_val(&*self.values)
    }
}
