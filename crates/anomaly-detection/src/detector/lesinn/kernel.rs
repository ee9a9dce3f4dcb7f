//! The distances of rows to all members of all samples, and the nearest members of each sample.
//!
//! Eight samples are processed at once, one per lane, so that the nearest members of each are found without cross-lane
//! operations. Portable and AVX2 code come from the same source with the same order of operations, so that the scores are bit
//! for bit the same.

use super::params::LesinnMetric;
use crate::detector::simd::{F32x8, Simd, with_simd};

/// The number of samples in a group, one per lane.
pub(super) const LANES: usize = 8;

/// How many rows are compared with a member for each time that it is loaded.
pub(super) const TILE: usize = 4;

/// How many members are compared at once with a tile of rows, and with a single row: enough independent sums to hide the
/// latency of an addition.
const PAIR: usize = 2;
const OCTET: usize = 8;

/// How many features are summed before their sum is added to the total, which bounds the rounding error.
const FEATURES: usize = 256;

/// The number of smallest distances that the fast path keeps: three neighbours, and one that may be skipped.
const USUAL: usize = 4;

/// The samples that a chunk of rows is compared with.
pub(super) struct GroupedSamples<'a> {
    /// The members: n_groups x n_members x n_features vectors of one value per sample.
    pub(super) members: &'a [F32x8],
    pub(super) n_members: usize,
    pub(super) n_features: usize,
    /// The number of samples; excess lanes of the last group are ignored.
    pub(super) n_samples: usize,
    /// How many distances of each sample are averaged, fewer than `n_members`.
    pub(super) n_neighbors: usize,
    pub(super) metric: LesinnMetric,
}

/// Buffers for a chunk of rows.
#[derive(Default)]
pub(super) struct Scratch {
    /// The coordinates of each whole tile, feature by feature, and then of each remaining row.
    pub(super) coordinates: Vec<f32>,
    least: Vec<F32x8>,
    sums: Vec<[f64; LANES]>,
}

impl GroupedSamples<'_> {
    /// Writes the mean distance of each row of a chunk, whose coordinates are in `scratch`.
    pub(super) fn score(&self, scratch: &mut Scratch, scores: &mut [f64]) {
        with_simd!(simd => self.score_with(simd, scratch, scores));
    }

    /// Inlined into the code for each instruction set.
    #[inline(always)]
    pub(super) fn score_with<S: Simd>(&self, simd: S, scratch: &mut Scratch, scores: &mut [f64]) {
        let n_rows = scores.len();
        assert_eq!(scratch.coordinates.len(), n_rows * self.n_features);
        scratch.sums.clear();
        scratch.sums.resize(n_rows, [0.0; LANES]);
        let n_least = n_rows * (self.n_neighbors + 1);
        scratch.least.resize(n_least, [0.0; LANES]);
        match (self.metric, self.n_neighbors + 1 == USUAL) {
            (LesinnMetric::Manhattan, true) => self.add_groups::<S, false, USUAL>(simd, scratch),
            (LesinnMetric::Manhattan, false) => self.add_groups::<S, false, 0>(simd, scratch),
            (LesinnMetric::Euclidean, true) => self.add_groups::<S, true, USUAL>(simd, scratch),
            (LesinnMetric::Euclidean, false) => self.add_groups::<S, true, 0>(simd, scratch),
        }
        let n_distances = (self.n_samples * self.n_neighbors) as f64;
        for (score, sums) in scores.iter_mut().zip(&scratch.sums) {
            *score = sums.iter().sum::<f64>() / n_distances;
        }
    }

    /// Adds the contribution of each sample to the sum of each row. `LEAST` is `n_neighbors + 1`, or 0 for any number.
    #[inline(always)]
    fn add_groups<S: Simd, const SQUARED: bool, const LEAST: usize>(
        &self,
        simd: S,
        scratch: &mut Scratch,
    ) {
        let d = self.n_features;
        let n_least = if LEAST == 0 {
            self.n_neighbors + 1
        } else {
            LEAST
        };
        let n_tiled = scratch.sums.len() / TILE * TILE;
        let (tiles, singles) = scratch.coordinates.split_at(n_tiled * d);
        let groups = self.members.chunks_exact(self.n_members * d);
        for (group, members) in groups.enumerate() {
            scratch.least.fill([f32::INFINITY; LANES]);
            let (least, least_of_singles) = scratch.least.split_at_mut(n_tiled * n_least);
            let tiles = tiles.as_chunks::<TILE>().0;
            let (pairs, odd) = members.split_at(self.n_members / PAIR * PAIR * d);
            for pair in pairs.chunks_exact(PAIR * d) {
                sweep::<S, TILE, PAIR, SQUARED, LEAST>(simd, pair, tiles, least, d, n_least);
            }
            for member in odd.chunks_exact(d) {
                sweep::<S, TILE, 1, SQUARED, LEAST>(simd, member, tiles, least, d, n_least);
            }
            let singles = singles.as_chunks::<1>().0;
            let least = least_of_singles;
            let (octets, odd) = members.split_at(self.n_members / OCTET * OCTET * d);
            for octet in octets.chunks_exact(OCTET * d) {
                sweep::<S, 1, OCTET, SQUARED, LEAST>(simd, octet, singles, least, d, n_least);
            }
            for member in odd.chunks_exact(d) {
                sweep::<S, 1, 1, SQUARED, LEAST>(simd, member, singles, least, d, n_least);
            }
            let n_lanes = (self.n_samples - group * LANES).min(LANES);
            let live: [f64; LANES] =
                std::array::from_fn(|lane| f64::from(u8::from(lane < n_lanes)));
            for (sums, least) in scratch
                .sums
                .iter_mut()
                .zip(scratch.least.chunks_exact(n_least))
            {
                add_nearest::<SQUARED>(sums, least, &live);
            }
        }
    }
}

