//! The kernels in scaled coordinates, for eight pairs of rows at a time.

use super::points::LANES;
use crate::detector::simd::Simd;

/// The largest magnitude of a kernel value; that of a training row with itself is at most 1.
const MAX_VALUE: f64 = 1e30;

/// The largest argument of the hyperbolic tangent, which rounds to 1 long before.
const MAX_ARGUMENT: f64 = 40.0;

/// A kernel: a function of a sum over the features.
pub(super) trait Similarity: Copy + Send + Sync {
    /// The kernel of any row with itself, if that is the same for all rows.
    const OF_ITSELF: Option<f32> = None;

    /// Adds the terms of a feature to sums.
    fn add<S: Simd>(simd: S, sums: S::F32x8, x: S::F32x8, y: S::F32x8) -> S::F32x8;

    /// The kernel values, given the sums over all features.
    fn finish<S: Simd>(self, simd: S, sums: S::F32x8) -> S::F32x8;
}

/// `2^-|x - y|^2`; gamma and the change of base are in the scale of the coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rbf;

impl Similarity for Rbf {
    const OF_ITSELF: Option<f32> = Some(1.0);

    #[inline(always)]
    fn add<S: Simd>(simd: S, sums: S::F32x8, x: S::F32x8, y: S::F32x8) -> S::F32x8 {
        // in this order x can be a memory operand, and the square is the same
        let difference = simd.sub(y, x);
        simd.mul_add(difference, difference, sums)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sums: S::F32x8) -> S::F32x8 {
        exp2_negated(simd, sums)
    }
}

/// `(factor x . y + offset)^degree`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poly {
    pub(super) factor: f64,
    pub(super) offset: f64,
    pub(super) degree: u32,
}

impl Similarity for Poly {
    #[inline(always)]
    fn add<S: Simd>(simd: S, sums: S::F32x8, x: S::F32x8, y: S::F32x8) -> S::F32x8 {
        simd.mul_add(x, y, sums)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sums: S::F32x8) -> S::F32x8 {
        let sums = to_array(simd, sums);
        let mut base = [0.0; LANES];
        for l in 0..LANES {
            base[l] = self.factor * f64::from(sums[l]) + self.offset;
        }
        let mut power = [1.0; LANES];
        let mut degree = self.degree;
        while degree > 0 {
            for l in 0..LANES {
                let factor = if degree & 1 == 1 { base[l] } else { 1.0 };
                // clamped, so that no product leaves the range of a double
                power[l] = (power[l] * factor).clamp(-MAX_VALUE, MAX_VALUE);
                base[l] = (base[l] * base[l]).min(MAX_VALUE);
            }
            degree >>= 1;
        }
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = power[l] as f32;
        }
        simd.load(&values)
    }
}

/// `tanh(factor x . y + offset)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sigmoid {
    pub(super) factor: f64,
    pub(super) offset: f64,
}

impl Similarity for Sigmoid {
    #[inline(always)]
    fn add<S: Simd>(simd: S, sums: S::F32x8, x: S::F32x8, y: S::F32x8) -> S::F32x8 {
        simd.mul_add(x, y, sums)
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sums: S::F32x8) -> S::F32x8 {
        let sums = to_array(simd, sums);
        let mut arguments = [0.0_f32; LANES];
        let mut doubled = [0.0_f32; LANES];
        for l in 0..LANES {
            let argument = self.factor * f64::from(sums[l]) + self.offset;
            arguments[l] = argument.clamp(-MAX_ARGUMENT, MAX_ARGUMENT) as f32;
            doubled[l] = arguments[l].abs() * (2.0 * std::f32::consts::LOG2_E);
        }
        let powers = to_array(simd, exp2_negated(simd, simd.load(&doubled)));
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = ((1.0 - powers[l]) / (1.0 + powers[l])).copysign(arguments[l]);
        }
        simd.load(&values)
    }
}

/// `2^-x` for x >= 0, with a relative error of about 1e-7; x is clamped to 126. The result is at most 1, and exactly 1 for 0.
#[inline(always)]
pub(super) fn exp2_negated<S: Simd>(simd: S, x: S::F32x8) -> S::F32x8 {
    /// Adding this to a small number leaves the nearest integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let round = simd.splat(ROUND);
    let x = simd.min(x, simd.splat(126.0));
    let rounded = simd.sub(round, x);
    // the negated remainder of x, between -1/2 and 1/2
    let rest = simd.sub(simd.sub(round, rounded), x);
    let mut power = simd.splat(C[5]);
    for c in [C[4], C[3], C[2], C[1], C[0], 1.0] {
        power = simd.mul_add(power, rest, simd.splat(c));
    }
    simd.add_exponents(power, rounded)
}

/// The numbers of a vector.
#[inline(always)]
pub(super) fn to_array<S: Simd>(simd: S, v: S::F32x8) -> [f32; LANES] {
    let mut values = [0.0; LANES];
    simd.store(v, &mut values);
    values
}

/// The coefficients of f, f^2, ... in the minimax polynomial for `2^f - 1` with f in [-1/2, 1/2]; the relative error of `2^f`
/// is at most 2e-9.
const C: [f32; 6] = [
    std::f32::consts::LN_2,
    0.240_226_48,
    0.055_503_324,
    0.009_618_437,
    0.001_339_887_4,
    0.000_153_533_62,
];
