//! Kernel values of many pairs of rows: one row with many, or weighted sums over many for each of some rows.
//!
//! All is written once, in lanes, and compiled twice on x86-64: for any processor, where a fused multiply-add is a call, and
//! for those with AVX2 and FMA. Both do the same operations, and give the same values bit for bit.
#![allow(unsafe_code)]

use super::points::{LANES, Points};
use super::similarity::{Lanes, Similarity};

/// Blocks that one row is compared with at once.
const BLOCKS: usize = 4;

/// Rows that one block is compared with at once.
pub(super) const ROWS: usize = 4;

/// Features that are summed before the sum is added to that of those before, which bounds the rounding error of many.
const FEATURES: usize = 256;

/// The kernel of a row with each of the points, with those that fill the last block up, too.
///
/// # Panics
/// If the row has another number of features, or there are not as many values as padded points.
pub(super) fn kernel_row<S: Similarity>(kernel: S, points: &Points, row: &[f32], out: &mut [f32]) {
    assert_eq!(row.len(), points.d(), "number of features");
    assert_eq!(out.len(), points.n_padded(), "a value for each point");
    #[cfg(target_arch = "x86_64")]
    if has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { avx2::kernel_row(kernel, points, row, out) };
        return;
    }
    portable::kernel_row(kernel, points, row, out);
}

/// For each of the rows, at most [`ROWS`] one after the other, the sum of its kernels with the points, each times its
/// coefficient. A row's sum does not depend on the rows beside it. The coefficients of what fills the last block up are 0.
///
/// # Panics
/// If the rows have another number of features, or there are not as many coefficients as padded points.
pub(super) fn weighted_sums<S: Similarity>(
    kernel: S,
    points: &Points,
    coefficients: &[f64],
    rows: &[f32],
    sums: &mut [f64],
) {
    assert!(sums.len() <= ROWS, "few rows");
    assert_eq!(rows.len(), sums.len() * points.d(), "number of features");
    assert_eq!(coefficients.len(), points.n_padded(), "coefficients");
    #[cfg(target_arch = "x86_64")]
    if has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { avx2::weighted_sums(kernel, points, coefficients, rows, sums) };
        return;
    }
    portable::weighted_sums(kernel, points, coefficients, rows, sums);
}

/// Whether the faster of the two is for this processor.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_fma() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// For processors with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Points, Similarity, portable};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn kernel_row<S: Similarity>(
        kernel: S,
        points: &Points,
        row: &[f32],
        out: &mut [f32],
    ) {
        portable::kernel_row(kernel, points, row, out);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn weighted_sums<S: Similarity>(
        kernel: S,
        points: &Points,
        coefficients: &[f64],
        rows: &[f32],
        sums: &mut [f64],
    ) {
        portable::weighted_sums(kernel, points, coefficients, rows, sums);
    }
}

/// For any processor.
pub(super) mod portable {
    use super::{BLOCKS, FEATURES, LANES, Lanes, Points, ROWS, Similarity};

    #[inline(always)]
    pub(in super::super) fn kernel_row<S: Similarity>(
        kernel: S,
        points: &Points,
        row: &[f32],
        out: &mut [f32],
    ) {
        let d = points.d();
        let size = (LANES * d).max(1);
        let mut groups = points.values().chunks_exact(BLOCKS * size);
        let mut outs = out.chunks_exact_mut(BLOCKS * LANES);
        for (blocks, out) in groups.by_ref().zip(outs.by_ref()) {
            let values = kernels::<S, BLOCKS, 1>(kernel, blocks, d, row);
            for (out, lanes) in out.chunks_exact_mut(LANES).zip(&values[0]) {
                out.copy_from_slice(lanes);
            }
        }
        let rest = outs.into_remainder().chunks_exact_mut(LANES);
        for (block, out) in groups.remainder().chunks_exact(size).zip(rest) {
            out.copy_from_slice(&kernels::<S, 1, 1>(kernel, block, d, row)[0][0]);
        }
    }

