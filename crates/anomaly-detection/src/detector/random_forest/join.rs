//! Joins trees that use different thresholds into one forest, which holds only the thresholds that a node uses.

use super::cuts::Cuts;
use super::forest::Forest;
use super::tree::{Node, Tree, TreeView, Trees};
use crate::context::Context;
use crate::error::Result;

/// A tree, and which set of thresholds it refers to.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A new tree, with the new thresholds.
    Grown(&'a Tree),
    /// A tree of the forest, with the old thresholds.
    Kept(TreeView<'a>),
}

impl<'a> Source<'a> {
    fn nodes(self) -> &'a [Node] {
        match self {
            Self::Grown(tree) => &tree.nodes,
            Self::Kept(tree) => tree.nodes,
        }
    }
}

/// Joins the trees in their order.
pub(super) fn join(
    old: &Cuts,
    new: &Cuts,
    sources: &[Source<'_>],
    context: &Context,
) -> Result<Forest> {
    let mut old = Places::new(old);
    let mut new = Places::new(new);
    for source in sources {
        context.check()?;
        let places = match source {
            Source::Grown(_) => &mut new,
            Source::Kept(_) => &mut old,
        };
        for node in source.nodes().iter().filter(|node| !node.is_leaf()) {
            places.mark(node);
        }
    }
    let cuts = merge(&mut old, &mut new);
    let n_nodes = sources.iter().map(|source| source.nodes().len()).sum();
    let mut trees = Trees::with_capacity(sources.len(), n_nodes);
    for source in sources {
        context.check()?;
        match source {
            Source::Grown(tree) => trees.push(new.moved(&tree.nodes), &tree.shares),
            Source::Kept(tree) => trees.push(old.moved(tree.nodes), tree.shares),
        }
    }
    Ok(Forest::new(cuts, trees))
}

/// Where each threshold of a set goes in the joined forest.
struct Places<'a> {
    cuts: &'a Cuts,
    /// Whether a node uses each threshold.
    is_used: Vec<bool>,
    /// The new slot of each threshold and its index within that.
    places: Vec<(u16, u16)>,
}

impl<'a> Places<'a> {
    fn new(cuts: &'a Cuts) -> Self {
        Self {
            cuts,
            is_used: vec![false; cuts.n_values()],
            places: vec![(0, 0); cuts.n_values()],
        }
    }

    fn index(&self, node: &Node) -> usize {
        self.cuts.start(node.slot()) + usize::from(node.code())
    }

    /// Marks the threshold of a node as used.
    fn mark(&mut self, node: &Node) {
        let index = self.index(node);
        self.is_used[index] = true;
    }

    /// The thresholds of a feature that are used.
    fn used(&self, feature: u32) -> impl Iterator<Item = f64> {
        let range = self.cuts.range_of_feature(feature);
        let is_used = &self.is_used[range];
        let cuts = self.cuts.of_feature(feature).iter().zip(is_used);
        cuts.filter(|&(_, &is_used)| is_used).map(|(&cut, _)| cut)
    }

    /// Sets where the thresholds of a feature go, given those that are used.
    fn place(&mut self, feature: u32, slot: usize, merged: &[f64]) {
        let range = self.cuts.range_of_feature(feature);
        let places = &mut self.places[range];
        for (place, &cut) in places.iter_mut().zip(self.cuts.of_feature(feature)) {
            let code = merged.partition_point(|&other| other < cut);
            *place = (slot as u16, code as u16);
        }
    }

    /// The nodes with the new places of their thresholds.
    fn moved(&self, nodes: &[Node]) -> impl Iterator<Item = Node> {
        nodes.iter().map(|node| {
            if node.is_leaf() {
                return *node;
            }
            let (slot, code) = self.places[self.index(node)];
            Node::split(node.child(), slot, code)
        })
    }
}

/// Merges the thresholds of both sets that are used, and sets their places.
fn merge(old: &mut Places<'_>, new: &mut Places<'_>) -> Cuts {
    let mut features: Vec<u32> = [old.cuts.features(), new.cuts.features()].concat();
    features.sort_unstable();
    features.dedup();
    let mut cuts = Cuts::default();
    let mut merged: Vec<f64> = Vec::new();
    for feature in features {
        merged.clear();
        merged.extend(old.used(feature).chain(new.used(feature)));
        if merged.is_empty() {
            continue;
        }
        merged.sort_unstable_by(f64::total_cmp);
        merged.dedup();
        old.place(feature, cuts.n_slots(), &merged);
        new.place(feature, cuts.n_slots(), &merged);
        cuts.push(feature, &merged);
    }
    cuts
}
