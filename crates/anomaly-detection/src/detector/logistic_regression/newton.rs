//! Newton's method with backtracking (Boyd and Vandenberghe, "Convex Optimization", 9.5). With few features, steps are computed
//! with a Cholesky factor of the second derivatives; with many, by conjugate gradients, more and more exactly (Nocedal and
//! Wright, "Numerical Optimization", 2nd edition, algorithm 7.1). In between, the first steps use conjugate gradients and later
//! ones the factor, once it is cheaper.
//!
//! The last steps reuse the factor of an earlier one (the chord method: Kelley, "Iterative Methods for Linear and Nonlinear
//! Equations", 5.4.1), because a gradient takes less time than the second derivatives.

use super::design::Problem;
use super::factor::Factor;
use super::kernels::{self, Scratch, Sums};
use crate::context::Context;
use crate::detector::dot::dot;
use crate::error::Result;

/// Up to this many features, the matrix of second derivatives is computed from the start.
const ALWAYS_DENSE: usize = 96;

/// Beyond this many features, it is never computed.
pub(super) const MAX_DENSE: usize = 512;

/// The maximum number of conjugate gradient iterations for one step if no factor is possible.
const MAX_CONJUGATE: usize = 2000;

/// The most halvings of a step.
const MAX_HALVINGS: u32 = 40;

/// A step this short, relative to the point, is followed by chord steps, of which about two are then enough.
const SHORT: f64 = 3e-3;

/// Chord steps go on while each is at most this fraction of the one before.
const MAX_RATIO: f64 = 0.1;

/// Chord steps have converged when the estimated rest is this small, relative to the point and the tolerance.
const EXACT: f64 = 1e-6;

/// Differences of the loss far below this are rounding errors; the loss at the start is at most of the order of 1.
const ROUNDING: f64 = 1e-14;

/// When to stop.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub(super) tol: f64,
    pub(super) max_iter: u32,
}

/// The solution.
pub(super) struct Solution {
    /// d coefficients and the intercept.
    pub(super) point: Vec<f64>,
    pub(super) converged: bool,
    pub(super) n_iter: u32,
}

/// The objective and its derivatives at a point.
struct State {
    point: Vec<f64>,
    sums: Sums,
    /// The curvatures of the rows for each part and block; empty unless they were evaluated.
    curvatures: Vec<Vec<Vec<f64>>>,
}

/// Which second derivatives to evaluate.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    /// None.
    Unneeded,
    /// The curvature of each row, with respect to its log-odds.
    Curvatures,
    /// The matrix, with respect to the coefficients.
    Matrix,
}

impl State {
    fn is_dense(&self) -> bool {
        !self.sums.hessian.is_empty()
    }

    fn gradient_norm(&self) -> f64 {
        max_norm(&self.sums.gradient)
    }
}

/// Minimises the objective from the best of the starting points.
pub(super) fn minimize(
    problem: &Problem<'_>,
    starts: &[Vec<f64>],
    stop: Stop,
    context: &Context,
) -> Result<Solution> {
    let d = problem.penalties.len();
    let dense = d <= ALWAYS_DENSE;
    let mut state: Option<State> = None;
    for start in starts {
        let second = match (dense, starts.len()) {
            (true, 1) => Second::Matrix,
            (true, _) => Second::Unneeded,
            (false, _) => Second::Curvatures,
        };
        let other = evaluate(problem, start.clone(), second, context)?;
        if state
            .as_ref()
            .is_none_or(|state| other.sums.loss < state.sums.loss)
        {
            state = Some(other);
        }
    }
    let Some(mut state) = state else {
        return Ok(Solution {
            point: Vec::new(),
            converged: false,
            n_iter: 0,
        });
    };
    if dense && !state.is_dense() {
        state = evaluate(problem, state.point, Second::Matrix, context)?;
    }
    // the error of a coefficient is at most its gradient over the curvature, which is at least the penalty
    let weakest = problem
        .penalties
        .iter()
        .fold(f64::INFINITY, |a, &b| a.min(b));
    let tight = stop.tol * (0.01 * weakest).clamp(1e-8, 1e-4);
    let first_norm = state.gradient_norm();
    let mut n_iter = 0;
    let mut converged = false;
    while n_iter < stop.max_iter {
        let norm = state.gradient_norm();
        if norm == 0.0 || (!state.is_dense() && norm <= tight) {
            converged = true;
            break;
        }
        let mut conjugate = None;
        if !state.is_dense() {
            let forcing = (norm / first_norm).sqrt().min(0.1);
            conjugate = conjugate_step(problem, &state, forcing, context)?;
        }
        let (step, factor) = match conjugate {
            Some(step) => (step, None),
            None => {
                if !state.is_dense() {
                    state = evaluate(problem, state.point, Second::Matrix, context)?;
                }
                let factor = Factor::new(&state.sums, context)?;
                (factor.step(&state.sums.gradient), Some(factor))
            }
        };
        // Newton's method converges quadratically: the error after a step is about the square of its length
        let length = max_norm(&step);
        let scale = max_norm(&state.point).max(1.0);
        let last = state.is_dense() && norm <= stop.tol && length <= 0.01 * stop.tol * scale;
        n_iter += 1;
        if last {
            let mut point = state.point;
            add(&mut point, &step);
            return Ok(Solution {
                point,
                converged: true,
                n_iter,
            });
        }
        if let Some(factor) = factor
            && length <= SHORT * scale
        {
            let left = Stop {
                max_iter: stop.max_iter - n_iter,
                ..stop
            };
            let end = chords(problem, &state.point, &step, &factor, left, context)?;
            n_iter += end.n_iter;
            if end.converged {
                return Ok(Solution { n_iter, ..end });
            }
            if end.n_iter > 0 {
                state = evaluate(problem, end.point, Second::Matrix, context)?;
                continue;
            }
        }
        match search(problem, &state, &step, context)? {
            Some(next) => {
                let decrease = state.sums.loss - next.sums.loss;
                let stalled = decrease <= ROUNDING && next.gradient_norm() > 0.5 * norm;
                state = next;
                if stalled {
                    converged = norm <= stop.tol;
                    break;
                }
            }
            // rounding errors hide any further progress
            None => {
                converged = norm <= stop.tol;
                break;
            }
        }
    }
    Ok(Solution {
        point: state.point,
        converged,
        n_iter,
    })
}

