//! The quadratic programme of a one-class SVM: minimise half the sum of `alpha_i alpha_j k(x_i, x_j)`, with a given sum of the
//! coefficients and each of them between 0 and its cap.
//!
//! It is solved by decomposition (Joachims, "Making Large-Scale SVM Learning Practical", 1999): solve for the rows that violate
//! the optimality conditions most, with all others fixed; update the gradient of all rows; repeat until none violates them.
//!
//! Nearly all coefficients end at 0 or at their caps. The solution for a quarter of the rows, which is found in the same way,
//! predicts most of them: to start with, the rows of lowest density in it get their caps until the sum is used up.

use rayon::prelude::*;

use super::compute::{add_kernels, tiles, total};
use super::points::{LANES, Points};
use super::similarity::Similarity;
use super::smo::{Matrix, Part};
use crate::context::{Context, Unit};
use crate::error::{Error, Result};

/// The most rows that are solved for at once. Their kernel matrix takes at most 64 MiB.
const MAX_PART: usize = 4096;

/// The first solution is for one in this many rows.
const SAMPLED: usize = 4;

/// Up to this many rows are solved without a first solution on a subset.
const FEW: usize = 512;

/// The tolerance of the solution of a sample, as a fraction of the sum of the coefficients.
const SAMPLE_TOL: f64 = 1e-4;

/// The tolerance is no finer than this fraction of the sum of the coefficients: kernel values are rounded to f32.
const MIN_TOL: f64 = 1e-8;

/// How many rows have their kernels summed at once.
const CHUNK_ROWS: usize = 64;

/// The problem. The kernel of a row with itself is at most 1.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a, S> {
    pub(super) kernel: S,
    pub(super) points: &'a Points,
    /// The largest coefficient of each row.
    pub(super) caps: &'a [f64],
    /// The sum of the coefficients, at most that of the caps.
    pub(super) sum: f64,
    /// The tolerated violation of the optimality conditions.
    pub(super) tol: f64,
    pub(super) context: &'a Context,
}

/// The solution.
#[derive(Debug, Clone)]
pub(super) struct Solution {
    /// The coefficient of each row.
    pub(super) alpha: Vec<f64>,
    /// The gradient at the boundary.
    pub(super) rho: f64,
}

