//! Vectors of floats, in portable code or with AVX2 and FMA. Every operation of [`Simd`] rounds in the same way in both, so
//! that a kernel written once for any `Simd` gives the same bits on every processor.
//!
//! A value of [`Avx2`] exists only on a processor with these instructions. A kernel that uses them takes such a value as proof,
//! so that no safe function can run instructions that the processor lacks.
#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;

/// Eight singles in memory.
pub(super) type F32x8 = [f32; 8];

/// Four doubles in memory.
pub(super) type F64x4 = [f64; 4];

/// A set of vector instructions.
pub(super) trait Simd: Copy {
    /// Eight singles in registers.
    type F32x8: Copy;
    /// Four doubles in registers.
    type F64x4: Copy;

    fn splat(self, x: f32) -> Self::F32x8;
    fn load(self, values: &F32x8) -> Self::F32x8;
    fn store(self, v: Self::F32x8, values: &mut F32x8);
    fn add(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    fn sub(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    fn mul(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::F32x8, b: Self::F32x8, c: Self::F32x8) -> Self::F32x8;
    fn abs(self, a: Self::F32x8) -> Self::F32x8;
    /// The smaller of the two; `b` if either is NaN.
    fn min(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    /// The larger of the two; `b` if either is NaN.
    fn max(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    /// `a` with the lowest nine bits of `b` added to sign and exponent: `a * 2^n` for the integer n in these bits.
    fn add_exponents(self, a: Self::F32x8, b: Self::F32x8) -> Self::F32x8;
    /// The same numbers in double precision.
    fn widen(self, a: Self::F32x8) -> [Self::F64x4; 2];

    fn splat_f64(self, x: f64) -> Self::F64x4;
    fn load_f64(self, values: &F64x4) -> Self::F64x4;
    fn store_f64(self, v: Self::F64x4, values: &mut F64x4);
    fn add_f64(self, a: Self::F64x4, b: Self::F64x4) -> Self::F64x4;
    fn mul_f64(self, a: Self::F64x4, b: Self::F64x4) -> Self::F64x4;
    /// `a * b + c`, rounded once.
    fn mul_add_f64(self, a: Self::F64x4, b: Self::F64x4, c: Self::F64x4) -> Self::F64x4;
}

/// Evaluates an expression with the best [`Simd`] of the processor, compiled for it.
macro_rules! with_simd {
    ($simd:pat => $work:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(avx2) = $crate::detector::simd::Avx2::detect() {
                avx2.run(
                    #[inline(always)]
                    |$simd| $work,
                )
            } else {
                let $simd = $crate::detector::simd::Portable;
                $work
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let $simd = $crate::detector::simd::Portable;
            $work
        }
    }};
}

pub(super) use with_simd;

/// Portable code. `mul_add` is exact, but slow on a processor without such an instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

macro_rules! lanewise {
    ($vector:ty: $($name:ident($($arg:ident),*) $result:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $vector),*) -> $vector {
            std::array::from_fn(|i| {
                $(let $arg = $arg[i];)*
                $result
            })
        }
    )*};
}

impl Simd for Portable {
    type F32x8 = F32x8;
    type F64x4 = F64x4;

    #[inline(always)]
    fn splat(self, x: f32) -> F32x8 {
        [x; 8]
    }

    #[inline(always)]
    fn load(self, values: &F32x8) -> F32x8 {
        *values
    }

    #[inline(always)]
    fn store(self, v: F32x8, values: &mut F32x8) {
        *values = v;
    }

    lanewise! { F32x8:
        add(a, b) a + b;
        sub(a, b) a - b;
        mul(a, b) a * b;
        mul_add(a, b, c) a.mul_add(b, c);
        abs(a) a.abs();
        min(a, b) if a < b { a } else { b };
        max(a, b) if a > b { a } else { b };
        add_exponents(a, b) f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 23));
    }

    #[inline(always)]
    fn widen(self, a: F32x8) -> [F64x4; 2] {
        let half = |first: usize| std::array::from_fn(|i| f64::from(a[first + i]));
        [half(0), half(4)]
    }

    #[inline(always)]
    fn splat_f64(self, x: f64) -> F64x4 {
        [x; 4]
    }

    #[inline(always)]
    fn load_f64(self, values: &F64x4) -> F64x4 {
        *values
    }

    #[inline(always)]
    fn store_f64(self, v: F64x4, values: &mut F64x4) {
        *values = v;
    }

    lanewise! { F64x4:
        add_f64(a, b) a + b;
        mul_f64(a, b) a * b;
        mul_add_f64(a, b, c) a.mul_add(b, c);
    }
}
