//! Eight f32 that are computed with at once: for any processor, and in one register of those with AVX2 and FMA. Both round
//! alike, so that whatever is computed with them is the same bit for bit.
#![allow(unsafe_code)]

use super::points::LANES;

/// Eight f32.
pub(super) trait Lanes: Copy {
    /// Eight sums of f64.
    type Sums: Copy;

    /// Eight times the same.
    fn splat(x: f32) -> Self;

    /// Those of an array.
    fn from_array(x: [f32; LANES]) -> Self;

    /// As an array.
    fn to_array(self) -> [f32; LANES];

    /// The sums.
    fn plus(self, other: Self) -> Self;

    /// The differences.
    fn minus(self, other: Self) -> Self;

    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// The smaller of the two; the other where this is not a number.
    fn least(self, other: Self) -> Self;

    /// These, with the lowest nine bits of each of `powers` added to their exponents.
    fn times_powers_of_two(self, powers: Self) -> Self;

    /// The sums in an array.
    fn sums(array: &[f64; LANES]) -> Self::Sums;

    /// Back into an array.
    fn store(sums: Self::Sums, array: &mut [f64; LANES]);

    /// Adds the products with some coefficients, each rounded once with the sum.
    fn add_products(self, coefficients: &[f64; LANES], sums: Self::Sums) -> Self::Sums;
}

/// For any processor.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

/// Each of the two operands with its neighbour at the same place.
#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> Portable {
    let mut out = a;
    for (a, b) in out.iter_mut().zip(b) {
        *a = f(*a, b);
    }
    Portable(out)
}

impl Lanes for Portable {
    type Sums = [f64; LANES];

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn from_array(x: [f32; LANES]) -> Self {
        Self(x)
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        self.0
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        zip(self.0, other.0, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        zip(self.0, other.0, |a, b| a - b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut out = term.0;
        for (l, out) in out.iter_mut().enumerate() {
            *out = self.0[l].mul_add(factor.0[l], *out);
        }
        Self(out)
    }

    #[inline(always)]
    fn least(self, other: Self) -> Self {
        zip(self.0, other.0, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn times_powers_of_two(self, powers: Self) -> Self {
        zip(self.0, powers.0, |a, b| {
            f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 23))
        })
    }

    #[inline(always)]
    fn sums(array: &[f64; LANES]) -> Self::Sums {
        *array
    }

    #[inline(always)]
    fn store(sums: Self::Sums, array: &mut [f64; LANES]) {
        *array = sums;
    }

    #[inline(always)]
    fn add_products(self, coefficients: &[f64; LANES], mut sums: Self::Sums) -> Self::Sums {
        for (l, sum) in sums.iter_mut().enumerate() {
            *sum = coefficients[l].mul_add(f64::from(self.0[l]), *sum);
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;

/// For processors with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{LANES, Lanes};

    /// In one register. To be used only where the processor has AVX2 and FMA, and only inlined into functions that are
    /// compiled for them.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256);

    impl Lanes for Avx2 {
        type Sums = (__m256d, __m256d);

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: the processor has AVX2.
            Self(unsafe { _mm256_set1_ps(x) })
        }

        #[inline(always)]
        fn from_array(x: [f32; LANES]) -> Self {
            // SAFETY: the processor has AVX2, and there are eight numbers to read.
            Self(unsafe { _mm256_loadu_ps(x.as_ptr()) })
        }

        #[inline(always)]
        fn to_array(self) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            // SAFETY: the processor has AVX2, and there is room for eight numbers.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: the processor has AVX2.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            // SAFETY: the processor has AVX2.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: the processor has FMA.
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, term.0) })
        }

        #[inline(always)]
        fn least(self, other: Self) -> Self {
            // SAFETY: the processor has AVX2.
            Self(unsafe { _mm256_min_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn times_powers_of_two(self, powers: Self) -> Self {
            // SAFETY: the processor has AVX2.
            Self(unsafe {
                let exponents = _mm256_slli_epi32::<23>(_mm256_castps_si256(powers.0));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), exponents))
            })
        }

        #[inline(always)]
        fn sums(array: &[f64; LANES]) -> Self::Sums {
            // SAFETY: the processor has AVX2, and there are eight numbers to read.
            unsafe {
                let high = array.as_ptr().add(LANES / 2);
                (_mm256_loadu_pd(array.as_ptr()), _mm256_loadu_pd(high))
            }
        }

        #[inline(always)]
        fn store(sums: Self::Sums, array: &mut [f64; LANES]) {
            // SAFETY: the processor has AVX2, and there is room for eight numbers.
            unsafe {
                _mm256_storeu_pd(array.as_mut_ptr(), sums.0);
                _mm256_storeu_pd(array.as_mut_ptr().add(LANES / 2), sums.1);
            }
        }

        #[inline(always)]
        fn add_products(self, coefficients: &[f64; LANES], sums: Self::Sums) -> Self::Sums {
            // SAFETY: the processor has AVX2 and FMA, and there are eight coefficients to read.
            unsafe {
                let low = _mm256_cvtps_pd(_mm256_castps256_ps128(self.0));
                let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0));
                let of_low = _mm256_loadu_pd(coefficients.as_ptr());
                let of_high = _mm256_loadu_pd(coefficients.as_ptr().add(LANES / 2));
                (
                    _mm256_fmadd_pd(of_low, low, sums.0),
                    _mm256_fmadd_pd(of_high, high, sums.1),
                )
            }
        }
    }
}
