//! Eight floats at a time, in portable code or with AVX2. Each operation rounds alike in both, so that all that is computed
//! with them is equal to the bit.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_andnot_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
};

/// How many floats there are in a lane.
pub(super) const LANES: usize = 8;

/// Eight floats in memory.
pub(super) type Lane = [f32; LANES];

/// A set of instructions, of which a value exists only where the processor has it. No operand is NaN.
pub(super) trait Simd: Copy {
    /// Eight floats in a register.
    type V: Copy;
    fn load(self, lane: &Lane) -> Self::V;
    fn store(self, v: Self::V, lane: &mut Lane);
    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
}

/// What every processor has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

macro_rules! lanewise {
    ($($name:ident($($arg:ident),*) $result:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Lane),*) -> Lane {
            std::array::from_fn(|i| {
                $(let $arg = $arg[i];)*
                $result
            })
        }
    )*};
}

impl Simd for Portable {
    type V = Lane;

    #[inline(always)]
    fn load(self, lane: &Lane) -> Lane {
        *lane
    }

    #[inline(always)]
    fn store(self, v: Lane, lane: &mut Lane) {
        *lane = v;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Lane {
        [x; LANES]
    }

    lanewise! {
        add(a, b) a + b;
        sub(a, b) a - b;
        mul(a, b) a * b;
        abs(a) a.abs();
        min(a, b) if a < b { a } else { b };
        max(a, b) if a > b { a } else { b };
    }
}

/// AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// AVX2, where the processor has it.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Runs what is inlined into it with AVX2.
    pub(super) fn run<T>(self, work: impl FnOnce(Self) -> T) -> T {
        #[target_feature(enable = "avx2")]
        fn inner<T>(simd: Avx2, work: impl FnOnce(Avx2) -> T) -> T {
            work(simd)
        }
        // SAFETY: the processor has AVX2, or there would be no `self`.
        unsafe { inner(self, work) }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($($name:ident($($arg:ident),*) $result:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: __m256),*) -> __m256 {
            // SAFETY: the processor has AVX2, or there would be no `self`.
            unsafe { $result }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx2 {
    type V = __m256;

    #[inline(always)]
    fn load(self, lane: &Lane) -> __m256 {
        // SAFETY: the processor has AVX2, or there would be no `self`; a lane is eight floats.
        unsafe { _mm256_loadu_ps(lane.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m256, lane: &mut Lane) {
        // SAFETY: as in `load`.
        unsafe { _mm256_storeu_ps(lane.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the processor has AVX2, or there would be no `self`.
        unsafe { _mm256_set1_ps(x) }
    }

    instructions! {
        add(a, b) _mm256_add_ps(a, b);
        sub(a, b) _mm256_sub_ps(a, b);
        mul(a, b) _mm256_mul_ps(a, b);
        abs(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
        min(a, b) _mm256_min_ps(a, b);
        max(a, b) _mm256_max_ps(a, b);
    }
}
