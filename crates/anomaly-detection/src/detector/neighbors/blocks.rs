//! Points in blocks for the filter, as floats relative to the centre of their block; in each strip of points, all first
//! coordinates come before the second ones.
//!
//! For a query q and a point p, both relative to the centre, |q - p|^2 = |q|^2 + 2 (|p|^2 / 2 - q . p), which costs one
//! multiply-add per coordinate. [`Blocks::scan`] allows a margin for rounding, so that no point that is near enough is lost; the
//! exact distance rejects the few others that pass. Because coordinates are relative to the centre, the margin is small for
//! queries near the block, where it matters.

use super::kernel::{Kernel, ROUNDOFF, STRIP, UNDERFLOW, clamped, squared_distance};
use super::nearest::{Nearest, Neighbor};
use super::points::Points;
use super::search::Query;
use crate::context::Context;
use crate::error::Result;

/// The largest magnitude of a coordinate of a point relative to the centre. If a block has a larger one, all its points pass the
/// filter.
const MAX_POINT: f64 = 1e15;

/// The magnitude to which the coordinates of a query relative to a centre are clamped, which only brings it nearer to the
/// points of the block.
const MAX_QUERY: f64 = 1e16;

/// The most points of a block: so few that they fit in the cache with a batch of queries and lie near their centre, and so many
/// that queries are rarely centred again.
pub(super) const BLOCK: usize = 4 * STRIP;

/// The points in blocks of strips, derived from [`Points`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks {
    n_points: usize,
    n_features: usize,
    centres: Vec<f64>,
    /// For each block, an upper bound on the distance of its points from its centre; infinite if floats cannot hold them.
    radii: Vec<f64>,
    lanes: Vec<f32>,
    halves: Vec<[f32; STRIP]>,
}

/// A query relative to the centre of a block.
#[derive(Debug)]
pub(super) struct Centred {
    block: usize,
    values: Vec<f32>,
    /// The squared distance from the centre.
    squared: f64,
    margin: f64,
}

impl Centred {
    pub(super) fn new(n_features: usize) -> Self {
        Self {
            block: usize::MAX,
            values: vec![0.0; n_features],
            squared: 0.0,
            margin: 0.0,
        }
    }

    /// A squared distance within which there are more than `n` points, given the sums of a strip that has more than `n`.
    fn bound(&self, mut sums: [f32; STRIP], n: usize) -> f64 {
        if self.squared >= MAX_QUERY {
            // clamping may have brought the query nearer
            return f64::INFINITY;
        }
        let (_, &mut sum, _) = sums.select_nth_unstable_by(n, f32::total_cmp);
        (self.squared + 2.0 * f64::from(sum) + self.margin) * (1.0 + 2.0 * ROUNDOFF) + self.margin
    }

    /// Resets for another query.
    pub(super) fn clear(&mut self) {
        self.block = usize::MAX;
    }
}

