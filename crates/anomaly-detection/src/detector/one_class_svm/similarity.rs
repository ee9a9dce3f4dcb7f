//! The kernels, in their own units, of eight pairs of rows at a time.

use super::lanes::Lanes;
use super::points::LANES;

/// The largest kernel value in absolute value, where that of a row with itself among those learned from is 1 at most.
const MAX_VALUE: f64 = 1e30;

/// The largest argument of the hyperbolic tangent; it is 1 from far below.
const MAX_ARGUMENT: f64 = 40.0;

/// A kernel: a sum over the features, and a function of that.
pub(super) trait Similarity: Copy + Send + Sync {
    /// The kernel of any row with itself, where that is the same for all.
    const OF_ITSELF: Option<f32> = None;

    /// Adds the terms of a feature to sums.
    fn add<L: Lanes>(sums: L, x: L, y: L) -> L;

    /// The kernel's values, given sums.
    fn finish<L: Lanes>(self, sums: L) -> L;
}

/// `2^-|x - y|^2`: gamma and the base are in the units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rbf;

impl Similarity for Rbf {
    const OF_ITSELF: Option<f32> = Some(1.0);

    #[inline(always)]
    fn add<L: Lanes>(sums: L, x: L, y: L) -> L {
        // this way round, x can come from memory; the square is the same
        let difference = y.minus(x);
        difference.mul_add(difference, sums)
    }

    #[inline(always)]
    fn finish<L: Lanes>(self, sums: L) -> L {
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
    fn add<L: Lanes>(sums: L, x: L, y: L) -> L {
        x.mul_add(y, sums)
    }

    #[inline(always)]
    fn finish<L: Lanes>(self, sums: L) -> L {
        let sums = sums.to_array();
        let mut base = [0.0; LANES];
        for l in 0..LANES {
            base[l] = self.factor * f64::from(sums[l]) + self.offset;
        }
        let mut power = [1.0; LANES];
        let mut degree = self.degree;
        while degree > 0 {
            for l in 0..LANES {
                let factor = if degree & 1 == 1 { base[l] } else { 1.0 };
                // no product leaves the range of a double; all beyond the largest value count as it
                power[l] = (power[l] * factor).clamp(-MAX_VALUE, MAX_VALUE);
                base[l] = (base[l] * base[l]).min(MAX_VALUE);
            }
            degree >>= 1;
        }
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = power[l] as f32;
        }
        L::from_array(values)
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
    fn add<L: Lanes>(sums: L, x: L, y: L) -> L {
        x.mul_add(y, sums)
    }

    #[inline(always)]
    fn finish<L: Lanes>(self, sums: L) -> L {
        let sums = sums.to_array();
        let mut arguments = [0.0_f32; LANES];
        let mut doubled = [0.0_f32; LANES];
        for l in 0..LANES {
            let argument = self.factor * f64::from(sums[l]) + self.offset;
            arguments[l] = argument.clamp(-MAX_ARGUMENT, MAX_ARGUMENT) as f32;
            doubled[l] = arguments[l].abs() * (2.0 * std::f32::consts::LOG2_E);
        }
        let powers = exp2_negated(L::from_array(doubled)).to_array();
        let mut values = [0.0; LANES];
        for l in 0..LANES {
            values[l] = ((1.0 - powers[l]) / (1.0 + powers[l])).copysign(arguments[l]);
        }
        L::from_array(values)
    }
}

/// `2^-x` for x from 0 up, with a relative error of about 1e-7; for x beyond 126 as for 126. The power of 0 is exactly 1, no
/// other is larger.
#[inline(always)]
pub(super) fn exp2_negated<L: Lanes>(x: L) -> L {
    /// Added to a small number, it leaves the nearest integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.least(L::splat(126.0));
    let rounded = L::splat(ROUND).minus(x);
    // the negated rest of x, between -1/2 and 1/2
    let rest = L::splat(ROUND).minus(rounded).minus(x);
    let mut power = L::splat(C[5]);
    for c in [C[4], C[3], C[2], C[1], C[0], 1.0] {
        power = power.mul_add(rest, L::splat(c));
    }
    power.times_powers_of_two(rounded)
}

/// `2^f - 1` is nearly the polynomial of f, -1/2 to 1/2, with these coefficients from that of f on: those of the least
/// maximal relative error of `2^f`, 2e-9.
const C: [f32; 6] = [
    std::f32::consts::LN_2,
    0.240_226_48,
    0.055_503_324,
    0.009_618_437,
    0.001_339_887_4,
    0.000_153_533_62,
];
