//! The filter with AVX2 and FMA. It may round otherwise than the portable one, within the margin that both are given.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    _CMP_LE_OQ, _mm256_cmp_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_movemask_ps,
    _mm256_set1_ps, _mm256_setzero_ps,
};

use super::kernel::Kernel;
use super::{Neighbor, Search};
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

    /// [`Search::batch_with`] this kernel, compiled for these processors.
    pub(super) fn batch(
        self,
        search: &mut Search<'_>,
        rows: &[f64],
        own: Option<usize>,
        context: &Context,
        visit: &mut dyn FnMut(&[Neighbor]),
    ) -> Result<()> {
        // SAFETY: there is no Avx2 where the processor lacks it or FMA.
        unsafe { batch(self, search, rows, own, context, visit) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn batch(
    kernel: Avx2,
    search: &mut Search<'_>,
    rows: &[f64],
    own: Option<usize>,
    context: &Context,
    visit: &mut dyn FnMut(&[Neighbor]),
) -> Result<()> {
    search.batch_with(kernel, rows, own, context, visit)
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn strip<const L: usize>(
        self,
        lanes: &[f32],
        halves: &[f32],
        query: &[f32],
        threshold: f32,
    ) -> u64 {
        assert!(
            L <= 64 && halves.len() >= L && lanes.len() / L >= query.len(),
            "a whole strip"
        );
        // SAFETY: there is no Avx2 where the processor lacks it or FMA; the lengths are checked.
        unsafe { strip::<L>(lanes.as_ptr(), halves.as_ptr(), query, threshold) }
    }
}

/// # Safety
///
/// The processor has AVX2 and FMA. `L` is a multiple of 8 and at most 64; there are `L` halves, and `L` lanes for each value
/// of the query.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn strip<const L: usize>(
    mut lanes: *const f32,
    halves: *const f32,
    query: &[f32],
    threshold: f32,
) -> u64 {
    let mut sums = [_mm256_setzero_ps(); 8];
    for (eight, sum) in sums.iter_mut().enumerate().take(L / 8) {
        // SAFETY: there are L halves.
        *sum = unsafe { _mm256_loadu_ps(halves.add(8 * eight)) };
    }
    for &q in query {
        let q = _mm256_set1_ps(q);
        for (eight, sum) in sums.iter_mut().enumerate().take(L / 8) {
            // SAFETY: there are L lanes for each value of the query.
            *sum = _mm256_fnmadd_ps(q, unsafe { _mm256_loadu_ps(lanes.add(8 * eight)) }, *sum);
        }
        // SAFETY: at most one past the end of the lanes.
        lanes = unsafe { lanes.add(L) };
    }
    let threshold = _mm256_set1_ps(threshold);
    let mut mask = 0;
    for (eight, &sum) in sums.iter().enumerate().take(L / 8) {
        let le = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(sum, threshold));
        mask |= u64::from(le as u8) << (8 * eight);
    }
    mask
}
