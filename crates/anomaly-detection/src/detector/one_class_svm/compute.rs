//! Kernel values of many pairs of rows: of one row with many, or weighted sums over many for each of several rows.
//!
//! Everything is written once for any vector instructions. On processors without a fused multiply-add, it is a function call, so
//! that the portable form is exact but slow there.

use super::points::{LANES, Points};
use super::similarity::{Similarity, to_array};
use crate::detector::simd::{F64x4, Simd, with_simd};

/// How many blocks of points one row is compared with at once.
const BLOCKS: usize = 6;

/// How many rows one block of points is compared with at once.
const ROWS: usize = 4;

/// About how many values of points a tile has.
const TILE: usize = 1 << 16;

/// How many features are summed before their sum is added to the total, which bounds the rounding error.
const FEATURES: usize = 256;

/// Writes the kernel of a row with each point of whole blocks of d features.
///
/// # Panics
/// If `out` does not have one value for each point.
pub(super) fn kernel_row<S: Similarity>(kernel: S, blocks: &[f32], row: &[f32], out: &mut [f32]) {
    assert_eq!(blocks.len(), out.len() * row.len(), "a value for each");
    assert!(out.len().is_multiple_of(LANES), "whole blocks");
    with_simd!(simd => row_in(simd, kernel, blocks, row, out));
}

/// Points and their coefficients in tiles that stay in the cache while many rows are compared with them.
pub(super) fn tiles<'a>(
    points: &'a Points,
    coefficients: &'a [f64],
) -> impl Iterator<Item = (&'a [f32], &'a [f64])> {
    assert_eq!(coefficients.len(), points.n_padded_rows(), "coefficients");
    let d = points.n_features().max(1);
    let n = (TILE / (BLOCKS * LANES * d)).max(1) * BLOCKS * LANES;
    points.values().chunks(n * d).zip(coefficients.chunks(n))
}

/// Adds to the sums of each row its kernels with the points of whole blocks, each multiplied by the coefficient of the point. The
/// sums of a row do not depend on the other rows. The coefficients of the padding of the last block are 0.
///
/// # Panics
/// If the rows and the blocks differ in the number of features, or there is not one coefficient for each point.
pub(super) fn add_kernels<S: Similarity>(
    kernel: S,
    (blocks, coefficients): (&[f32], &[f64]),
    rows: &[f32],
    sums: &mut [[f64; LANES]],
) {
    let d = rows.len() / sums.len().max(1);
    assert_eq!(rows.len(), sums.len() * d, "whole rows");
    assert_eq!(blocks.len(), coefficients.len() * d, "a coefficient each");
    assert!(coefficients.len().is_multiple_of(LANES), "whole blocks");
    with_simd!(simd => sums_in(simd, kernel, (blocks, coefficients), rows, sums));
}

/// The total of the sums of a row.
pub(super) fn total(sums: &[f64; LANES]) -> f64 {
    let half = |l: usize| sums[l] + sums[l + LANES / 2];
    (half(0) + half(2)) + (half(1) + half(3))
}

/// The kernel of each point with itself.
pub(super) fn diagonal<S: Similarity>(kernel: S, points: &Points) -> Vec<f32> {
    let mut out = vec![S::OF_ITSELF.unwrap_or(0.0); points.n_padded_rows()];
    if S::OF_ITSELF.is_none() {
        with_simd!(simd => diagonal_in(simd, kernel, points, &mut out));
    }
    out
}

#[inline(always)]
pub(super) fn row_in<S: Simd, K: Similarity>(
    simd: S,
    kernel: K,
    blocks: &[f32],
    row: &[f32],
    out: &mut [f32],
) {
    let d = row.len();
    let blocks = blocks.as_chunks::<LANES>().0;
    let mut groups = blocks.chunks_exact((BLOCKS * d).max(1));
    let mut outs = out.chunks_exact_mut(BLOCKS * LANES);
    for (group, out) in groups.by_ref().zip(outs.by_ref()) {
        let values = kernels::<S, K, BLOCKS, 1>(simd, kernel, group, row);
        for (out, lanes) in out.chunks_exact_mut(LANES).zip(values[0]) {
            out.copy_from_slice(&to_array(simd, lanes));
        }
    }
    let rest = outs.into_remainder().chunks_exact_mut(LANES);
    for (block, out) in groups.remainder().chunks_exact(d.max(1)).zip(rest) {
        let values = kernels::<S, K, 1, 1>(simd, kernel, block, row);
        out.copy_from_slice(&to_array(simd, values[0][0]));
    }
}

