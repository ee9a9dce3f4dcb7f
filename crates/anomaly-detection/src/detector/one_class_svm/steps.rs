//! The two passes over all rows that a step of the solver takes, in lanes, compiled twice as the kernels are.
#![allow(unsafe_code)]

use super::points::LANES;

/// The least curvature, where two rows are the same to the kernel.
const MIN_CURVATURE: f32 = 1e-12;

/// The second row of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Partner {
    /// Its index; none where nothing is to be gained.
    pub(super) index: Option<usize>,
    /// By how much the optimality conditions are violated.
    pub(super) gap: f32,
}

/// The row which, together with the first one, promises the largest decrease (Fan, Chen and Lin, 2005, WSS 2), of those that
/// may give some of their coefficient away; the first one of equals. `kernels` and `own` are the kernels of the first row
/// with each and with itself, `diagonal` those of each with itself, `gradient` the gradient at each and at the first row,
/// `may_give` 1 or 0.
///
/// # Panics
/// If the slices are not of one length, which divides into lanes.
pub(super) fn partner(
    gradient: (&[f64], f64),
    may_give: &[f32],
    (kernels, own): (&[f32], f32),
    diagonal: &[f32],
) -> Partner {
    let n = gradient.0.len();
    assert!(
        n.is_multiple_of(LANES) && may_give.len() == n && kernels.len() == n && diagonal.len() == n,
        "slices of one length"
    );
    #[cfg(target_arch = "x86_64")]
    if super::compute::has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        return unsafe { avx2::partner(gradient, may_give, (kernels, own), diagonal) };
    }
    portable::partner(gradient, may_give, (kernels, own), diagonal)
}

/// Adds `step` times the difference of two rows' kernels to the gradient, and returns the index of the least of those that
/// may take more, with its value; the first one of equals; infinity where there is none. `taking` is 0 for them and infinite
/// for the others.
///
/// # Panics
/// If the slices are not of one length, which divides into lanes.
pub(super) fn step(
    gradient: &mut [f64],
    step: f64,
    plus: &[f32],
    minus: &[f32],
    taking: &[f64],
) -> (usize, f64) {
    let n = gradient.len();
    assert!(
        n.is_multiple_of(LANES) && plus.len() == n && minus.len() == n && taking.len() == n,
        "slices of one length"
    );
    #[cfg(target_arch = "x86_64")]
    if super::compute::has_fma() {
        // SAFETY: the processor has AVX2 and FMA.
        return unsafe { avx2::step(gradient, step, plus, minus, taking) };
    }
    portable::step(gradient, step, plus, minus, taking)
}

/// For processors with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Partner, portable};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn partner(
        gradient: (&[f64], f64),
        may_give: &[f32],
        first: (&[f32], f32),
        diagonal: &[f32],
    ) -> Partner {
        portable::partner(gradient, may_give, first, diagonal)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn step(
        gradient: &mut [f64],
        step: f64,
        plus: &[f32],
        minus: &[f32],
        taking: &[f64],
    ) -> (usize, f64) {
        portable::step(gradient, step, plus, minus, taking)
    }
}

/// For any processor.
pub(super) mod portable {
    use super::{LANES, MIN_CURVATURE, Partner};

    #[inline(always)]
    pub(in super::super) fn partner(
        (gradient, at_first): (&[f64], f64),
        may_give: &[f32],
        (kernels, own): (&[f32], f32),
        diagonal: &[f32],
    ) -> Partner {
        let mut widest = [0.0_f32; LANES];
        let mut most = [0.0_f32; LANES];
        let mut at = [u32::MAX; LANES];
        for block in 0..gradient.len() / LANES {
            let from = block * LANES;
            let gradient = &gradient[from..from + LANES];
            let may_give = &may_give[from..from + LANES];
            let kernels = &kernels[from..from + LANES];
            let diagonal = &diagonal[from..from + LANES];
            for l in 0..LANES {
                let difference = (gradient[l] - at_first) as f32 * may_give[l];
                let difference = if difference > 0.0 { difference } else { 0.0 };
                let curvature = own + diagonal[l] - 2.0 * kernels[l];
                let curvature = if curvature > MIN_CURVATURE {
                    curvature
                } else {
                    MIN_CURVATURE
                };
                let gain = difference * difference / curvature;
                if difference > widest[l] {
                    widest[l] = difference;
                }
                let better = gain > most[l];
                most[l] = if better { gain } else { most[l] };
                at[l] = if better { block as u32 } else { at[l] };
            }
        }
        let mut best: Option<(f32, usize)> = None;
        for l in 0..LANES {
            if at[l] != u32::MAX {
                let index = at[l] as usize * LANES + l;
                let better = best.is_none_or(|(gain, first)| {
                    most[l] > gain || (most[l] == gain && index < first)
                });
                if better {
                    best = Some((most[l], index));
                }
            }
        }
        Partner {
            index: best.map(|(_, index)| index),
            gap: widest.iter().fold(0.0, |a, &b| a.max(b)),
        }
    }

    #[inline(always)]
    pub(in super::super) fn step(
        gradient: &mut [f64],
        step: f64,
        plus: &[f32],
        minus: &[f32],
        taking: &[f64],
    ) -> (usize, f64) {
        let mut least = [f64::INFINITY; LANES];
        let mut at = [0_u64; LANES];
        for block in 0..gradient.len() / LANES {
            let from = block * LANES;
            let gradient = &mut gradient[from..from + LANES];
            let plus = &plus[from..from + LANES];
            let minus = &minus[from..from + LANES];
            let taking = &taking[from..from + LANES];
            for l in 0..LANES {
                let difference = f64::from(plus[l]) - f64::from(minus[l]);
                gradient[l] = step.mul_add(difference, gradient[l]);
                let value = gradient[l] + taking[l];
                let better = value < least[l];
                least[l] = if better { value } else { least[l] };
                at[l] = if better { block as u64 } else { at[l] };
            }
        }
        let mut best = (usize::MAX, f64::INFINITY);
        for l in 0..LANES {
            let index = at[l] as usize * LANES + l;
            if least[l] < best.1 || (least[l] == best.1 && index < best.0) {
                best = (index, least[l]);
            }
        }
        best
    }
}
