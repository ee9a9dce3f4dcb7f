//! The two passes over all rows in a step of the solver.

use super::points::LANES;
use crate::detector::simd::with_simd;

/// The smallest curvature, for two rows that the kernel cannot distinguish.
const MIN_CURVATURE: f32 = 1e-12;

/// The second row of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Partner {
    /// Its index; `None` if no row decreases the objective.
    pub(super) index: Option<usize>,
    /// The violation of the optimality conditions.
    pub(super) gap: f32,
}

/// Selects the second row of a step: among the rows whose coefficient may decrease, the one that promises the largest decrease
/// of the objective together with the first row (Fan, Chen and Lin, 2005, WSS 2), and the first of ties. `kernels` and `own`
/// are the kernels of the first row with each row and with itself, `diagonal` those of each row with itself, and `gradient` the
/// gradient at each row and at the first row. `may_give` is 1 if a coefficient may decrease and otherwise 0.
///
/// # Panics
/// If the slices do not have the same length, a multiple of [`LANES`].
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
    with_simd!(_ => portable::partner(gradient, may_give, (kernels, own), diagonal))
}

/// Adds `step` times the difference of two kernel rows to the gradient. Returns the index and value of the smallest gradient
/// among the rows whose coefficient may increase, the first of ties, or infinity if there is none. `taking` is 0 for these rows
/// and infinite for the others.
///
/// # Panics
/// If the slices do not have the same length, a multiple of [`LANES`].
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
    with_simd!(_ => portable::step(gradient, step, plus, minus, taking))
}

/// Plain loops, which the compiler vectorises for each instruction set.
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