/// Updates the smallest distances with those of tiles of `R` rows to `J` members. Each row of a tile has `n_least` vectors of
/// smallest distances.
#[inline(always)]
fn sweep<S: Simd, const R: usize, const J: usize, const SQUARED: bool, const LEAST: usize>(
    simd: S,
    members: &[F32x8],
    tiles: &[[f32; R]],
    least: &mut [F32x8],
    d: usize,
    n_least: usize,
) {
    let n_least = if LEAST == 0 { n_least } else { LEAST };
    let tiles = tiles.chunks_exact(d);
    for (tile, least) in tiles.zip(least.chunks_exact_mut(R * n_least)) {
        let distances = distances::<S, R, J, SQUARED>(simd, members, tile, d);
        for (least, distances) in least.chunks_exact_mut(n_least).zip(distances) {
            if LEAST == 0 {
                for distance in distances {
                    insert(simd, least, distance);
                }
            } else {
                insert_all::<S, J, LEAST>(simd, least, distances);
            }
        }
    }
}

/// The distances, or their squares, of `R` rows to `J` members of each lane's sample.
#[inline(always)]
fn distances<S: Simd, const R: usize, const J: usize, const SQUARED: bool>(
    simd: S,
    members: &[F32x8],
    tile: &[[f32; R]],
    d: usize,
) -> [[S::F32x8; J]; R] {
    let mut totals = [[simd.splat(0.0); J]; R];
    for first in (0..d).step_by(FEATURES) {
        let n = FEATURES.min(d - first);
        let tile = &tile[first..first + n];
        let mut rest = &members[first..];
        let mut columns = [&members[..0]; J];
        for column in &mut columns {
            *column = &rest[..n];
            rest = rest.get(d..).unwrap_or_default();
        }
        let mut sums = [[simd.splat(0.0); J]; R];
        for i in 0..n {
            let mut member = [simd.splat(0.0); J];
            for j in 0..J {
                member[j] = simd.load(&columns[j][i]);
            }
            for r in 0..R {
                let x = simd.splat(tile[i][r]);
                for j in 0..J {
                    let difference = simd.sub(member[j], x);
                    let term = if SQUARED {
                        simd.mul(difference, difference)
                    } else {
                        simd.abs(difference)
                    };
                    sums[r][j] = simd.add(sums[r][j], term);
                }
            }
        }
        for r in 0..R {
            for j in 0..J {
                totals[r][j] = simd.add(totals[r][j], sums[r][j]);
            }
        }
    }
    totals
}

/// Inserts one distance per lane into the ascending smallest distances of that lane; the largest drops out.
#[inline(always)]
fn insert<S: Simd>(simd: S, least: &mut [F32x8], mut distance: S::F32x8) {
    for place in least {
        let kept = simd.load(place);
        simd.store(simd.min(kept, distance), place);
        distance = simd.max(kept, distance);
    }
}

/// The same for `J` distances, and so few smallest ones that they fit in registers.
#[inline(always)]
fn insert_all<S: Simd, const J: usize, const LEAST: usize>(
    simd: S,
    least: &mut [F32x8],
    distances: [S::F32x8; J],
) {
    let mut kept = [simd.splat(0.0); LEAST];
    for (kept, place) in kept.iter_mut().zip(&*least) {
        *kept = simd.load(place);
    }
    for mut distance in distances {
        for kept in &mut kept {
            (*kept, distance) = (simd.min(*kept, distance), simd.max(*kept, distance));
        }
    }
    for (&kept, place) in kept.iter().zip(least) {
        simd.store(kept, place);
    }
}

/// Adds the sum of each lane's smallest distances without one that is exactly 0, or else without the largest.
#[inline(always)]
fn add_nearest<const SQUARED: bool>(sums: &mut [f64; LANES], least: &[F32x8], live: &[f64; LANES]) {
    let [nearest, .., farthest] = least else {
        return;
    };
    let mut between = [0.0; LANES];
    for kept in &least[1..least.len() - 1] {
        for lane in 0..LANES {
            let kept = kept[lane];
            between[lane] += f64::from(if SQUARED { kept.sqrt() } else { kept });
        }
    }
    for lane in 0..LANES {
        let last = if nearest[lane] == 0.0 {
            farthest[lane]
        } else {
            nearest[lane]
        };
        let last = if SQUARED { last.sqrt() } else { last };
        sums[lane] += live[lane] * (between[lane] + f64::from(last));
    }
}
