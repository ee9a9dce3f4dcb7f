//! Points in leaves for the tree, as floats relative to one centre; in each leaf, all first coordinates come before the second
//! ones.
//!
//! Floats keep the difference of two coordinates to about 1e-7 of their distance from the centre. The effect on distances is
//! bounded ([`Centred::limit`]), so that no point that is near enough is lost; the exact distance rejects the few others that
//! pass. The centre is about the median, so that a few far points do not cost the others any precision.

use super::kernel::{Kernel, ROUNDOFF, STRIP, UNDERFLOW, clamped, squared_distance};
use super::nearest::{Nearest, Neighbor};
use super::points::Points;
use super::search::Query;

/// The most points of a leaf, one bit of a `u64` each. With smaller leaves fewer points are compared, but searches take longer.
pub(super) const LEAF: usize = STRIP;

/// The magnitude to which coordinates relative to the centre are clamped, which only brings points and queries nearer to each
/// other.
const MAX_AROUND: f64 = 1e15;

/// The most points that the centre is computed from.
const SAMPLE: usize = 255;

/// How many points that may be near enough are collected before their exact distances are computed, so that their loads overlap.
const BATCH: usize = 16;

/// Room for these and for all points of one more leaf.
const ROOM: usize = BATCH + LEAF;

/// The points in leaves, derived from [`Points`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaves {
    n_points: usize,
    centre: Vec<f64>,
    /// For each leaf and feature the coordinates of its points; the last leaf is padded with infinity.
    lanes: Vec<[f32; LEAF]>,
}

/// A query relative to the centre, with buffers that all queries reuse.
#[derive(Debug)]
pub(super) struct Centred {
    values: Vec<f32>,
    /// The distance from the centre.
    norm: f64,
    /// The positions of points that may be near enough, and how many there are.
    near: Vec<u32>,
    n_near: usize,
}

impl Centred {
    /// The coordinates.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// A squared distance in floats that includes every box and point whose exact squared distance is within `bound`.
    ///
    /// A point at a distance D from the query q is at most |q| + D from the centre. Rounding to floats moves both by at most
    /// half a [`ROUNDOFF`] of that, and each of the d squares and sums is rounded once.
    pub(super) fn limit(&self, bound: f64) -> f32 {
        let d = self.values.len() as f64;
        let distance = bound.sqrt();
        let farther = distance + ROUNDOFF * (distance + self.norm);
        let rounded = farther * farther * (1.0 + (d + 16.0) * ROUNDOFF) + UNDERFLOW * d;
        rounded as f32
    }
}

impl Leaves {
    pub(super) fn new(points: &Points) -> Self {
        let d = points.n_features();
        let n_leaves = points.len().div_ceil(LEAF);
        let centre = median(points);
        let mut lanes = vec![[f32::INFINITY; LEAF]; n_leaves * d];
        for (leaf, lanes) in lanes.chunks_exact_mut(d).enumerate() {
            let first = leaf * LEAF;
            for i in 0..LEAF.min(points.len() - first) {
                let values = points.point(first + i).iter().zip(&centre);
                for (lanes, (x, c)) in lanes.iter_mut().zip(values) {
                    lanes[i] = clamped(x - c, MAX_AROUND) as f32;
                }
            }
        }
        Self {
            n_points: points.len(),
            centre,
            lanes,
        }
    }

    /// The number of leaves.
    pub(super) fn len(&self) -> usize {
        self.n_points.div_ceil(LEAF)
    }

    /// The number of features.
    pub(super) fn n_features(&self) -> usize {
        self.centre.len()
    }

    /// The number of points in a leaf.
    #[inline(always)]
    fn n_in(&self, leaf: usize) -> usize {
        LEAF.min(self.n_points - leaf * LEAF)
    }

    /// For each feature the smallest and the largest coordinate of a leaf's points.
    pub(super) fn extents(&self, leaf: usize) -> impl Iterator<Item = (f32, f32)> {
        let (d, n) = (self.n_features(), self.n_in(leaf));
        self.lanes[leaf * d..(leaf + 1) * d]
            .iter()
            .map(move |lanes| {
                let ends = (f32::INFINITY, f32::NEG_INFINITY);
                let wider = |(low, high): (f32, f32), &x: &f32| (low.min(x), high.max(x));
                lanes[..n].iter().fold(ends, wider)
            })
    }

    /// Room for a query.
    pub(super) fn scratch(&self) -> Centred {
        Centred {
            values: vec![0.0; self.n_features()],
            norm: 0.0,
            near: vec![0; ROOM],
            n_near: 0,
        }
    }

    /// Centres a row.
    #[inline(always)]
    pub(super) fn centre(&self, row: &[f64], centred: &mut Centred) {
        let mut squared = 0.0;
        let values = row.iter().zip(&self.centre);
        for (value, (x, c)) in centred.values.iter_mut().zip(values) {
            let x = clamped(x - c, MAX_AROUND);
            squared += x * x;
            *value = x as f32;
        }
        centred.norm = squared.sqrt();
    }

    /// Collects the points of a leaf that may be within the limit. Returns whether enough are collected to be offered.
    #[inline(always)]
    pub(super) fn scan<K: Kernel>(
        &self,
        kernel: K,
        leaf: usize,
        limit: f32,
        centred: &mut Centred,
    ) -> bool {
        let d = self.n_features();
        let lanes = &self.lanes[leaf * d..(leaf + 1) * d];
        let mut mask = kernel.within(lanes, &centred.values, limit);
        // an infinite limit also admits the padding
        mask &= u64::MAX >> (LEAF - self.n_in(leaf));
        while mask != 0 {
            centred.near[centred.n_near] = (leaf * LEAF) as u32 + mask.trailing_zeros();
            centred.n_near += 1;
            mask &= mask - 1;
        }
        centred.n_near >= BATCH
    }

    /// Offers the collected points.
    #[inline(always)]
    pub(super) fn offer(
        &self,
        points: &Points,
        query: Query<'_>,
        centred: &mut Centred,
        best: &mut Nearest,
    ) {
        let near = &centred.near[..centred.n_near];
        centred.n_near = 0;
        let mut distances = [0.0; ROOM];
        for (distance, &position) in distances.iter_mut().zip(near) {
            *distance = squared_distance(query.row, points.point(position as usize));
        }
        if best.bound() == f64::INFINITY && near.len() > best.wanted() {
            // one of the points may be the query itself
            let mut nearest = distances;
            let nearest = &mut nearest[..near.len()];
            best.limit(
                *nearest
                    .select_nth_unstable_by(best.wanted(), f64::total_cmp)
                    .1,
            );
        }
        for (&squared, &position) in distances.iter().zip(near) {
            if squared <= best.bound() {
                let is_own = query.own == Some(position as usize);
                best.offer(Neighbor {
                    squared,
                    position,
                    copies: points.copies()[position as usize] - u32::from(is_own),
                });
            }
        }
    }

    /// The bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        8 * self.centre.len() + size_of_val(self.lanes.as_slice())
    }
}

/// The median of each feature over a sample of points that are spread over the tree.
fn median(points: &Points) -> Vec<f64> {
    let step = points.len().div_ceil(SAMPLE);
    let of_feature = |feature| {
        let sample = (0..points.len()).step_by(step);
        let mut values: Vec<f64> = sample.map(|i| points.point(i)[feature]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f64::total_cmp).1
    };
    (0..points.n_features()).map(of_feature).collect()
}
