//! Trees of the extended forest: branches that compare a projection of the row with a threshold.

use serde::{Deserialize, Serialize};

use super::compact::are_starts;
use super::grow::Layout;
use super::path::is_path_length;
use super::plane::PlaneSplit;
use super::walk::{self, Tree};
use crate::le_bytes::{self, LeNumber};

/// Rows whose projection exceeds the threshold go to `child + 1`, the others to `child`. A leaf is its own child.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    threshold: f32,
    child: u32,
}

impl Node {
    fn leaf(node: u32) -> Self {
        Self {
            threshold: f32::MAX,
            child: node,
        }
    }
}

/// One summand of a projection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) coefficient: f32,
    pub(super) feature: u32,
}

macro_rules! pair {
    ($pair:ident { $first:ident, $second:ident }) => {
        impl LeNumber for $pair {
            const SIZE: usize = 8;
            fn put(self, out: &mut Vec<u8>) {
                self.$first.put(out);
                self.$second.put(out);
            }
            fn get(bytes: &[u8]) -> Self {
                Self {
                    $first: f32::get(&bytes[..4]),
                    $second: u32::get(&bytes[4..8]),
                }
            }
        }
    };
}

pair!(Node { threshold, child });
pair!(Term {
    coefficient,
    feature
});

/// The projection of a row; in double precision, where it cannot overflow.
#[inline]
pub(super) fn project(terms: &[Term], value: impl Fn(u32) -> f32) -> f64 {
    terms
        .iter()
        .map(|term| f64::from(term.coefficient) * f64::from(value(term.feature)))
        .sum()
}

/// Trees of any shape, concatenated. Nodes are numbered within their tree, whose root is 0; the children of its k-th branch are
/// `2k + 1` and `2k + 2`, and its terms start at `k * ndim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ExtendedTrees {
    depth: u32,
    ndim: usize,
    /// The start of each tree, and the end of the last.
    #[serde(with = "le_bytes")]
    starts: Vec<u64>,
    #[serde(with = "le_bytes")]
    nodes: Vec<Node>,
    #[serde(with = "le_bytes")]
    terms: Vec<Term>,
    /// The path length of each node that is a leaf.
    #[serde(with = "le_bytes")]
    paths: Vec<f32>,
}

impl ExtendedTrees {
    /// Concatenates trees of at most this depth.
    pub(super) fn join(depth: u32, ndim: usize, trees: Vec<GrowingTree>) -> Self {
        let mut joined = Self {
            depth,
            ndim,
            starts: vec![0],
            nodes: Vec::new(),
            terms: Vec::new(),
            paths: Vec::new(),
        };
        for tree in trees {
            joined.nodes.extend(tree.nodes);
            joined.terms.extend(tree.terms);
            joined.paths.extend(tree.paths);
            joined.starts.push(joined.nodes.len() as u64);
        }
        joined
    }

    fn tree(&self, index: usize) -> ExtendedTree<'_> {
        let slots = self.starts[index] as usize..self.starts[index + 1] as usize;
        // a tree of b branches has 2b + 1 nodes
        let branches = (slots.start - index) / 2..(slots.end - index - 1) / 2;
        ExtendedTree {
            depth: self.depth,
            ndim: self.ndim,
            nodes: &self.nodes[slots.clone()],
            terms: &self.terms[branches.start * self.ndim..branches.end * self.ndim],
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
        if self.ndim == 0 || self.ndim > n_features {
            return Some("the number of features of a split is out of range");
        }
        if self.nodes.len() != self.paths.len()
            || !are_starts(&self.starts, n_trees, self.nodes.len())
        {
            return Some("the trees do not divide the nodes between them");
        }
        let is_odd = |tree: &[u64]| (tree[1] - tree[0]) % 2 == 1;
        let n_branches = (self.nodes.len() - n_trees) / 2;
        if !self.starts.windows(2).all(is_odd)
            || Some(self.terms.len()) != n_branches.checked_mul(self.ndim)
        {
            return Some("the trees do not have the number of terms that their branches ask for");
        }
        let is_sound = |index: usize, node: &Node, n_nodes: usize| {
            let child = node.child as usize;
            let is_branch = child % 2 == 1 && child + 1 < n_nodes && node.threshold.is_finite();
            child == index || is_branch
        };
        let are_sound = (0..n_trees).all(|index| {
            let nodes = self.tree(index).nodes;
            nodes
                .iter()
                .enumerate()
                .all(|(index, node)| is_sound(index, node, nodes.len()))
        });
        if !are_sound {
            return Some("a node has a threshold or a child that cannot be");
        }
        let is_sound =
            |term: &Term| term.coefficient.is_finite() && (term.feature as usize) < n_features;
        if !self.terms.iter().all(is_sound) {
            return Some("a term has a coefficient or a feature that cannot be");
        }
        if !self.paths.iter().all(|&path| is_path_length(path)) {
            return Some("a path length is out of range");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.starts)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.terms)
            + size_of_val(&*self.paths)
    }
}

