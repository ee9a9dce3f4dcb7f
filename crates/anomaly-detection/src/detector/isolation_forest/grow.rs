//! Growing one tree, generic over splits and layouts (Liu, Ting and Zhou, 2008, algorithm 2).

use rand::RngExt;

use super::frame::Frame;
use super::path::{average_path_length, depth_limit};
use super::population::{Marks, Population};
use crate::detector::random::TreeRng;

/// A tree under construction. The layout numbers the nodes.
pub(super) trait Layout<S> {
    /// The number of the root.
    const ROOT: u32;
    /// Makes a node a branch and returns its two children.
    fn branch(&mut self, node: u32, split: S) -> [u32; 2];
    /// Makes a node at this depth a leaf.
    fn leaf(&mut self, node: u32, depth: u32, path: f32);
}

/// A way to split rows in two.
pub(super) trait Splitter {
    /// The split stored in a branch.
    type Split;
    /// Splits the rows of a node: moves those of the first child to the front and returns their number. Neither side is empty.
    /// `None` if all rows are equal.
    fn split(
        &mut self,
        columns: &Columns,
        rows: &mut [u32],
        candidates: &mut Candidates,
        rng: &mut TreeRng,
    ) -> Option<(Self::Split, usize)>;
}

/// The features that a node may split on. The first `n_constant` of them are constant on its rows, and so on its descendants'
/// rows.
pub(super) struct Candidates<'a> {
    order: &'a mut [u32],
    n_constant: usize,
}

/// The column of a feature in a tree's data and its range over a node's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) column: u32,
    pub(super) min: f32,
    pub(super) max: f32,
}

impl Candidates<'_> {
    /// Draws a feature that varies, uniformly among those not yet drawn for this node; `n_drawn` counts the draws.
    pub(super) fn draw(
        &mut self,
        columns: &Columns,
        rows: &[u32],
        n_drawn: &mut usize,
        rng: &mut TreeRng,
    ) -> Option<Range> {
        loop {
            let end = self.order.len() - *n_drawn;
            if self.n_constant >= end {
                return None;
            }
            let at = rng.random_range(self.n_constant as u32..end as u32) as usize;
            let column = self.order[at];
            let (min, max) = columns.range(column, rows);
            if min < max {
                self.order.swap(at, end - 1);
                *n_drawn += 1;
                return Some(Range { column, min, max });
            }
            self.order.swap(at, self.n_constant);
            self.n_constant += 1;
        }
    }
}

/// The scaled rows of one tree, column by column.
#[derive(Debug, Default)]
pub(super) struct Columns {
    n_rows: usize,
    values: Vec<f32>,
    features: Vec<u32>,
}

impl Columns {
    #[inline]
    pub(super) fn column(&self, column: u32) -> &[f32] {
        let start = column as usize * self.n_rows;
        &self.values[start..start + self.n_rows]
    }

    /// The feature that a column holds.
    pub(super) fn feature(&self, column: u32) -> u32 {
        self.features[column as usize]
    }

    fn range(&self, column: u32, rows: &[u32]) -> (f32, f32) {
        let values = self.column(column);
        rows.iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &row| {
                let x = values[row as usize];
                (if x < min { x } else { min }, if x > max { x } else { max })
            })
    }

    fn fill(
        &mut self,
        population: &Population<'_>,
        frame: &Frame,
        positions: &[usize],
        n_tree_features: usize,
        rng: &mut TreeRng,
    ) {
        let n_features = population.n_features();
        self.features.clear();
        self.features.extend(0..n_features as u32);
        if n_tree_features < n_features {
            for at in 0..n_tree_features {
                let drawn = rng.random_range(at as u32..n_features as u32);
                self.features.swap(at, drawn as usize);
            }
            self.features.truncate(n_tree_features);
        }
        self.n_rows = positions.len();
        self.values.resize(self.n_rows * n_tree_features, 0.0);
        for (r, &position) in positions.iter().enumerate() {
            let row = population.row(position);
            for (column, &feature) in self.features.iter().enumerate() {
                let feature = feature as usize;
                self.values[column * self.n_rows + r] = frame.value(feature, row[feature]);
            }
        }
    }
}

