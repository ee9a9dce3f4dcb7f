//! AVX2 and FMA.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{F32x8, F64x4, Simd};

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// The proof, if the processor has both.
    pub(in super::super) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has_both.then_some(Self(()))
    }

    /// Runs a closure, compiled with AVX2 and FMA if it is inlined.
    pub(in super::super) fn run<T>(self, work: impl FnOnce(Self) -> T) -> T {
        #[target_feature(enable = "avx2,fma")]
        fn inner<T>(simd: Avx2, work: impl FnOnce(Avx2) -> T) -> T {
            work(simd)
        }
        // SAFETY: the processor has AVX2 and FMA, or there would be no `self`.
        unsafe { inner(self, work) }
    }
}

macro_rules! instructions {
    ($($(#[$doc:meta])* $visibility:vis $name:ident($($arg:ident: $type:ty),*) -> $out:ty { $result:expr })*) => {$(
        $(#[$doc])*
        #[inline(always)]
        $visibility fn $name(self, $($arg: $type),*) -> $out {
            // SAFETY: the processor has AVX2 and FMA, or there would be no `self`. Loads and stores access arrays of exactly the
            // size of a register and need no alignment.
            unsafe { $result }
        }
    )*};
}

impl Simd for Avx2 {
    type F32x8 = __m256;
    type F64x4 = __m256d;

    instructions! {
        splat(x: f32) -> __m256 { _mm256_set1_ps(x) }
        load(values: &F32x8) -> __m256 { _mm256_loadu_ps(values.as_ptr()) }
        store(v: __m256, values: &mut F32x8) -> () { _mm256_storeu_ps(values.as_mut_ptr(), v) }
        add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        mul_add(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        abs(a: __m256) -> __m256 { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
        min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
        max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        add_exponents(a: __m256, b: __m256) -> __m256 {{
            let exponents = _mm256_slli_epi32::<23>(_mm256_castps_si256(b));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponents))
        }}
        widen(a: __m256) -> [__m256d; 2] {[
            _mm256_cvtps_pd(_mm256_castps256_ps128(a)),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a)),
        ]}

        splat_f64(x: f64) -> __m256d { _mm256_set1_pd(x) }
        load_f64(values: &F64x4) -> __m256d { _mm256_loadu_pd(values.as_ptr()) }
        store_f64(v: __m256d, values: &mut F64x4) -> () { _mm256_storeu_pd(values.as_mut_ptr(), v) }
        add_f64(a: __m256d, b: __m256d) -> __m256d { _mm256_add_pd(a, b) }
        mul_f64(a: __m256d, b: __m256d) -> __m256d { _mm256_mul_pd(a, b) }
        mul_add_f64(a: __m256d, b: __m256d, c: __m256d) -> __m256d { _mm256_fmadd_pd(a, b, c) }
    }
}

/// Operations for kernels that are written for AVX2 alone.
impl Avx2 {
    instructions! {
        /// `c - a * b`, rounded once.
        pub(in super::super) neg_mul_add(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fnmadd_ps(a, b, c) }
        /// A bit for each lane, which is set if `a <= b` and clear if either is NaN.
        pub(in super::super) le_mask(a: __m256, b: __m256) -> u8 {
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(a, b)) as u8
        }
        /// Two times 16 bytes in one register.
        pub(in super::super) load_halves(low: &[u8; 16], high: &[u8; 16]) -> __m256i {{
            let low = _mm256_castsi128_si256(_mm_loadu_si128(low.as_ptr().cast()));
            _mm256_inserti128_si256::<1>(low, _mm_loadu_si128(high.as_ptr().cast()))
        }}
        pub(in super::super) store_bytes(v: __m256i, bytes: &mut [u8; 32]) -> () {
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), v)
        }
        /// Interleaves the low eight bytes of `a` and `b`, in each half.
        pub(in super::super) interleave_low(a: __m256i, b: __m256i) -> __m256i { _mm256_unpacklo_epi8(a, b) }
        /// Interleaves the high eight bytes of `a` and `b`, in each half.
        pub(in super::super) interleave_high(a: __m256i, b: __m256i) -> __m256i { _mm256_unpackhi_epi8(a, b) }
    }
}