/// A tree under construction.
#[derive(Debug)]
pub(super) struct GrowingTree {
    nodes: Vec<Node>,
    terms: Vec<Term>,
    paths: Vec<f32>,
}

impl Default for GrowingTree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::leaf(0)],
            terms: Vec::new(),
            paths: vec![0.0],
        }
    }
}

impl Layout<PlaneSplit> for GrowingTree {
    const ROOT: u32 = 0;

    fn branch(&mut self, node: u32, split: PlaneSplit) -> [u32; 2] {
        let child = self.nodes.len() as u32;
        self.nodes[node as usize] = Node {
            threshold: split.threshold,
            child,
        };
        self.nodes
            .extend([Node::leaf(child), Node::leaf(child + 1)]);
        self.terms.extend(split.terms);
        self.paths.extend([0.0, 0.0]);
        [child, child + 1]
    }

    fn leaf(&mut self, node: u32, _depth: u32, path: f32) {
        self.paths[node as usize] = path;
    }
}

/// A tree.
struct ExtendedTree<'a> {
    depth: u32,
    ndim: usize,
    nodes: &'a [Node],
    terms: &'a [Term],
    paths: &'a [f32],
}

impl Tree for ExtendedTree<'_> {
    const ROOT: u32 = 0;

    #[inline]
    fn depth(&self) -> u32 {
        self.depth
    }

    #[inline]
    fn step(&self, node: u32, value: impl Fn(u32) -> f32) -> u32 {
        let Node { threshold, child } = self.nodes[node as usize];
        if child == node {
            return node;
        }
        let branch = (child as usize - 1) / 2;
        let terms = &self.terms[branch * self.ndim..(branch + 1) * self.ndim];
        child + u32::from(project(terms, value) > f64::from(threshold))
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
        let term = |feature| Term {
            coefficient: 1.0,
            feature,
        };
        let mut tree = GrowingTree::default();
        tree.branch(
            0,
            PlaneSplit {
                terms: vec![term(0), term(1)],
                threshold: 0.5,
            },
        );
        let sound = ExtendedTrees::join(1, 2, vec![tree, GrowingTree::default()]);
        assert_eq!(sound.fault(2, 2), None);
        assert!(sound.fault(3, 2).is_some() && sound.fault(2, 1).is_some());
        let damages: [&dyn Fn(&mut ExtendedTrees); 13] = [
            &|trees| trees.depth = 0,
            &|trees| trees.depth = u32::MAX,
            &|trees| trees.ndim = 0,
            &|trees| trees.ndim = 1,
            &|trees| trees.starts[1] = 2,
            &|trees| trees.starts[1] = u64::MAX,
            &|trees| trees.nodes.truncate(3),
            &|trees| trees.nodes[0].child = 2,
            &|trees| trees.nodes[0].child = 3,
            &|trees| trees.nodes[0].threshold = f32::NAN,
            &|trees| trees.terms[1].feature = 2,
            &|trees| trees.terms[1].coefficient = f32::NAN,
            &|trees| trees.paths[3] = f32::INFINITY,
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut trees = sound.clone();
            damage(&mut trees);
            assert!(trees.fault(2, 2).is_some(), "damage {index}");
        }
    }
}
