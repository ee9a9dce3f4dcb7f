//! Points in blocks for the filter: as floats around the centre of their block, the first coordinate of a strip of points
//! before the second.
//!
//! For q the query and p a point, both less the centre, |q - p|^2 = |q|^2 + 2 (|p|^2 / 2 - q . p), which costs one multiplication
//! and addition a coordinate. What rounding can do to it is bounded by the margin that [`Blocks::scan`] allows for: no point
//! that is near enough is lost, and the few others that pass fall to the exact distance. Around the centre the margin is small
//! where it matters, that is where query and block are near each other.

use super::kernel::{Kernel, squared_distance};
use super::nearest::{Nearest, Neighbor};
use super::points::Points;

/// The largest coordinate of a point around its centre that a block may have, in absolute value. The points of another block
/// all pass the filter.
const MAX_POINT: f64 = 1e15;

/// The largest coordinate of a query around a centre, in absolute value; all beyond count as it. That brings the query nearer to
/// all points of the block.
const MAX_QUERY: f64 = 1e16;

/// Added to each margin for each feature: more than what is lost where products of floats are too small for a float.
const UNDERFLOW: f64 = 1e-36;

/// Four times the unit roundoff of floats.
const ROUNDOFF: f64 = 4.0 / 16_777_216.0;

/// The points in blocks of strips of `L`; a derivative of [`Points`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks<const L: usize> {
    n_points: usize,
    n_features: usize,
    block: usize,
    centres: Vec<f64>,
    /// For each block, no less than the distance of its points from its centre; infinite where floats cannot hold them.
    radii: Vec<f64>,
    lanes: Vec<f32>,
    halves: Vec<f32>,
}

/// A row whose neighbours are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) row: &'a [f64],
    /// The position of the point of which the row is a copy that is not its own neighbour.
    pub(super) own: Option<usize>,
}

/// A query around the centre of a block.
#[derive(Debug)]
pub(super) struct Centred {
    values: Vec<f32>,
    squared: f64,
}

impl Centred {
    pub(super) fn new(n_features: usize) -> Self {
        Self {
            values: vec![0.0; n_features],
            squared: 0.0,
        }
    }
}

impl<const L: usize> Blocks<L> {
    /// Blocks of `block` points each, a multiple of `L`; the last may have fewer.
    pub(super) fn new(points: &Points, block: usize) -> Self {
        let d = points.n_features();
        let n_strips = points.len().div_ceil(L);
        let n_blocks = points.len().div_ceil(block);
        let mut blocks = Self {
            n_points: points.len(),
            n_features: d,
            block,
            centres: Vec::with_capacity(n_blocks * d),
            radii: Vec::with_capacity(n_blocks),
            lanes: vec![0.0; n_strips * L * d],
            halves: vec![f32::INFINITY; n_strips * L],
        };
        for number in 0..n_blocks {
            blocks.fill(number, points);
        }
        blocks
    }

    fn fill(&mut self, number: usize, points: &Points) {
        let (d, range) = (self.n_features, self.range(number));
        let mut centre = vec![0.0; d];
        let share = 1.0 / range.len() as f64;
        for position in range.clone() {
            let values = centre.iter_mut().zip(points.point(position));
            values.for_each(|(centre, x)| *centre += share * x);
        }
        let mut radius: f64 = 0.0;
        let mut largest: f64 = 0.0;
        for position in range.clone() {
            let point = points.point(position);
            radius = radius.max(squared_distance(point, &centre));
            let around = point.iter().zip(&centre).map(|(x, c)| (x - c).abs());
            largest = around.fold(largest, f64::max);
        }
        // a little more, for its rounding and for what is too small to be squared
        let radius = radius.sqrt() * (1.0 + 1e-9) + 1e-150;
        if largest > MAX_POINT {
            self.radii.push(f64::INFINITY);
            range.for_each(|position| self.halves[position] = 0.0);
        } else {
            self.radii.push(radius);
            for position in range {
                let strip = &mut self.lanes[position / L * L * d..][..L * d];
                let mut squared = 0.0;
                let values = points.point(position).iter().zip(&centre);
                for (lane, (x, c)) in strip.iter_mut().skip(position % L).step_by(L).zip(values) {
                    *lane = (x - c) as f32;
                    squared += f64::from(*lane) * f64::from(*lane);
                }
                self.halves[position] = (0.5 * squared) as f32;
            }
        }
        self.centres.append(&mut centre);
    }

