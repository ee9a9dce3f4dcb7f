//! The filter with AVX2 and FMA. It may round otherwise than the portable one, within the margin that both are given.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, _CMP_LE_OQ, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps, _mm256_sub_ps,
};

use super::kernel::{Boxes, Kernel, LANES, STRIP};
use super::nearest::Neighbor;
use super::search::Search;
use crate::context::Context;
use crate::error::Result;

/// For processors with AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Only where the processor has both.
    pub(super) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    /// [`Search::run_with`] this kernel, compiled for these processors.
    pub(super) fn run(
        self,
        search: &mut Search<'_>,
        rows: &[f64],
        own: Option<usize>,
        context: &Context,
        visit: &mut dyn FnMut(usize, &[Neighbor]),
    ) -> Result<()> {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { run(self, search, rows, own, context, visit) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn run(
    kernel: Avx2,
    search: &mut Search<'_>,
    rows: &[f64],
    own: Option<usize>,
    context: &Context,
    visit: &mut dyn FnMut(usize, &[Neighbor]),
) -> Result<()> {
    search.run_with(kernel, rows, own, context, visit)
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn sums(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP] {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { sums(lanes, halves, query) }
    }

    #[inline(always)]
    fn filter(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64 {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { filter(lanes, halves, query, threshold) }
    }

    #[inline(always)]
    fn within(self, lanes: &[[f32; STRIP]], query: &[f32], limit: f32) -> u64 {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { within(lanes, query, limit) }
    }

    #[inline(always)]
    fn bounds(self, boxes: &[Boxes], query: &[f32]) -> [f32; LANES] {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { bounds(boxes, query) }
    }

    #[inline(always)]
    fn mask(self, numbers: &[f32; LANES], limit: f32) -> u32 {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { mask(numbers, limit) }
    }
}

/// The vectors that hold a number for each point of a strip.
const VECTORS: usize = STRIP / 8;

#[target_feature(enable = "avx2,fma")]
#[inline]
fn vectors(lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [__m256; VECTORS] {
    let halves = halves.as_chunks::<8>().0;
    let mut sums = [_mm256_setzero_ps(); VECTORS];
    for i in 0..VECTORS {
        sums[i] = load(&halves[i]);
    }
    for (lanes, &q) in lanes.as_chunks::<STRIP>().0.iter().zip(query) {
        let lanes = lanes.as_chunks::<8>().0;
        let q = _mm256_set1_ps(q);
        // by index and not by zip, so that the sums stay in registers
        for i in 0..VECTORS {
            sums[i] = _mm256_fnmadd_ps(q, load(&lanes[i]), sums[i]);
        }
    }
    sums
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(eight: &[f32; 8]) -> __m256 {
    // SAFETY: there are eight floats.
    unsafe { _mm256_loadu_ps(eight.as_ptr()) }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn sums(lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP] {
    let mut sums = [0.0; STRIP];
    let vectors = vectors(lanes, halves, query);
    for (eight, vector) in sums.as_chunks_mut::<8>().0.iter_mut().zip(vectors) {
        // SAFETY: there is room for eight floats.
        unsafe { _mm256_storeu_ps(eight.as_mut_ptr(), vector) };
    }
    sums
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn filter(lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64 {
    let threshold = _mm256_set1_ps(threshold);
    let mut mask = 0;
    for (i, sum) in vectors(lanes, halves, query).into_iter().enumerate() {
        let le = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(sum, threshold));
        mask |= u64::from(le as u8) << (8 * i);
    }
    mask
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn within(lanes: &[[f32; STRIP]], query: &[f32], limit: f32) -> u64 {
    let mut sums = [_mm256_setzero_ps(); VECTORS];
    for (lanes, &q) in lanes.iter().zip(query) {
        let lanes = lanes.as_chunks::<8>().0;
        let q = _mm256_set1_ps(q);
        for i in 0..VECTORS {
            let difference = _mm256_sub_ps(q, load(&lanes[i]));
            sums[i] = _mm256_fmadd_ps(difference, difference, sums[i]);
        }
    }
    let limit = _mm256_set1_ps(limit);
    let mut mask = 0;
    for (i, sum) in sums.into_iter().enumerate() {
        let le = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(sum, limit));
        mask |= u64::from(le as u8) << (8 * i);
    }
    mask
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn bounds(boxes: &[Boxes], query: &[f32]) -> [f32; LANES] {
    let mut sums = _mm256_setzero_ps();
    for ([lows, highs], &q) in boxes.iter().zip(query) {
        let q = _mm256_set1_ps(q);
        let nearest = _mm256_min_ps(_mm256_max_ps(q, load(lows)), load(highs));
        let difference = _mm256_sub_ps(q, nearest);
        sums = _mm256_fmadd_ps(difference, difference, sums);
    }
    let mut out = [0.0; LANES];
    // SAFETY: there is room for eight floats.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) };
    out
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn mask(numbers: &[f32; LANES], limit: f32) -> u32 {
    let le = _mm256_cmp_ps::<_CMP_LE_OQ>(load(numbers), _mm256_set1_ps(limit));
    u32::from(_mm256_movemask_ps(le) as u8)
}
