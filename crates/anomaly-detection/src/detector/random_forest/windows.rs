//! Windows: a tree cut into parts small enough to be evaluated for many rows at once.
//!
//! Comparing 32 rows at once with every split of a window, and blending the outcomes from the last split to the first, is cheaper
//! than loading the nodes on the path of each row. The first window holds the first nodes of a tree, and each of its exit nodes
//! has a window that starts at its children. Which nodes a window holds follows from their numbers, since
//! [`GrowingTree::finish`](super::tree::GrowingTree::finish) numbers them so that a window holds descendants of one node. A row
//! that reaches no leaf within a window continues from the node that it has reached.

use super::tree::{Node, TreeView, Trees};

/// The most splits of the first window: with more, it takes longer; with fewer, the later windows do.
pub(super) const N_FIRST: usize = 63;

/// The most nodes of a window, not counting its root.
const MAX_NODES: usize = 254;

/// A node of a window whose children are also in the window. Nodes are numbered within the window, with the root as 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) slot: u16,
    /// Rows with a code of at least this go to the right child.
    pub(super) at_least: u8,
    pub(super) node: u8,
    /// The left child, before the right one.
    pub(super) child: u8,
}

/// Part of a tree.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// The node at which rows enter.
    root: u32,
    /// The difference between the number of a node in the tree and its number in the window, for all nodes but the root.
    base: u32,
    n_nodes: u16,
    /// The index where its splits end among all splits.
    end: u32,
}

/// The windows of all trees, tree by tree.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    splits: Vec<Split>,
    windows: Vec<Window>,
    /// The index in `windows` where the windows of each tree end.
    ends: Vec<usize>,
}

/// One of the windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowView<'a> {
    pub(super) root: u32,
    pub(super) base: u32,
    /// The number of nodes, including the root.
    pub(super) n_nodes: usize,
    /// The splits, children before their parents.
    pub(super) splits: &'a [Split],
}

impl Windows {
    /// The windows of valid trees whose codes have 8 bits.
    pub(super) fn new(trees: &Trees) -> Self {
        let mut windows = Self {
            splits: Vec::with_capacity(trees.n_splits()),
            windows: Vec::new(),
            ends: Vec::with_capacity(trees.n_trees()),
        };
        for index in 0..trees.n_trees() {
            let TreeView { nodes, .. } = trees.tree(index);
            let n_first = nodes.len().min(2 * N_FIRST + 1);
            windows.push(nodes, 0, 1..n_first);
            let is_exit =
                |(_, node): &(usize, &Node)| !node.is_leaf() && node.child() as usize >= n_first;
            let mut exits: Vec<(usize, usize)> = (nodes[..n_first].iter().enumerate())
                .filter(is_exit)
                .map(|(place, node)| (node.child() as usize, place))
                .collect();
            exits.sort_unstable();
            for (k, &(first, root)) in exits.iter().enumerate() {
                let end = exits.get(k + 1).map_or(nodes.len(), |next| next.0);
                // in trees from a hostile artifact, two nodes may share children
                if end - first >= 2 {
                    windows.push(nodes, root, first..end.min(first + MAX_NODES));
                }
            }
            windows.ends.push(windows.windows.len());
        }
        windows
    }

    /// Adds the window of a root and the nodes in `range`, which come after it.
    fn push(&mut self, nodes: &[Node], root: usize, range: std::ops::Range<usize>) {
        let base = range.start - 1;
        let n_nodes = 1 + range.len();
        for number in (0..n_nodes).rev() {
            let node = nodes[if number == 0 { root } else { base + number }];
            let child = (node.child() as usize).wrapping_sub(base);
            if !node.is_leaf() && child < n_nodes - 1 {
                self.splits.push(Split {
                    slot: node.slot() as u16,
                    // a code of 8 bits is below 255
                    at_least: node.code() as u8 + 1,
                    node: number as u8,
                    child: child as u8,
                });
            }
        }
        self.windows.push(Window {
            root: root as u32,
            base: base as u32,
            n_nodes: n_nodes as u16,
            end: self.splits.len() as u32,
        });
    }

    /// The windows of a tree, starting with the first one.
    pub(super) fn of_tree(&self, index: usize) -> impl Iterator<Item = WindowView<'_>> {
        let end_before = |ends: &[usize]| if index == 0 { 0 } else { ends[index - 1] };
        let first = end_before(&self.ends);
        (first..self.ends[index]).map(|k| {
            let window = self.windows[k];
            let start = if k == 0 { 0 } else { self.windows[k - 1].end };
            WindowView {
                root: window.root,
                base: window.base,
                n_nodes: usize::from(window.n_nodes),
                splits: &self.splits[start as usize..window.end as usize],
            }
        })
    }

    /// The most bytes that the windows of these trees can take.
    pub(super) fn most_bytes(trees: &Trees) -> usize {
        trees.n_splits() * size_of::<Split>()
            + trees.n_trees() * ((N_FIRST + 2) * size_of::<Window>() + size_of::<usize>())
    }
}