#[inline(always)]
pub(super) fn sums_in<S: Simd, K: Similarity>(
    simd: S,
    kernel: K,
    (blocks, coefficients): (&[f32], &[f64]),
    rows: &[f32],
    sums: &mut [[f64; LANES]],
) {
    let d = (rows.len() / sums.len().max(1)).max(1);
    let blocks = blocks.as_chunks::<LANES>().0;
    let coefficients = coefficients.as_chunks::<LANES>().0;
    let mut groups = rows.chunks_exact(ROWS * d);
    let mut of_groups = sums.chunks_exact_mut(ROWS);
    for (rows, sums) in groups.by_ref().zip(of_groups.by_ref()) {
        let mut lanes = [load_sums(simd, &sums[0]); ROWS];
        for r in 1..ROWS {
            lanes[r] = load_sums(simd, &sums[r]);
        }
        for (block, coefficients) in blocks.chunks_exact(d).zip(coefficients) {
            let values = kernels::<S, K, 1, ROWS>(simd, kernel, block, rows);
            for r in 0..ROWS {
                lanes[r] = add_products(simd, values[r][0], coefficients, lanes[r]);
            }
        }
        for r in 0..ROWS {
            store_sums(simd, lanes[r], &mut sums[r]);
        }
    }
    let rest = groups.remainder().chunks_exact(d);
    for (row, sums) in rest.zip(of_groups.into_remainder()) {
        let mut lanes = load_sums(simd, sums);
        let mut groups = blocks.chunks_exact(BLOCKS * d);
        let mut of_groups = coefficients.chunks_exact(BLOCKS);
        for (group, coefficients) in groups.by_ref().zip(of_groups.by_ref()) {
            let values = kernels::<S, K, BLOCKS, 1>(simd, kernel, group, row);
            for b in 0..BLOCKS {
                lanes = add_products(simd, values[0][b], &coefficients[b], lanes);
            }
        }
        let rest = groups.remainder().chunks_exact(d);
        for (block, coefficients) in rest.zip(of_groups.remainder()) {
            let values = kernels::<S, K, 1, 1>(simd, kernel, block, row);
            lanes = add_products(simd, values[0][0], coefficients, lanes);
        }
        store_sums(simd, lanes, sums);
    }
}

#[inline(always)]
fn diagonal_in<S: Simd, K: Similarity>(simd: S, kernel: K, points: &Points, out: &mut [f32]) {
    let blocks = points.values().as_chunks::<LANES>().0;
    let outs = out.chunks_exact_mut(LANES);
    for (block, out) in blocks.chunks_exact(points.n_features().max(1)).zip(outs) {
        let mut total = simd.splat(0.0);
        for features in block.chunks(FEATURES) {
            let mut sums = simd.splat(0.0);
            for x in features {
                let x = simd.load(x);
                sums = K::add(simd, sums, x, x);
            }
            total = simd.add(total, sums);
        }
        out.copy_from_slice(&to_array(simd, kernel.finish(simd, total)));
    }
}

/// The kernels of each of `R` rows with `B` blocks of points.
#[inline(always)]
fn kernels<S: Simd, K: Similarity, const B: usize, const R: usize>(
    simd: S,
    kernel: K,
    blocks: &[[f32; LANES]],
    rows: &[f32],
) -> [[S::F32x8; B]; R] {
    let d = rows.len() / R;
    assert_eq!(blocks.len(), B * d, "whole blocks");
    let mut totals = sums_of::<S, K, B, R>(simd, blocks, rows, d, 0, d.min(FEATURES));
    for from in (FEATURES..d).step_by(FEATURES) {
        let to = (from + FEATURES).min(d);
        let sums = sums_of::<S, K, B, R>(simd, blocks, rows, d, from, to);
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = simd.add(*total, sum);
            }
        }
    }
    for values in &mut totals {
        for value in values {
            *value = kernel.finish(simd, *value);
        }
    }
    totals
}

/// The sums over some of the features.
#[inline(always)]
fn sums_of<S: Simd, K: Similarity, const B: usize, const R: usize>(
    simd: S,
    blocks: &[[f32; LANES]],
    rows: &[f32],
    d: usize,
    from: usize,
    to: usize,
) -> [[S::F32x8; B]; R] {
    let mut sums = [[simd.splat(0.0); B]; R];
    let blocks: [&[[f32; LANES]]; B] = std::array::from_fn(|b| &blocks[b * d + from..b * d + to]);
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r * d + from..r * d + to]);
    for j in 0..to - from {
        let mut x = [simd.splat(0.0); B];
        for b in 0..B {
            x[b] = simd.load(&blocks[b][j]);
        }
        for r in 0..R {
            let y = simd.splat(rows[r][j]);
            for b in 0..B {
                sums[r][b] = K::add(simd, sums[r][b], x[b], y);
            }
        }
    }
    sums
}

/// Eight sums in double precision, one for each lane of single-precision values.
type Sums<S> = [<S as Simd>::F64x4; 2];

#[inline(always)]
fn load_sums<S: Simd>(simd: S, sums: &[f64; LANES]) -> Sums<S> {
    let halves: &[F64x4] = sums.as_chunks().0;
    [simd.load_f64(&halves[0]), simd.load_f64(&halves[1])]
}

#[inline(always)]
fn store_sums<S: Simd>(simd: S, [low, high]: Sums<S>, sums: &mut [f64; LANES]) {
    let halves: &mut [F64x4] = sums.as_chunks_mut().0;
    simd.store_f64(low, &mut halves[0]);
    simd.store_f64(high, &mut halves[1]);
}

/// Adds the products of values with their coefficients by fused multiply-adds.
#[inline(always)]
fn add_products<S: Simd>(
    simd: S,
    values: S::F32x8,
    coefficients: &[f64; LANES],
    sums: Sums<S>,
) -> Sums<S> {
    let [low, high] = simd.widen(values);
    let [of_low, of_high] = load_sums(simd, coefficients);
    [
        simd.mul_add_f64(of_low, low, sums[0]),
        simd.mul_add_f64(of_high, high, sums[1]),
    ]
}