    /// The number of blocks.
    pub(super) fn len(&self) -> usize {
        self.radii.len()
    }

    /// The number of features.
    pub(super) fn n_features(&self) -> usize {
        self.n_features
    }

    /// The positions of a block's points.
    pub(super) fn range(&self, number: usize) -> std::ops::Range<usize> {
        number * self.block..self.n_points.min((number + 1) * self.block)
    }

    /// The block of a position.
    pub(super) fn of(&self, position: usize) -> usize {
        position / self.block
    }

    /// The block whose centre is nearest to the row.
    #[inline(always)]
    pub(super) fn nearest(&self, row: &[f64]) -> usize {
        let mut nearest = (0, f64::INFINITY);
        for (number, centre) in self.centres.chunks_exact(self.n_features).enumerate() {
            let squared = squared_distance(row, centre);
            if squared < nearest.1 {
                nearest = (number, squared);
            }
        }
        nearest.0
    }

    /// Offers the points of a block that may be near enough, unless all are too far for the distance of the centre.
    #[inline(always)]
    pub(super) fn scan<K: Kernel>(
        &self,
        kernel: K,
        number: usize,
        points: &Points,
        query: Query<'_>,
        centred: &mut Centred,
        best: &mut Nearest,
    ) {
        let (d, range) = (self.n_features, self.range(number));
        self.centre(number, query.row, centred);
        let radius = self.radii[number];
        let gap = centred.squared.sqrt() * (1.0 - 1e-6) - radius;
        if gap > best.bound().sqrt() * (1.0 + 1e-6) + 1e-150 {
            return;
        }
        let margin = ROUNDOFF * (d as f64 + 8.0) * (centred.squared + radius * radius)
            + UNDERFLOW * d as f64;
        for start in range.clone().step_by(L) {
            let threshold = best.bound() * (1.0 + ROUNDOFF) + margin - centred.squared;
            let lanes = &self.lanes[start * d..(start + L) * d];
            let halves = &self.halves[start..start + L];
            let threshold = (0.5 * threshold) as f32;
            let mut mask = kernel.strip::<L>(lanes, halves, &centred.values, threshold);
            while mask != 0 {
                let position = start + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if position >= range.end {
                    break;
                }
                let is_own = query.own == Some(position);
                best.offer(Neighbor {
                    squared: squared_distance(query.row, points.point(position)),
                    position: position as u32,
                    copies: points.copies()[position] - u32::from(is_own),
                });
            }
        }
    }

    #[inline(always)]
    fn centre(&self, number: usize, row: &[f64], centred: &mut Centred) {
        let d = self.n_features;
        let centre = &self.centres[number * d..(number + 1) * d];
        let mut squares = [0.0; 4];
        let (rows, row_rest) = row.as_chunks::<4>();
        let (centres, centre_rest) = centre.as_chunks::<4>();
        let (values, value_rest) = centred.values.as_chunks_mut::<4>();
        for ((value, row), centre) in values.iter_mut().zip(rows).zip(centres) {
            for lane in 0..4 {
                let x = limit(row[lane] - centre[lane]);
                squares[lane] += x * x;
                value[lane] = x as f32;
            }
        }
        let rest = value_rest.iter_mut().zip(row_rest).zip(centre_rest);
        for (square, ((value, row), centre)) in squares.iter_mut().zip(rest) {
            let x = limit(row - centre);
            *square += x * x;
            *value = x as f32;
        }
        centred.squared = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    }

    /// The bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        8 * (self.centres.len() + self.radii.len()) + 4 * (self.lanes.len() + self.halves.len())
    }
}

#[inline(always)]
fn limit(x: f64) -> f64 {
    let x = if x < MAX_QUERY { x } else { MAX_QUERY };
    if x > -MAX_QUERY { x } else { -MAX_QUERY }
}