    #[inline(always)]
    pub(in super::super) fn weighted_sums<S: Similarity>(
        kernel: S,
        points: &Points,
        coefficients: &[f64],
        rows: &[f32],
        sums: &mut [f64],
    ) {
        let d = points.d();
        let size = (LANES * d).max(1);
        if sums.len() == ROWS {
            let mut lanes = [[0.0; LANES]; ROWS];
            let blocks = points.values().chunks_exact(size);
            for (block, coefficients) in blocks.zip(coefficients.chunks_exact(LANES)) {
                let values = kernels::<S, 1, ROWS>(kernel, block, d, rows);
                for r in 0..ROWS {
                    add(&mut lanes[r], coefficients, &values[r][0]);
                }
            }
            for r in 0..ROWS {
                sums[r] = total(&lanes[r]);
            }
            return;
        }
        for (row, sum) in rows.chunks_exact(d.max(1)).zip(sums) {
            let mut lanes = [0.0; LANES];
            let mut groups = points.values().chunks_exact(BLOCKS * size);
            let mut of_groups = coefficients.chunks_exact(BLOCKS * LANES);
            for (blocks, coefficients) in groups.by_ref().zip(of_groups.by_ref()) {
                let values = kernels::<S, BLOCKS, 1>(kernel, blocks, d, row);
                for b in 0..BLOCKS {
                    add(
                        &mut lanes,
                        &coefficients[b * LANES..][..LANES],
                        &values[0][b],
                    );
                }
            }
            let rest = of_groups.remainder().chunks_exact(LANES);
            for (block, coefficients) in groups.remainder().chunks_exact(size).zip(rest) {
                let values = kernels::<S, 1, 1>(kernel, block, d, row);
                add(&mut lanes, coefficients, &values[0][0]);
            }
            *sum = total(&lanes);
        }
    }

    /// The kernels of each of `R` rows with `B` blocks of points.
    #[inline(always)]
    fn kernels<S: Similarity, const B: usize, const R: usize>(
        kernel: S,
        blocks: &[f32],
        d: usize,
        rows: &[f32],
    ) -> [[Lanes; B]; R] {
        let blocks: [&[f32]; B] =
            std::array::from_fn(|b| &blocks[b * d * LANES..(b + 1) * d * LANES]);
        let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r * d..(r + 1) * d]);
        let mut totals = [[[0.0; LANES]; B]; R];
        let mut from = 0;
        while from < d {
            let to = (from + FEATURES).min(d);
            let mut sums = [[[0.0; LANES]; B]; R];
            for j in from..to {
                for r in 0..R {
                    let y = rows[r][j];
                    for b in 0..B {
                        let x = &blocks[b][j * LANES..(j + 1) * LANES];
                        for l in 0..LANES {
                            sums[r][b][l] = S::add(sums[r][b][l], x[l], y);
                        }
                    }
                }
            }
            for r in 0..R {
                for b in 0..B {
                    for l in 0..LANES {
                        totals[r][b][l] += sums[r][b][l];
                    }
                }
            }
            from = to;
        }
        for r in 0..R {
            for b in 0..B {
                totals[r][b] = kernel.finish(totals[r][b]);
            }
        }
        totals
    }

    #[inline(always)]
    fn add(sums: &mut [f64; LANES], coefficients: &[f64], values: &Lanes) {
        for l in 0..LANES {
            sums[l] = coefficients[l].mul_add(f64::from(values[l]), sums[l]);
        }
    }

    #[inline(always)]
    fn total(sums: &[f64; LANES]) -> f64 {
        let mut halves = [0.0; LANES / 2];
        for l in 0..LANES / 2 {
            halves[l] = sums[l] + sums[l + LANES / 2];
        }
        (halves[0] + halves[2]) + (halves[1] + halves[3])
    }
}
