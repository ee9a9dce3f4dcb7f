//! Search in a tree, for few features. The leaves hold points in the order of a kd-tree. Each node has the bounding boxes of up
//! to eight children, whose distances from a query are bounded from below all at once.

use super::kernel::{Boxes, Kernel, LANES};
use super::leaves::{Centred, Leaves};
use super::nearest::Nearest;
use super::points::Points;
use super::search::Query;
use crate::context::Context;
use crate::error::Result;

pub(super) use super::leaves::LEAF;

/// The most children of a node.
const WIDTH: usize = LANES;

/// The tree, derived from [`Points`] and therefore always valid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KdTree {
    leaves: Leaves,
    /// The nodes whose children are leaves, then their parents, and so on up to the root.
    levels: Vec<Level>,
}

/// The nodes at one height.
#[derive(Debug, Clone, PartialEq)]
struct Level {
    n_children: usize,
    /// For each node and feature, the lower and the upper ends of its children's boxes.
    boxes: Vec<Boxes>,
}

/// The initial capacity for groups.
const MAX_GROUPS: usize = 64;

/// The empty box.
const NOTHING: Boxes = [[f32::INFINITY; WIDTH], [f32::NEG_INFINITY; WIDTH]];

/// A node still to be searched.
#[derive(Debug, Clone, Copy)]
struct Pending {
    level: u32,
    index: u32,
}

/// The leaves below one node that are still to be searched.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// The squared distances of their boxes.
    bounds: [f32; WIDTH],
    /// A bit for each of them.
    left: u32,
    first_leaf: u32,
}

/// Buffers that searches reuse.
#[derive(Debug)]
pub(super) struct Scratch {
    centred: Centred,
    pending: Vec<Pending>,
    groups: Vec<Group>,
}

/// The fractions of the first limit up to which leaves are visited in successive rounds. The nearest leaves hold most of the
/// nearest points, and once these are known many others need not be visited. Sorting the leaves would take longer than it
/// saves.
const ROUNDS: [f32; 4] = [0.125, 0.25, 0.5, 1.0];

impl Level {
    fn new(n_children: usize, n_features: usize) -> Self {
        Self {
            n_children,
            boxes: vec![NOTHING; n_children.div_ceil(WIDTH) * n_features],
        }
    }

    /// Extends a child's box to cover an interval of a feature.
    fn extend(&mut self, n_features: usize, child: usize, feature: usize, low: f32, high: f32) {
        let [lows, highs] = &mut self.boxes[child / WIDTH * n_features + feature];
        lows[child % WIDTH] = lows[child % WIDTH].min(low);
        highs[child % WIDTH] = highs[child % WIDTH].max(high);
    }

    /// The boxes of a node's children.
    #[inline(always)]
    fn boxes(&self, n_features: usize, node: usize) -> &[Boxes] {
        &self.boxes[node * n_features..(node + 1) * n_features]
    }

    /// How many children a node has.
    #[inline(always)]
    fn n_children(&self, node: usize) -> usize {
        WIDTH.min(self.n_children - node * WIDTH)
    }
}