/// Takes a short step of Newton's method and then chord steps with its factor, until they converge or a new factor is needed.
/// Returns no iteration if a new factor is needed at once.
fn chords(
    problem: &Problem<'_>,
    from: &[f64],
    step: &[f64],
    factor: &Factor,
    stop: Stop,
    context: &Context,
) -> Result<Solution> {
    let mut solution = Solution {
        point: from.to_vec(),
        converged: false,
        n_iter: 0,
    };
    add(&mut solution.point, step);
    // along the first step the second derivatives change, which leaves half as much of an error as in later steps
    let mut before = 0.5 * max_norm(step);
    while solution.n_iter < stop.max_iter {
        let state = evaluate(problem, solution.point.clone(), Second::Unneeded, context)?;
        let next = factor.step(&state.sums.gradient);
        let length = max_norm(&next);
        let ratio = length / before;
        if ratio.is_nan() || ratio > MAX_RATIO {
            break;
        }
        add(&mut solution.point, &next);
        solution.n_iter += 1;
        let exact = EXACT * stop.tol * max_norm(&solution.point).max(1.0);
        if state.gradient_norm() <= stop.tol && ratio * length <= exact {
            solution.converged = true;
            break;
        }
        before = length;
    }
    Ok(solution)
}

/// The first point along the step at which the objective has decreased enough; `None` if rounding errors hide any progress.
fn search(
    problem: &Problem<'_>,
    state: &State,
    step: &[f64],
    context: &Context,
) -> Result<Option<State>> {
    let slope = dot(&state.sums.gradient, step);
    if slope.is_nan() || slope >= 0.0 {
        return Ok(None);
    }
    let mut length = 1.0;
    for _ in 0..MAX_HALVINGS {
        let point = state.point.iter().zip(step).map(|(x, s)| x + length * s);
        let second = if state.is_dense() {
            Second::Matrix
        } else {
            Second::Curvatures
        };
        let next = evaluate(problem, point.collect(), second, context)?;
        let allowed = state.sums.loss + 1e-4 * length * slope;
        let rounding = ROUNDING * state.sums.loss.abs().max(1.0);
        if next.sums.loss <= allowed + rounding {
            return Ok(Some(next));
        }
        length *= 0.5;
    }
    Ok(None)
}

