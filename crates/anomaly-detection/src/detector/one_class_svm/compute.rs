//! Kernel values of many pairs of rows: one row with many, or weighted sums over many for each of some rows.
//!
//! Everything is written once, for whatever lanes, and compiled twice on x86-64. A fused multiply-add is a call where the
//! processor may lack one, so that the portable form is exact there but slow.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::lanes::Avx2;
use super::lanes::{Lanes, Portable};
use super::points::{LANES, Points};
use super::similarity::Similarity;

/// Blocks of points that one row is compared with at once.
const BLOCKS: usize = 6;

/// Rows that one block of points is compared with at once.
const ROWS: usize = 4;

/// How many values of points are in a tile, about.
const TILE: usize = 1 << 16;

/// Features that are summed before their sum is added to that of those before, which bounds the rounding error of many.
const FEATURES: usize = 256;

/// The kernel of a row with each point of some whole blocks of d features.
///
/// # Panics
/// If there is not a value for each point.
pub(super) fn kernel_row<S: Similarity>(kernel: S, blocks: &[f32], row: &[f32], out: &mut [f32]) {
    assert_eq!(blocks.len(), out.len() * row.len(), "a value for each");
    assert!(out.len().is_multiple_of(LANES), "whole blocks");
    #[cfg(target_arch = "x86_64")]
    if has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { avx2::kernel_row(kernel, blocks, row, out) };
        return;
    }
    row_in::<S, Portable>(kernel, blocks, row, out);
}

/// Points and their coefficients in tiles that stay in the processor's cache while many rows are compared with them.
pub(super) fn tiles<'a>(
    points: &'a Points,
    coefficients: &'a [f64],
) -> impl Iterator<Item = (&'a [f32], &'a [f64])> {
    assert_eq!(coefficients.len(), points.n_padded(), "coefficients");
    let d = points.d().max(1);
    let n = (TILE / (BLOCKS * LANES * d)).max(1) * BLOCKS * LANES;
    points.values().chunks(n * d).zip(coefficients.chunks(n))
}

/// Adds to the sums of each of the rows, one after the other, its kernels with the points of some whole blocks, each times
/// its coefficient. A row's sums do not depend on the rows beside it. The coefficients of what fills the last block up are 0.
///
/// # Panics
/// If the rows and the blocks have another number of features, or there is not a coefficient for each point.
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
    #[cfg(target_arch = "x86_64")]
    if has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { avx2::add_kernels(kernel, (blocks, coefficients), rows, sums) };
        return;
    }
    sums_in::<S, Portable>(kernel, (blocks, coefficients), rows, sums);
}

/// The sum of a row's sums.
pub(super) fn total(sums: &[f64; LANES]) -> f64 {
    let half = |l: usize| sums[l] + sums[l + LANES / 2];
    (half(0) + half(2)) + (half(1) + half(3))
}

/// The kernel of each point with itself.
pub(super) fn diagonal<S: Similarity>(kernel: S, points: &Points) -> Vec<f32> {
    let mut out = vec![S::OF_ITSELF.unwrap_or(0.0); points.n_padded()];
    if S::OF_ITSELF.is_none() {
        #[cfg(target_arch = "x86_64")]
        if has_fma() {
            // SAFETY: the processor has AVX2 and FMA.
            unsafe { avx2::diagonal(kernel, points, &mut out) };
            return out;
        }
        diagonal_in::<S, Portable>(kernel, points, &mut out);
    }
    out
}

