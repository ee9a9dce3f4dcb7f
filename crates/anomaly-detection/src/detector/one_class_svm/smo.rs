//! Sequential minimal optimisation (SMO) on so few rows that their kernel matrix fits in memory (Fan, Chen and Lin, "Working Set
//! Selection Using Second Order Information for Training SVM", 2005).

use rayon::prelude::*;

use super::compute::{diagonal, kernel_row};
use super::points::{LANES, Points};
use super::similarity::Similarity;
use super::steps::{partner, step};
use crate::context::Context;
use crate::error::Result;

/// About how many multiply-adds are done between two checks of the context.
const WORK_PER_CHECK: usize = 1 << 24;

/// The fewest multiply-adds of a parallel task.
const SHARED: usize = 1 << 19;

/// The subproblem on some rows, with all others fixed.
pub(super) struct Part {
    /// The coefficient of each row.
    pub(super) alpha: Vec<f64>,
    /// The largest coefficient of each row.
    pub(super) caps: Vec<f64>,
    /// The gradient of the whole problem at each row.
    pub(super) gradient: Vec<f64>,
}

/// The kernel matrix of a subproblem, whose rows are computed on demand. The buffer is reused, and pages of it that were never
/// written take no memory.
#[derive(Default)]
pub(super) struct Matrix {
    values: Vec<f32>,
    known: Vec<bool>,
    n: usize,
    row: Vec<f32>,
}

impl Matrix {
    fn reset(&mut self, points: &Points) {
        let n = points.n_padded_rows();
        if self.values.len() < n * n {
            // fresh zeros are pages that take no memory yet
            self.values = Vec::new();
            self.values = vec![0.0; n * n];
        }
        self.n = n;
        self.known.clear();
        self.known.resize(n, false);
        self.row.resize(points.n_features(), 0.0);
    }

    fn need<S: Similarity>(&mut self, kernel: S, points: &Points, i: usize) {
        if !self.known[i] {
            points.get(i, &mut self.row);
            let values = &mut self.values[i * self.n..][..self.n];
            let d = points.n_features();
            let share = (SHARED / d.max(1)).next_multiple_of(LANES);
            if self.n < 2 * share {
                kernel_row(kernel, points.values(), &self.row, values);
            } else {
                let blocks = points.values().par_chunks(share * d);
                let row = &self.row;
                blocks
                    .zip(values.par_chunks_mut(share))
                    .for_each(|(blocks, values)| kernel_row(kernel, blocks, row, values));
            }
            self.known[i] = true;
        }
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.n..][..self.n]
    }
}

impl Part {
    /// Moves weight between pairs of coefficients until the optimality conditions hold within `tol`, or for `most_steps` steps.
    /// Returns the number of steps.
    pub(super) fn solve<S: Similarity>(
        &mut self,
        kernel: S,
        points: &Points,
        matrix: &mut Matrix,
        tol: f64,
        most_steps: usize,
        context: &Context,
    ) -> Result<usize> {
        matrix.reset(points);
        let n = points.n_padded_rows();
        self.gradient.resize(n, 0.0);
        let diagonal = diagonal(kernel, points);
        let mut may_give = vec![0.0; n];
        let mut taking = vec![f64::INFINITY; n];
        for (i, (&alpha, &cap)) in self.alpha.iter().zip(&self.caps).enumerate() {
            (may_give[i], taking[i]) = bounds(alpha, cap);
        }
        let zeros = vec![0.0; n];
        let (mut i, mut least) = step(&mut self.gradient, 0.0, &zeros, &zeros, &taking);
        let checked = WORK_PER_CHECK / (n * points.n_features().max(8)).max(1) + 1;
        for steps in 0..most_steps {
            if steps % checked == 0 {
                context.check()?;
            }
            if least == f64::INFINITY {
                return Ok(steps);
            }
            matrix.need(kernel, points, i);
            let own = diagonal[i];
            let found = partner(
                (&self.gradient, least),
                &may_give,
                (matrix.row(i), own),
                &diagonal,
            );
            let Some(j) = found.index else {
                return Ok(steps);
            };
            if f64::from(found.gap) < tol {
                return Ok(steps);
            }
            if checked == 1 {
                context.check()?;
            }
            matrix.need(kernel, points, j);
            let (plus, minus) = (matrix.row(i), matrix.row(j));
            let curvature = f64::from(own) + f64::from(diagonal[j]) - 2.0 * f64::from(plus[j]);
            let wanted = (self.gradient[j] - least) / curvature.max(1e-12);
            let (room, stock) = (self.caps[i] - self.alpha[i], self.alpha[j]);
            let moved = wanted.min(room).min(stock);
            let before = (self.alpha[i], self.alpha[j]);
            self.alpha[i] = if moved == room {
                self.caps[i]
            } else {
                self.alpha[i] + moved
            };
            self.alpha[j] = if moved == stock { 0.0 } else { stock - moved };
            if before == (self.alpha[i], self.alpha[j]) {
                // the step is smaller than the rounding error
                return Ok(steps);
            }
            for k in [i, j] {
                (may_give[k], taking[k]) = bounds(self.alpha[k], self.caps[k]);
            }
            (i, least) = step(&mut self.gradient, moved, plus, minus, &taking);
        }
        Ok(most_steps)
    }
}

/// The flags of a coefficient for the passes: first 1 if it may decrease or else 0, then 0 if it may increase or else infinity.
fn bounds(alpha: f64, cap: f64) -> (f32, f64) {
    let may_give = if alpha > 0.0 { 1.0 } else { 0.0 };
    let taking = if alpha < cap { 0.0 } else { f64::INFINITY };
    (may_give, taking)
}
