//! Growing one tree: the rows in its bag and those outside it are split node by node.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::bag::{Draw, OutOfBag};
use super::bins::Bins;
use super::split::{Counts, Drawn, Rule, Splitter, Task, purity};
use super::tree::{GrowingTree, MAX_NODES, Tree};
use crate::context::Context;
use crate::detector::random::{TreeRng, tree_rng};
use crate::error::{Error, Result, reason};

/// How many values are processed between two checks of the context.
const VALUES_PER_CHECK: usize = 1 << 20;

/// The data and rules that trees are grown with.
pub(super) struct Growth<'a> {
    pub(super) bins: &'a Bins,
    pub(super) labels: &'a [bool],
    pub(super) n_features: usize,
    pub(super) draw: Draw<'a>,
    pub(super) rule: Rule,
    pub(super) max_depth: usize,
    pub(super) random_state: u64,
    /// How many rows were seen before these.
    pub(super) seen: u64,
    pub(super) out_of_bag: OutOfBag,
    /// The nodes of all trees grown so far.
    pub(super) n_nodes: AtomicUsize,
    pub(super) context: &'a Context,
}

/// A node to be split, with the ranges of its rows that were drawn (`bag`) and that were not (`out`).
#[derive(Debug, Clone, Copy)]
struct Open {
    node: u32,
    depth: usize,
    bag: (usize, usize),
    out: (usize, usize),
    counts: Counts,
    n_constant: usize,
}

/// Buffers for growing a tree, reused for the next.
#[derive(Debug, Default)]
pub(super) struct Grower {
    draws: Vec<u32>,
    bag: Vec<Drawn>,
    out: Vec<u32>,
    spare_bag: Vec<Drawn>,
    spare_out: Vec<u32>,
    open: Vec<Open>,
    splitter: Splitter,
    work: usize,
}

impl Grower {
    /// The bytes of memory for growing a tree on this many rows.
    pub(super) fn bytes(n_rows: usize) -> usize {
        n_rows * (size_of::<u32>() + 2 * size_of::<Drawn>() + 2 * size_of::<u32>())
    }

    /// Grows the tree with this number.
    pub(super) fn grow(&mut self, growth: &Growth<'_>, number: usize) -> Result<Tree> {
        let mut rng = tree_rng(growth.random_state, growth.seen, number);
        let root = self.draw(growth, &mut rng)?;
        let n_slots = growth.bins.cuts.n_slots();
        self.splitter.candidates.reset(n_slots, growth.n_features);
        let mut tree = GrowingTree::leaf(self.bag.len());
        let mut n_counted = 0;
        self.open.clear();
        self.open.push(root);
        while let Some(open) = self.open.pop() {
            self.node(growth, open, &mut rng, &mut tree)?;
            if tree.n_nodes() >= n_counted + 1024 || self.open.is_empty() {
                let added = tree.n_nodes() - n_counted;
                n_counted = tree.n_nodes();
                check_nodes(growth.n_nodes.fetch_add(added, Ordering::Relaxed) + added)?;
            }
        }
        Ok(tree.finish())
    }

    fn draw(&mut self, growth: &Growth<'_>, rng: &mut TreeRng) -> Result<Open> {
        let n = growth.labels.len();
        self.draws.clear();
        self.draws.resize(n, 0);
        growth.draw.draw(rng, &mut self.draws, growth.context)?;
        self.bag.clear();
        self.out.clear();
        let mut counts = Counts::default();
        for (row, (&count, &label)) in self.draws.iter().zip(growth.labels).enumerate() {
            if count == 0 {
                self.out.push(row as u32);
            } else {
                let drawn = Drawn::new(row as u32, count, label);
                counts.add(drawn.counts());
                self.bag.push(drawn);
            }
        }
        growth.context.check()?;
        self.spare_bag.resize(n, Drawn::new(0, 0, false));
        self.spare_out.resize(n, 0);
        Ok(Open {
            node: 0,
            depth: 0,
            bag: (0, self.bag.len()),
            out: (0, self.out.len()),
            counts,
            n_constant: 0,
        })
    }

    fn node(
        &mut self,
        growth: &Growth<'_>,
        open: Open,
        rng: &mut TreeRng,
        tree: &mut GrowingTree,
    ) -> Result<()> {
        let bag = &mut self.bag[open.bag.0..open.bag.1];
        let out = &mut self.out[open.out.0..open.out.1];
        let rule = &growth.rule;
        let mut n_constant = open.n_constant;
        let work = &mut self.work;
        let count_work = |values: usize| {
            *work += values;
            if *work > VALUES_PER_CHECK {
                *work = 0;
                growth.context.check()?;
            }
            Ok(())
        };
        let is_leaf = open.counts.is_pure()
            || open.depth >= growth.max_depth
            || bag.len() / 2 < rule.min_rows;
        let split = if is_leaf {
            None
        } else {
            let task = Task {
                bins: growth.bins,
                rule,
                bag,
                total: open.counts,
            };
            self.splitter
                .split(task, &mut n_constant, rng, count_work)?
        };
        let weights = open.counts.weigh(rule.weights);
        let Some(split) = split else {
            let score = (weights.1 / (weights.0 + weights.1)) as f32;
            tree.set_score(open.node, score);
            growth.out_of_bag.add(out, score);
            return Ok(());
        };
        let column = growth.bins.codes[split.slot].as_slice();
        let middle = open.bag.0
            + partition(bag, &mut self.spare_bag, |drawn| {
                column[drawn.row()] > split.code
            });
        let out_middle = open.out.0
            + partition(out, &mut self.spare_out, |row| {
                column[row as usize] > split.code
            });
        let decrease = (split.purity - purity(weights)).max(0.0);
        let sizes = [middle - open.bag.0, open.bag.1 - middle];
        let left = tree.split(open.node, (split.slot, split.code), decrease, sizes);
        let child = |node, bag, out, counts| Open {
            node,
            depth: open.depth + 1,
            bag,
            out,
            counts,
            n_constant,
        };
        let right_counts = open.counts.without(split.left);
        let (bag, out) = (open.bag, open.out);
        self.open.push(child(
            left + 1,
            (middle, bag.1),
            (out_middle, out.1),
            right_counts,
        ));
        self.open.push(child(
            left,
            (bag.0, middle),
            (out.0, out_middle),
            split.left,
        ));
        Ok(())
    }
}

/// Partitions the items stably and returns the number of those that go left, which come first.
#[inline]
fn partition<T: Copy>(items: &mut [T], spare: &mut [T], goes_right: impl Fn(T) -> bool) -> usize {
    let spare = &mut spare[..items.len()];
    let (mut n_left, mut n_right) = (0, 0);
    for index in 0..items.len() {
        let item = items[index];
        let right = usize::from(goes_right(item));
        items[n_left] = item;
        spare[n_right] = item;
        n_left += 1 - right;
        n_right += right;
    }
    items[n_left..].copy_from_slice(&spare[..n_right]);
    n_left
}

fn check_nodes(n_nodes: usize) -> Result<()> {
    if n_nodes <= MAX_NODES {
        return Ok(());
    }
    let message = format!(
        "the trees would have more than {MAX_NODES} nodes; lower n_estimators or max_depth, or raise min_samples_leaf"
    );
    Err(Error::new(reason::INVALID_PARAMETER, message).at("n_estimators"))
}
