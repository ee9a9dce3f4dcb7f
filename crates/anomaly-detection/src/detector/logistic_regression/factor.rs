//! The Cholesky factor of a matrix of second derivatives.

use super::kernels::Sums;
use crate::context::Context;
use crate::detector::dot::dot;
use crate::error::Result;

/// The Cholesky factor of a symmetric matrix, as a lower triangle by rows. `None` if there is none, when steps follow the
/// negative gradient.
pub(super) struct Factor(Option<Vec<f64>>);

impl Factor {
    /// The factor of the second derivatives, with as large a ridge as is needed.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(super) fn new(sums: &Sums, context: &Context) -> Result<Self> {
        let n = sums.gradient.len();
        let mut ridge = 0.0;
        while ridge <= 1e10 {
            context.check()?;
            let mut factor = sums.hessian.clone();
            let largest = (0..n).fold(f64::MIN_POSITIVE, |a, i| a.max(factor[i * (i + 1) / 2 + i]));
            for i in 0..n {
                let diagonal = &mut factor[i * (i + 1) / 2 + i];
                *diagonal += ridge * diagonal.max(1e-8 * largest);
            }
            if cholesky(&mut factor, n) {
                return Ok(Self(Some(factor)));
            }
            ridge = (ridge * 100.0).max(1e-12);
        }
        Ok(Self(None))
    }

    /// Newton's step, to where the gradient would be 0 if the second derivatives were constant.
    pub(super) fn step(&self, gradient: &[f64]) -> Vec<f64> {
        let step = gradient.iter().map(|x| -x).collect();
        match &self.0 {
            Some(factor) => solve(factor, step),
            None => step,
        }
    }
}

/// Replaces the lower triangle of a symmetric matrix of `n` rows with its Cholesky factor. Returns false if the matrix is not
/// positive definite.
fn cholesky(matrix: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        let (above, row) = matrix.split_at_mut(i * (i + 1) / 2);
        let row = &mut row[..=i];
        for j in 0..i {
            let start = j * (j + 1) / 2;
            let other = &above[start..=start + j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        // a tiny pivot may be nothing but rounding error; the comparison also fails for NaN
        if !(pivot > 1e-15 * row[i] && pivot.is_normal() && pivot.is_finite()) {
            return false;
        }
        row[i] = pivot.sqrt();
    }
    true
}

/// Solves with a Cholesky factor.
fn solve(factor: &[f64], mut x: Vec<f64>) -> Vec<f64> {
    let n = x.len();
    let row = |i: usize| &factor[i * (i + 1) / 2..=i * (i + 1) / 2 + i];
    for i in 0..n {
        x[i] = (x[i] - dot(&row(i)[..i], &x[..i])) / row(i)[i];
    }
    for i in (0..n).rev() {
        x[i] /= row(i)[i];
        let x_i = x[i];
        for (x, factor) in x[..i].iter_mut().zip(row(i)) {
            *x -= factor * x_i;
        }
    }
    x
}