impl KdTree {
    pub(super) fn new(points: &Points, context: &Context) -> Result<Self> {
        let d = points.n_features();
        context.check()?;
        let leaves = Leaves::new(points);
        let mut first = Level::new(leaves.len(), d);
        for leaf in 0..leaves.len() {
            context.check()?;
            for (feature, (low, high)) in leaves.extents(leaf).enumerate() {
                first.extend(d, leaf, feature, low, high);
            }
        }
        let mut levels = vec![first];
        while let Some(below) = levels.last().filter(|level| level.n_children > WIDTH) {
            let mut level = Level::new(below.n_children.div_ceil(WIDTH), d);
            for (i, [lows, highs]) in below.boxes.iter().enumerate() {
                let low = lows.iter().copied().fold(f32::INFINITY, f32::min);
                let high = highs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                level.extend(d, i / d, i % d, low, high);
            }
            levels.push(level);
        }
        Ok(Self { leaves, levels })
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            centred: self.leaves.scratch(),
            pending: Vec::with_capacity(WIDTH * (self.levels.len() + 1)),
            groups: Vec::with_capacity(self.levels[0].n_children.div_ceil(WIDTH).min(MAX_GROUPS)),
        }
    }

    /// The leaf to search first for a row: that of the nearest box on each level.
    #[inline(always)]
    pub(super) fn home<K: Kernel>(&self, kernel: K, row: &[f64], scratch: &mut Scratch) -> usize {
        self.leaves.centre(row, &mut scratch.centred);
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let boxes = level.boxes(row.len(), index);
            let bounds = kernel.bounds(boxes, scratch.centred.values());
            let mut nearest = 0;
            for child in 1..level.n_children(index) {
                if bounds[child] < bounds[nearest] {
                    nearest = child;
                }
            }
            index = index * WIDTH + nearest;
        }
        index
    }

    /// Finds the nearest points of the query, whose home is a leaf.
    #[inline(always)]
    pub(super) fn search<K: Kernel>(
        &self,
        kernel: K,
        points: &Points,
        query: Query<'_>,
        scratch: &mut Scratch,
        best: &mut Nearest,
    ) {
        best.clear();
        self.leaves.centre(query.row, &mut scratch.centred);
        let near = self.around(query.home, best.wanted());
        for leaf in near.clone() {
            let centred = &mut scratch.centred;
            let limit = centred.limit(best.bound());
            self.leaves.scan(kernel, leaf, limit, centred);
            self.leaves.offer(points, query, centred, best);
        }
        let mut limit = scratch.centred.limit(best.bound());
        self.find(kernel, limit, scratch);
        let Scratch {
            centred, groups, ..
        } = scratch;
        let first_limit = limit;
        for part in ROUNDS {
            let of_round = part * first_limit;
            for group in groups.iter_mut() {
                let mut now = kernel.mask(&group.bounds, of_round.min(limit)) & group.left;
                group.left &= !now;
                while now != 0 {
                    let child = now.trailing_zeros() as usize;
                    now &= now - 1;
                    let leaf = group.first_leaf as usize + child;
                    if group.bounds[child] <= limit
                        && !near.contains(&leaf)
                        && self.leaves.scan(kernel, leaf, limit, centred)
                    {
                        self.leaves.offer(points, query, centred, best);
                        limit = centred.limit(best.bound());
                    }
                }
            }
            self.leaves.offer(points, query, centred, best);
            limit = centred.limit(best.bound());
        }
    }

    /// The leaves below the lowest ancestor of this one that has enough points.
    #[inline(always)]
    fn around(&self, home: usize, wanted: usize) -> std::ops::Range<usize> {
        let mut size = 1;
        while size * LEAF <= wanted && size < self.leaves.len() {
            size *= WIDTH;
        }
        let first = home / size * size;
        first..self.leaves.len().min(first + size)
    }

    /// Finds the leaves whose boxes are within the limit.
    #[inline(always)]
    fn find<K: Kernel>(&self, kernel: K, limit: f32, scratch: &mut Scratch) {
        let d = self.leaves.n_features();
        let Scratch {
            centred,
            pending,
            groups,
        } = scratch;
        groups.clear();
        pending.clear();
        pending.push(Pending {
            level: self.levels.len() as u32 - 1,
            index: 0,
        });
        while let Some(node) = pending.pop() {
            let level = &self.levels[node.level as usize];
            let index = node.index as usize;
            let bounds = kernel.bounds(level.boxes(d, index), centred.values());
            let children = (1 << level.n_children(index)) - 1;
            let mut near = kernel.mask(&bounds, limit) & children;
            let first = node.index * WIDTH as u32;
            if node.level == 0 {
                groups.push(Group {
                    bounds,
                    left: near,
                    first_leaf: first,
                });
                continue;
            }
            while near != 0 {
                pending.push(Pending {
                    level: node.level - 1,
                    index: first + near.trailing_zeros(),
                });
                near &= near - 1;
            }
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let boxes = |level: &Level| size_of_val(level.boxes.as_slice());
        self.leaves.size_bytes() + self.levels.iter().map(boxes).sum::<usize>()
    }
}