fn evaluate(
    problem: &Problem<'_>,
    point: Vec<f64>,
    second: Second,
    context: &Context,
) -> Result<State> {
    let d = problem.penalties.len();
    let dense = second == Second::Matrix;
    let entries = if dense { (d + 1) * (d + 2) / 2 } else { 0 };
    let empty = Sums {
        loss: 0.0,
        gradient: vec![0.0; d + 1],
        hessian: vec![0.0; entries],
    };
    let parts = problem.in_parts(|_, blocks| {
        let mut sums = empty.clone();
        let mut scratch = Scratch::default();
        let mut curvatures = Vec::new();
        for block in blocks {
            context.check()?;
            kernels::evaluate(block, &point, &mut scratch, &mut sums);
            if second == Second::Curvatures {
                curvatures.push(scratch.curvatures.clone());
            }
        }
        Ok((sums, curvatures))
    })?;
    let mut sums = empty;
    let mut curvatures = Vec::new();
    for (part, of_part) in parts {
        sums.loss += part.loss;
        add(&mut sums.gradient, &part.gradient);
        add(&mut sums.hessian, &part.hessian);
        curvatures.push(of_part);
    }
    for (j, (penalty, coefficient)) in problem.penalties.iter().zip(&point).enumerate() {
        sums.loss += 0.5 * penalty * coefficient * coefficient;
        sums.gradient[j] += penalty * coefficient;
        if dense {
            sums.hessian[j * (j + 1) / 2 + j] += penalty;
        }
    }
    Ok(State {
        point,
        sums,
        curvatures,
    })
}

/// Newton's step by conjugate gradients, preconditioned with the diagonal, up to a residual of `forcing` times the gradient.
/// `None` if a Cholesky factor is possible and would take less time.
fn conjugate_step(
    problem: &Problem<'_>,
    state: &State,
    forcing: f64,
    context: &Context,
) -> Result<Option<Vec<f64>>> {
    let gradient = &state.sums.gradient;
    let n = gradient.len();
    // a factor takes n / 4 times as many multiplications as one product, but does them faster
    let (limit, has_other) = if n > MAX_DENSE + 1 {
        (MAX_CONJUGATE, false)
    } else {
        (n / 10, true)
    };
    let mut diagonal = sum_parts(problem, state, context, |block, curvatures, _, sums| {
        kernels::diagonal(block, curvatures, sums);
    })?;
    add(&mut diagonal, &problem.penalties);
    let inverse: Vec<f64> = diagonal.iter().map(|x| 1.0 / x.max(1e-280)).collect();
    let mut step = vec![0.0; n];
    let mut residual: Vec<f64> = gradient.iter().map(|x| -x).collect();
    let mut direction: Vec<f64> = product(&inverse, &residual);
    let mut energy = dot(&residual, &direction);
    let target = forcing * dot(gradient, gradient).sqrt();
    let mut reached = false;
    for _ in 0..limit {
        let mut curved = sum_parts(
            problem,
            state,
            context,
            |block, curvatures, scratch, sums| {
                kernels::multiply(block, curvatures, &direction, scratch, sums);
            },
        )?;
        add(&mut curved, &product(&problem.penalties, &direction));
        let curvature = dot(&direction, &curved);
        if curvature.is_nan() || curvature <= 0.0 {
            break;
        }
        let length = energy / curvature;
        for i in 0..n {
            step[i] += length * direction[i];
            residual[i] -= length * curved[i];
        }
        if dot(&residual, &residual).sqrt() <= target {
            reached = true;
            break;
        }
        let preconditioned = product(&inverse, &residual);
        let next = dot(&residual, &preconditioned);
        for (direction, x) in direction.iter_mut().zip(&preconditioned) {
            *direction = x + next / energy * *direction;
        }
        energy = next;
    }
    if has_other && !reached {
        return Ok(None);
    }
    if step.iter().all(|x| *x == 0.0) {
        step = direction;
    }
    Ok(Some(step))
}

/// A sum over all blocks, for which `add_block` gets each block and the curvatures of its rows.
fn sum_parts(
    problem: &Problem<'_>,
    state: &State,
    context: &Context,
    add_block: impl Fn(&kernels::Block, &[f64], &mut Scratch, &mut [f64]) + Sync,
) -> Result<Vec<f64>> {
    let n = state.point.len();
    let curvatures: Vec<&[f64]> = state
        .curvatures
        .iter()
        .flatten()
        .map(Vec::as_slice)
        .collect();
    let parts = problem.in_parts(|first, blocks| {
        let mut sums = vec![0.0; n];
        let mut scratch = Scratch::default();
        for (block, curvatures) in blocks.iter().zip(&curvatures[first..]) {
            context.check()?;
            add_block(block, curvatures, &mut scratch, &mut sums);
        }
        Ok(sums)
    })?;
    let mut sums = vec![0.0; n];
    parts.iter().for_each(|part| add(&mut sums, part));
    Ok(sums)
}

fn add(sums: &mut [f64], other: &[f64]) {
    sums.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
}

/// The elementwise product, padded with zeros to the length of `b`.
fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product: Vec<f64> = a.iter().zip(b).map(|(a, b)| a * b).collect();
    product.resize(b.len(), 0.0);
    product
}

fn max_norm(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |norm: f64, x| norm.max(x.abs()))
}