/// Whether the processor is one of those that the faster forms are for.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_fma() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// For processors with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Avx2, LANES, Points, Similarity, diagonal_in, row_in, sums_in};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn kernel_row<S: Similarity>(
        kernel: S,
        blocks: &[f32],
        row: &[f32],
        out: &mut [f32],
    ) {
        row_in::<S, Avx2>(kernel, blocks, row, out);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_kernels<S: Similarity>(
        kernel: S,
        tile: (&[f32], &[f64]),
        rows: &[f32],
        sums: &mut [[f64; LANES]],
    ) {
        sums_in::<S, Avx2>(kernel, tile, rows, sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn diagonal<S: Similarity>(kernel: S, points: &Points, out: &mut [f32]) {
        diagonal_in::<S, Avx2>(kernel, points, out);
    }
}

#[inline(always)]
pub(super) fn row_in<S: Similarity, L: Lanes>(
    kernel: S,
    blocks: &[f32],
    row: &[f32],
    out: &mut [f32],
) {
    let d = row.len();
    let blocks = blocks.as_chunks::<LANES>().0;
    let mut groups = blocks.chunks_exact((BLOCKS * d).max(1));
    let mut outs = out.chunks_exact_mut(BLOCKS * LANES);
    for (group, out) in groups.by_ref().zip(outs.by_ref()) {
        let values = kernels::<S, L, BLOCKS, 1>(kernel, group, row);
        for (out, lanes) in out.chunks_exact_mut(LANES).zip(values[0]) {
            out.copy_from_slice(&lanes.to_array());
        }
    }
    let rest = outs.into_remainder().chunks_exact_mut(LANES);
    for (block, out) in groups.remainder().chunks_exact(d.max(1)).zip(rest) {
        let values = kernels::<S, L, 1, 1>(kernel, block, row);
        out.copy_from_slice(&values[0][0].to_array());
    }
}

#[inline(always)]
pub(super) fn sums_in<S: Similarity, L: Lanes>(
    kernel: S,
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
        let mut lanes = [L::sums(&sums[0]); ROWS];
        for r in 1..ROWS {
            lanes[r] = L::sums(&sums[r]);
        }
        for (block, coefficients) in blocks.chunks_exact(d).zip(coefficients) {
            let values = kernels::<S, L, 1, ROWS>(kernel, block, rows);
            for r in 0..ROWS {
                lanes[r] = values[r][0].add_products(coefficients, lanes[r]);
            }
        }
        for r in 0..ROWS {
            L::store(lanes[r], &mut sums[r]);
        }
    }
    let rest = groups.remainder().chunks_exact(d);
    for (row, sums) in rest.zip(of_groups.into_remainder()) {
        let mut lanes = L::sums(sums);
        let mut groups = blocks.chunks_exact(BLOCKS * d);
        let mut of_groups = coefficients.chunks_exact(BLOCKS);
        for (group, coefficients) in groups.by_ref().zip(of_groups.by_ref()) {
            let values = kernels::<S, L, BLOCKS, 1>(kernel, group, row);
            for b in 0..BLOCKS {
                lanes = values[0][b].add_products(&coefficients[b], lanes);
            }
        }
        let rest = groups.remainder().chunks_exact(d);
        for (block, coefficients) in rest.zip(of_groups.remainder()) {
            let values = kernels::<S, L, 1, 1>(kernel, block, row);
            lanes = values[0][0].add_products(coefficients, lanes);
        }
        L::store(lanes, sums);
    }
}

#[inline(always)]
fn diagonal_in<S: Similarity, L: Lanes>(kernel: S, points: &Points, out: &mut [f32]) {
    let blocks = points.values().as_chunks::<LANES>().0;
    let outs = out.chunks_exact_mut(LANES);
    for (block, out) in blocks.chunks_exact(points.d().max(1)).zip(outs) {
        let mut total = L::splat(0.0);
        for features in block.chunks(FEATURES) {
            let mut sums = L::splat(0.0);
            for &x in features {
                sums = S::add(sums, L::from_array(x), L::from_array(x));
            }
            total = total.plus(sums);
        }
        out.copy_from_slice(&kernel.finish(total).to_array());
    }
}

/// The kernels of each of `R` rows with `B` blocks of points.
#[inline(always)]
fn kernels<S: Similarity, L: Lanes, const B: usize, const R: usize>(
    kernel: S,
    blocks: &[[f32; LANES]],
    rows: &[f32],
) -> [[L; B]; R] {
    let d = rows.len() / R;
    assert_eq!(blocks.len(), B * d, "whole blocks");
    let mut totals = sums_of::<S, L, B, R>(blocks, rows, d, 0, d.min(FEATURES));
    for from in (FEATURES..d).step_by(FEATURES) {
        let to = (from + FEATURES).min(d);
        let sums = sums_of::<S, L, B, R>(blocks, rows, d, from, to);
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = total.plus(sum);
            }
        }
    }
    for values in &mut totals {
        for value in values {
            *value = kernel.finish(*value);
        }
    }
    totals
}

/// The sums over some of the features.
#[inline(always)]
fn sums_of<S: Similarity, L: Lanes, const B: usize, const R: usize>(
    blocks: &[[f32; LANES]],
    rows: &[f32],
    d: usize,
    from: usize,
    to: usize,
) -> [[L; B]; R] {
    let mut sums = [[L::splat(0.0); B]; R];
    let blocks: [&[[f32; LANES]]; B] = std::array::from_fn(|b| &blocks[b * d + from..b * d + to]);
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r * d + from..r * d + to]);
    for j in 0..to - from {
        let mut x = [L::splat(0.0); B];
        for b in 0..B {
            x[b] = L::from_array(blocks[b][j]);
        }
        for r in 0..R {
            let y = L::splat(rows[r][j]);
            for b in 0..B {
                sums[r][b] = S::add(sums[r][b], x[b], y);
            }
        }
    }
    sums
}
