//! Kernel values of eight rows at a time. The same operations in the same order whatever the processor, so that the values
//! are the same bit for bit.

use super::points::LANES;

/// The largest kernel value in absolute value, where that of a row with itself among those learned from is 1 at most.
const MAX_VALUE: f64 = 1e30;

/// The largest argument of the hyperbolic tangent; it is 1 from far below.
const MAX_ARGUMENT: f64 = 40.0;

/// Eight numbers.
pub(super) type Lanes = [f32; LANES];

/// A kernel on rows in its own units: a sum over the features, and a function of that.
pub(super) trait Similarity: Copy + Send + Sync {
    /// A term of the sum.
    fn add(sum: f32, x: f32, y: f32) -> f32;

    /// The kernel's values, given sums.
    fn finish(self, sums: Lanes) -> Lanes;
}

/// `2^-|x - y|^2`: gamma and the base are in the units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rbf;

impl Similarity for Rbf {
    #[inline(always)]
    fn add(sum: f32, x: f32, y: f32) -> f32 {
        let difference = x - y;
        difference.mul_add(difference, sum)
    }

    #[inline(always)]
    fn finish(self, sums: Lanes) -> Lanes {
        exp2_negated(sums)
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
    fn add(sum: f32, x: f32, y: f32) -> f32 {
        x.mul_add(y, sum)
    }

    #[inline(always)]
    fn finish(self, sums: Lanes) -> Lanes {
        let mut base = [0.0; LANES];
        for l in 0..LANES {
            base[l] = self.factor * f64::from(sums[l]) + self.offset;
        }
        let mut power = [1.0; LANES];
        let mut degree = self.degree;
        while degree > 0 {
            for l in 0..LANES {
                if degree & 1 == 1 {
                    power[l] *= base[l];
                }
                // neither these nor their products leave the range of a double; all beyond the largest value count as it
                base[l] = (base[l] * base[l]).min(MAX_VALUE);
                power[l] = power[l].clamp(-MAX_VALUE, MAX_VALUE);
            }
            degree >>= 1;
        }
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = power[l] as f32;
        }
        values
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
    fn add(sum: f32, x: f32, y: f32) -> f32 {
        x.mul_add(y, sum)
    }

    #[inline(always)]
    fn finish(self, sums: Lanes) -> Lanes {
        let mut arguments = [0.0_f32; LANES];
        let mut doubled = [0.0_f32; LANES];
        for l in 0..LANES {
            let argument = self.factor * f64::from(sums[l]) + self.offset;
            arguments[l] = argument.clamp(-MAX_ARGUMENT, MAX_ARGUMENT) as f32;
            doubled[l] = arguments[l].abs() * (2.0 * std::f32::consts::LOG2_E);
        }
        let powers = exp2_negated(doubled);
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = ((1.0 - powers[l]) / (1.0 + powers[l])).copysign(arguments[l]);
        }
        values
    }
}

/// `2^-x` for x from 0 up, with a relative error of about 1e-7; for x beyond 126 as for 126. The power of 0 is exactly 1, no
/// other is larger.
#[inline(always)]
pub(super) fn exp2_negated(x: Lanes) -> Lanes {
    /// Added to a small number, it leaves the nearest integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let mut powers = [0.0; LANES];
    for l in 0..LANES {
        let y = -(if x[l] < 126.0 { x[l] } else { 126.0 });
        let rounded = y + ROUND;
        let f = y - (rounded - ROUND);
        let mut p = C[5];
        p = p.mul_add(f, C[4]);
        p = p.mul_add(f, C[3]);
        p = p.mul_add(f, C[2]);
        p = p.mul_add(f, C[1]);
        p = p.mul_add(f, C[0]);
        p = p.mul_add(f, 1.0);
        powers[l] = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    }
    powers
}

/// `2^f - 1` is nearly the polynomial of f, -1/2 to 1/2, with these coefficients from that of f on: those of the least
/// maximal relative error of `2^f`, 2e-9.
const C: [f32; 6] = [
    0.693_147_2,
    0.240_226_48,
    0.055_503_324,
    0.009_618_437,
    0.001_339_887_4,
    0.000_153_533_62,
];