/// Buffers for growing a tree, reused for the next.
#[derive(Debug, Default)]
pub(super) struct Grower {
    marks: Marks,
    positions: Vec<usize>,
    columns: Columns,
    rows: Vec<u32>,
    order: Vec<u32>,
}

impl Grower {
    /// Grows a tree on its own rows and features.
    pub(super) fn grow<S: Splitter>(
        &mut self,
        population: &Population<'_>,
        frame: &Frame,
        n_tree_features: usize,
        rng: &mut TreeRng,
        mut splitter: S,
        layout: &mut impl Layout<S::Split>,
    ) {
        population.draw(rng, &mut self.marks, &mut self.positions);
        self.columns
            .fill(population, frame, &self.positions, n_tree_features, rng);
        self.rows.clear();
        self.rows.extend(0..self.positions.len() as u32);
        self.order.clear();
        self.order.extend(0..n_tree_features as u32);
        let mut growth = Growth {
            columns: &self.columns,
            depth_limit: depth_limit(population.n_subsample()),
            splitter: &mut splitter,
            rng,
            layout,
        };
        let candidates = Candidates {
            order: &mut self.order,
            n_constant: 0,
        };
        growth.node(growth.root(), 0, &mut self.rows, candidates);
    }
}

struct Growth<'a, S, L> {
    columns: &'a Columns,
    depth_limit: u32,
    splitter: &'a mut S,
    rng: &'a mut TreeRng,
    layout: &'a mut L,
}

impl<S: Splitter, L: Layout<S::Split>> Growth<'_, S, L> {
    fn root(&self) -> u32 {
        L::ROOT
    }

    fn node(&mut self, node: u32, depth: u32, rows: &mut [u32], mut candidates: Candidates<'_>) {
        let split = if rows.len() < 2 || depth >= self.depth_limit {
            None
        } else {
            self.splitter
                .split(self.columns, rows, &mut candidates, self.rng)
        };
        let Some((split, middle)) = split else {
            let path = f64::from(depth) + average_path_length(rows.len());
            self.layout.leaf(node, depth, path as f32);
            return;
        };
        let children = self.layout.branch(node, split);
        let (first, second) = rows.split_at_mut(middle);
        let Candidates { order, n_constant } = candidates;
        for (child, rows) in children.into_iter().zip([first, second]) {
            let candidates = Candidates {
                order: &mut *order,
                n_constant,
            };
            self.node(child, depth + 1, rows, candidates);
        }
    }
}

/// Moves the rows for which `is_second` is false to the front and returns their number.
#[inline]
pub(super) fn partition(rows: &mut [u32], is_second: impl Fn(u32) -> bool) -> usize {
    let mut n_first = 0;
    for i in 0..rows.len() {
        let row = rows[i];
        rows.swap(i, n_first);
        n_first += usize::from(!is_second(row));
    }
    n_first
}

/// A uniform threshold in `[min, max)`, so that neither side is empty; `min < max`.
pub(super) fn threshold(min: f32, max: f32, rng: &mut TreeRng) -> f32 {
    let (low, high) = (f64::from(min), f64::from(max));
    let threshold = (low + rng.random::<f64>() * (high - low)) as f32;
    if threshold < max {
        threshold
    } else {
        max.next_down()
    }
}

/// Splits on one feature at a time: the classic forest.
pub(super) struct AxisSplitter;

/// Rows whose value of the feature exceeds the threshold go to the second child.
#[derive(Debug, Clone, Copy)]
pub(super) struct AxisSplit {
    pub(super) feature: u32,
    pub(super) threshold: f32,
}

impl Splitter for AxisSplitter {
    type Split = AxisSplit;

    fn split(
        &mut self,
        columns: &Columns,
        rows: &mut [u32],
        candidates: &mut Candidates<'_>,
        rng: &mut TreeRng,
    ) -> Option<(AxisSplit, usize)> {
        let Range { column, min, max } = candidates.draw(columns, rows, &mut 0, rng)?;
        let threshold = threshold(min, max, rng);
        let values = columns.column(column);
        let middle = partition(rows, |row| values[row as usize] > threshold);
        let feature = columns.feature(column);
        Some((AxisSplit { feature, threshold }, middle))
    }
}
