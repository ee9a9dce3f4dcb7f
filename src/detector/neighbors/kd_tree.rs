//! A wide tree of bounding boxes over strips of points in the order of a kd-tree: each node has up to eight children, whose
//! distances from a query are bounded from below all at once. For few features.

use super::blocks::{Blocks, Centred, Query};
use super::kernel::{Kernel, STRIP};
use super::nearest::Nearest;
use super::points::Points;
use crate::context::Context;
use crate::error::Result;

/// The points of a leaf.
pub(super) const LEAF: usize = STRIP;

/// The children of a node.
const WIDTH: usize = 8;

/// A derivative of [`Points`]; sound by construction.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KdTree {
    blocks: Blocks,
    /// The nodes whose children are the strips, then their parents, and so on up to the root alone.
    levels: Vec<Level>,
}

/// The nodes at one height.
#[derive(Debug, Clone, PartialEq)]
struct Level {
    n_children: usize,
    /// For each node and feature, the lower ends of its children's boxes and then the upper ones.
    boxes: Vec<[[f64; WIDTH]; 2]>,
}

/// The box of no child.
const NOTHING: [[f64; WIDTH]; 2] = [[f64::INFINITY; WIDTH], [f64::NEG_INFINITY; WIDTH]];

/// A node or a strip that remains to be visited.
#[derive(Debug, Clone, Copy)]
struct Pending {
    bound: f64,
    /// 0 for a strip, otherwise one more than the index of the node's level.
    height: u32,
    index: u32,
}

/// What searches use again and again.
#[derive(Debug)]
pub(super) struct Scratch {
    centred: Centred,
    pending: Vec<Pending>,
}

impl Level {
    fn new(n_children: usize, n_features: usize) -> Self {
        Self {
            n_children,
            boxes: vec![NOTHING; n_children.div_ceil(WIDTH) * n_features],
        }
    }

    /// Grows a child's box to hold an interval of a feature.
    fn hold(&mut self, n_features: usize, child: usize, feature: usize, low: f64, high: f64) {
        let [lows, highs] = &mut self.boxes[child / WIDTH * n_features + feature];
        lows[child % WIDTH] = lows[child % WIDTH].min(low);
        highs[child % WIDTH] = highs[child % WIDTH].max(high);
    }
}

impl KdTree {
    pub(super) fn new(points: &Points, context: &Context) -> Result<Self> {
        let d = points.n_features();
        let blocks = Blocks::new(points, context)?;
        let mut first = Level::new(points.len().div_ceil(LEAF), d);
        for (leaf, values) in points.values().chunks(LEAF * d).enumerate() {
            context.check()?;
            for point in values.chunks_exact(d) {
                for (feature, &x) in point.iter().enumerate() {
                    first.hold(d, leaf, feature, x, x);
                }
            }
        }
        let mut levels = vec![first];
        while let Some(below) = levels.last().filter(|level| level.n_children > WIDTH) {
            let mut level = Level::new(below.n_children.div_ceil(WIDTH), d);
            for (i, [lows, highs]) in below.boxes.iter().enumerate() {
                let low = lows.iter().copied().fold(f64::INFINITY, f64::min);
                let high = highs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                level.hold(d, i / d, i % d, low, high);
            }
            levels.push(level);
        }
        Ok(Self { blocks, levels })
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            centred: Centred::new(self.blocks.n_features()),
            pending: Vec::with_capacity(WIDTH * (self.levels.len() + 1)),
        }
    }

    /// The leaf to look at first for a row: that of the nearest box on each level.
    #[inline(always)]
    pub(super) fn home(&self, row: &[f64]) -> usize {
        let mut index = 0;
        for level in self.levels.iter().rev() {
            let bounds = lower_bounds(&level.boxes[index * row.len()..][..row.len()], row);
            let first = index * WIDTH;
            let n_children = WIDTH.min(level.n_children - first);
            let mut nearest = 0;
            for child in 1..n_children {
                if bounds[child] < bounds[nearest] {
                    nearest = child;
                }
            }
            index = first + nearest;
        }
        index
    }

    /// Finds the nearest points of the query.
    #[inline(always)]
    pub(super) fn search<K: Kernel>(
        &self,
        kernel: K,
        points: &Points,
        query: Query<'_>,
        scratch: &mut Scratch,
        best: &mut Nearest,
    ) {
        let d = self.blocks.n_features();
        // the sums of a bound and of a distance round differently
        let slack = 1.0 + (2 * d + 16) as f64 * f64::EPSILON;
        let Scratch { centred, pending } = scratch;
        best.clear();
        centred.clear();
        self.blocks
            .scan_strip(kernel, query.home, points, query, centred, best);
        pending.clear();
        pending.push(Pending {
            bound: 0.0,
            height: self.levels.len() as u32,
            index: 0,
        });
        while let Some(next) = pending.pop() {
            if next.bound > best.bound() * slack {
                continue;
            }
            let index = next.index as usize;
            if next.height == 0 {
                if index != query.home {
                    self.blocks
                        .scan_strip(kernel, index, points, query, centred, best);
                }
                continue;
            }
            let level = &self.levels[next.height as usize - 1];
            let bounds = lower_bounds(&level.boxes[index * d..(index + 1) * d], query.row);
            let limit = best.bound() * slack;
            let n_children = WIDTH.min(level.n_children - index * WIDTH);
            let first = pending.len();
            let mut near = (0..n_children).fold(0_u32, |near, child| {
                near | u32::from(bounds[child] <= limit) << child
            });
            while near != 0 {
                let child = near.trailing_zeros() as usize;
                near &= near - 1;
                pending.push(Pending {
                    bound: bounds[child],
                    height: next.height - 1,
                    index: (index * WIDTH + child) as u32,
                });
                // the nearest last, to be visited first
                let mut place = pending.len() - 1;
                while place > first && pending[place - 1].bound < pending[place].bound {
                    pending.swap(place - 1, place);
                    place -= 1;
                }
            }
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let boxes = |level: &Level| size_of_val(level.boxes.as_slice());
        self.blocks.size_bytes() + self.levels.iter().map(boxes).sum::<usize>()
    }
}

/// The squared distances of the boxes of a node's children from a row.
#[inline(always)]
fn lower_bounds(boxes: &[[[f64; WIDTH]; 2]], row: &[f64]) -> [f64; WIDTH] {
    let mut sums = [0.0; WIDTH];
    for ([lows, highs], &x) in boxes.iter().zip(row) {
        for i in 0..WIDTH {
            let below = lows[i] - x;
            let above = x - highs[i];
            let gap = if below > above { below } else { above };
            let gap = if gap > 0.0 { gap } else { 0.0 };
            sums[i] += gap * gap;
        }
    }
    sums
}