impl<S: Similarity> Problem<'_, S> {
    /// Solves the problem.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(super) fn solve(&self) -> Result<Solution> {
        self.solve_with(&mut Matrix::default())
    }

    fn solve_with(&self, matrix: &mut Matrix) -> Result<Solution> {
        let n = self.points.n_rows();
        let mut alpha = self.start(matrix)?;
        let mut gradient = self.gradient_of(&alpha)?;
        let tol = self.tol.max(MIN_TOL * self.sum);
        let mut steps_left = (100 * n).max(10_000_000);
        loop {
            let (least, most) = self.bounds(&alpha, &gradient);
            let gap = most - least;
            if gap < tol || steps_left == 0 {
                break;
            }
            let rows = self.violators(&alpha, &gradient);
            let points = self.points.pick(&rows);
            let at = |values: &[f64]| rows.iter().map(|&i| values[i as usize]).collect();
            let mut part = Part {
                alpha: at(&alpha),
                caps: at(self.caps),
                gradient: at(&gradient),
            };
            let part_tol = (0.1 * gap).max(0.9 * tol);
            let steps = part.solve(
                self.kernel,
                &points,
                matrix,
                part_tol,
                steps_left,
                self.context,
            )?;
            let changed: Vec<(u32, f64)> = rows
                .iter()
                .zip(&part.alpha)
                .map(|(&i, &new)| (i, new - alpha[i as usize]))
                .filter(|&(_, change)| change != 0.0)
                .collect();
            if steps == 0 || changed.is_empty() {
                break;
            }
            steps_left -= steps.min(steps_left);
            for (&i, &new) in rows.iter().zip(&part.alpha) {
                alpha[i as usize] = new;
            }
            for (gradient, change) in gradient.iter_mut().zip(self.sums(&changed)?) {
                *gradient += change;
            }
        }
        let rho = self.rho(&alpha, &gradient);
        Ok(Solution { alpha, rho })
    }

    /// Coefficients to start from.
    fn start(&self, matrix: &mut Matrix) -> Result<Vec<f64>> {
        let n = self.points.n_rows();
        let densities = if n <= FEW {
            self.gradient_of(self.caps)?
        } else {
            let rows: Vec<u32> = (0..n as u32).step_by(SAMPLED).collect();
            let points = self.points.pick(&rows);
            let caps: Vec<f64> = rows.iter().map(|&i| self.caps[i as usize]).collect();
            let sum = self.sum / self.caps.iter().sum::<f64>() * caps.iter().sum::<f64>();
            let sample = Problem {
                points: &points,
                caps: &caps,
                sum,
                tol: self.tol.max(SAMPLE_TOL * sum),
                ..*self
            };
            let alpha = sample.solve_with(matrix)?.alpha;
            let support = rows.into_iter().zip(alpha);
            self.sums(
                &support
                    .filter(|&(_, alpha)| alpha > 0.0)
                    .collect::<Vec<_>>(),
            )?
        };
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            let density = |i: u32| densities[i as usize];
            density(a).total_cmp(&density(b)).then(a.cmp(&b))
        });
        let mut alpha = vec![0.0; n];
        let mut rest = self.sum;
        for i in order {
            let i = i as usize;
            alpha[i] = self.caps[i].min(rest);
            rest -= alpha[i];
        }
        Ok(alpha)
    }

    /// The gradient for these coefficients.
    fn gradient_of(&self, alpha: &[f64]) -> Result<Vec<f64>> {
        let support = (0..).zip(alpha.iter().copied());
        self.sums(
            &support
                .filter(|&(_, alpha)| alpha != 0.0)
                .collect::<Vec<_>>(),
        )
    }

    /// For each row, the weighted sum of its kernels with some rows.
    fn sums(&self, terms: &[(u32, f64)]) -> Result<Vec<f64>> {
        self.context.check()?;
        let (rows, mut coefficients): (Vec<u32>, Vec<f64>) = terms.iter().copied().unzip();
        let support = self.points.pick(&rows);
        coefficients.resize(support.n_padded_rows(), 0.0);
        let d = self.points.n_features();
        let mut sums = vec![0.0; self.points.n_rows()];
        // how many such passes there are is not known before the last
        let step = self.context.step(Unit::Parts, sums.len());
        sums.par_chunks_mut(CHUNK_ROWS)
            .enumerate()
            .try_for_each_init(
                || vec![0.0; CHUNK_ROWS * d],
                |buffer, (chunk, sums)| {
                    let buffer = &mut buffer[..sums.len() * d];
                    for (k, row) in buffer.chunks_exact_mut(d).enumerate() {
                        self.points.get(chunk * CHUNK_ROWS + k, row);
                    }
                    let mut lanes = [[0.0; LANES]; CHUNK_ROWS];
                    let lanes = &mut lanes[..sums.len()];
                    for tile in tiles(&support, &coefficients) {
                        self.context.check()?;
                        add_kernels(self.kernel, tile, buffer, lanes);
                    }
                    step.advance(sums.len());
                    for (sum, lanes) in sums.iter_mut().zip(lanes) {
                        *sum = total(lanes);
                    }
                    Ok::<_, Error>(())
                },
            )?;
        Ok(sums)
    }

    /// The smallest gradient of the rows whose coefficients may increase, and the largest of those whose coefficients may
    /// decrease.
    fn bounds(&self, alpha: &[f64], gradient: &[f64]) -> (f64, f64) {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for ((&alpha, &cap), &gradient) in alpha.iter().zip(self.caps).zip(gradient) {
            if alpha < cap {
                least = least.min(gradient);
            }
            if alpha > 0.0 {
                most = most.max(gradient);
            }
        }
        (least, most)
    }

    /// The rows to solve for next, ascending: those with the smallest gradients whose coefficients may increase, and as many
    /// with the largest gradients whose coefficients may decrease.
    fn violators(&self, alpha: &[f64], gradient: &[f64]) -> Vec<u32> {
        let n = self.points.n_rows();
        if n <= MAX_PART {
            return (0..n as u32).collect();
        }
        let foremost = |may: &dyn Fn(usize) -> bool, sign: f64| {
            let mut rows: Vec<u32> = (0..n as u32).filter(|&i| may(i as usize)).collect();
            let order = |a: &u32, b: &u32| {
                let at = |&i: &u32| sign * gradient[i as usize];
                at(a).total_cmp(&at(b)).then(a.cmp(b))
            };
            if rows.len() > MAX_PART / 2 {
                rows.select_nth_unstable_by(MAX_PART / 2 - 1, order);
                rows.truncate(MAX_PART / 2);
            }
            rows
        };
        let mut rows = foremost(&|i| alpha[i] < self.caps[i], 1.0);
        rows.extend(foremost(&|i| alpha[i] > 0.0, -1.0));
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The gradient at the boundary: its mean over the rows whose coefficients are strictly between their bounds or, if there are
    /// none, the middle of the range that the others allow.
    fn rho(&self, alpha: &[f64], gradient: &[f64]) -> f64 {
        let (mut count, mut free) = (0.0, 0.0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for ((&alpha, &cap), &gradient) in alpha.iter().zip(self.caps).zip(gradient) {
            if alpha >= cap {
                most = most.max(gradient);
            } else if alpha <= 0.0 {
                least = least.min(gradient);
            } else {
                count += 1.0;
                free += gradient;
            }
        }
        if count > 0.0 {
            free / count
        } else if least == f64::INFINITY {
            most
        } else if most == f64::NEG_INFINITY {
            least
        } else {
            least.midpoint(most)
        }
    }
}