impl Blocks {
    pub(super) fn new(points: &Points, context: &Context) -> Result<Self> {
        let d = points.n_features();
        let n_strips = points.len().div_ceil(STRIP);
        let n_blocks = points.len().div_ceil(BLOCK);
        let mut blocks = Self {
            n_points: points.len(),
            n_features: d,
            centres: Vec::with_capacity(n_blocks * d),
            radii: Vec::with_capacity(n_blocks),
            lanes: vec![0.0; n_strips * STRIP * d],
            halves: vec![[f32::INFINITY; STRIP]; n_strips],
        };
        for number in 0..n_blocks {
            context.check()?;
            blocks.fill(number, points);
        }
        Ok(blocks)
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
        // a little more, for rounding and for squares that underflow
        let radius = radius.sqrt() * (1.0 + 1e-9) + 1e-150;
        if largest > MAX_POINT {
            self.radii.push(f64::INFINITY);
            range.for_each(|position| self.halves[position / STRIP][position % STRIP] = 0.0);
        } else {
            self.radii.push(radius);
            for position in range {
                let strip = &mut self.lanes[position / STRIP * STRIP * d..][..STRIP * d];
                let mut squared = 0.0;
                let values = points.point(position).iter().zip(&centre);
                for (lane, (x, c)) in strip
                    .iter_mut()
                    .skip(position % STRIP)
                    .step_by(STRIP)
                    .zip(values)
                {
                    *lane = (x - c) as f32;
                    squared += f64::from(*lane) * f64::from(*lane);
                }
                self.halves[position / STRIP][position % STRIP] = (0.5 * squared) as f32;
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
        number * BLOCK..self.n_points.min((number + 1) * BLOCK)
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

    /// Offers the points of a block that may be near enough, unless its centre is too far away for any.
    #[inline(always)]
    pub(super) fn scan<K: Kernel>(
        &self,
        kernel: K,
        block: usize,
        points: &Points,
        query: Query<'_>,
        centred: &mut Centred,
        best: &mut Nearest,
    ) {
        self.centre(block, query.row, centred);
        let gap = centred.squared.sqrt() * (1.0 - 1e-6) - self.radii[block];
        if gap > best.bound().sqrt() * (1.0 + 1e-6) + 1e-150 {
            return;
        }
        for start in self.range(block).step_by(STRIP) {
            self.scan_strip(kernel, start / STRIP, points, query, centred, best);
        }
    }

    /// Offers the points of a strip that may be near enough.
    #[inline(always)]
    pub(super) fn scan_strip<K: Kernel>(
        &self,
        kernel: K,
        strip: usize,
        points: &Points,
        query: Query<'_>,
        centred: &mut Centred,
        best: &mut Nearest,
    ) {
        let d = self.n_features;
        let start = strip * STRIP;
        self.centre(start / BLOCK, query.row, centred);
        let lanes = &self.lanes[start * d..(start + STRIP) * d];
        let halves = &self.halves[strip];
        if best.bound() == f64::INFINITY && best.wanted() < STRIP.min(self.n_points - start) {
            let sums = kernel.sums(lanes, halves, &centred.values);
            best.limit(centred.bound(sums, best.wanted()));
        }
        let threshold = best.bound() * (1.0 + ROUNDOFF) + (centred.margin - centred.squared);
        let threshold = (0.5 * threshold) as f32;
        let mut mask = kernel.filter(lanes, halves, &centred.values, threshold);
        if start + STRIP > self.n_points {
            mask &= (1 << (self.n_points - start)) - 1;
        }
        if mask == 0 {
            return;
        }
        // all distances are computed before the first is offered, so that the loads of the points overlap
        let mut near = [(0, 0.0); STRIP];
        let mut n_near = 0;
        while mask != 0 {
            let position = start + mask.trailing_zeros() as usize;
            near[n_near] = (
                position,
                squared_distance(query.row, points.point(position)),
            );
            n_near += 1;
            mask &= mask - 1;
        }
        for &(position, squared) in &near[..n_near] {
            if squared <= best.bound() {
                let is_own = query.own == Some(position);
                best.offer(Neighbor {
                    squared,
                    position: position as u32,
                    copies: points.copies()[position] - u32::from(is_own),
                });
            }
        }
    }

    #[inline(always)]
    fn centre(&self, block: usize, row: &[f64], centred: &mut Centred) {
        if centred.block == block {
            return;
        }
        let d = self.n_features;
        let centre = &self.centres[block * d..(block + 1) * d];
        let mut squares = [0.0; 4];
        let (rows, row_rest) = row.as_chunks::<4>();
        let (centres, centre_rest) = centre.as_chunks::<4>();
        let (values, value_rest) = centred.values.as_chunks_mut::<4>();
        for ((value, row), centre) in values.iter_mut().zip(rows).zip(centres) {
            let x: [f64; 4] = std::array::from_fn(|i| clamped(row[i] - centre[i], MAX_QUERY));
            squares = std::array::from_fn(|i| squares[i] + x[i] * x[i]);
            *value = x.map(|x| x as f32);
        }
        let rest = value_rest.iter_mut().zip(row_rest).zip(centre_rest);
        for (square, ((value, row), centre)) in squares.iter_mut().zip(rest) {
            let x = clamped(row - centre, MAX_QUERY);
            *square += x * x;
            *value = x as f32;
        }
        centred.block = block;
        centred.squared = (squares[0] + squares[1]) + (squares[2] + squares[3]);
        let radius = self.radii[block];
        centred.margin = ROUNDOFF * (d as f64 + 8.0) * (centred.squared + radius * radius)
            + UNDERFLOW * d as f64;
    }

    /// The bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        8 * (self.centres.len() + self.radii.len())
            + 4 * self.lanes.len()
            + size_of_val(self.halves.as_slice())
    }
}
