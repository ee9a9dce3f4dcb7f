//! Eigenvalues and eigenvectors of a symmetric matrix: Householder's reduction to a tridiagonal matrix, followed by the
//! implicit QL algorithm (Golub and Van Loan, "Matrix Computations", 4th edition, 8.3).
//!
//! Reflections and rotations are applied to each row of the matrix of eigenvectors independently. Rows can therefore be spread
//! over threads without changing the result, and a cancelled computation stops within a batch of rotations.

use ndarray::Array2;
use rayon::prelude::*;

use crate::context::Context;
use crate::detector::dot::dot;
use crate::error::{Error, Result, reason};

/// How many rows of the matrix of eigenvectors are processed together.
const LANES: usize = 8;

/// How many rotations are collected before they are applied.
const BATCH: usize = 1 << 14;

/// The most sweeps for one eigenvalue; two or three are usual.
const MAX_SWEEPS: usize = 60;

/// A matrix with fewer rows than this is not worth spreading over threads.
const PARALLEL_FROM: usize = 256;

/// Eigenvalues in descending order, and their eigenvectors of length 1 as the rows of a matrix in the same order.
#[derive(Debug)]
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Array2<f64>,
}

/// Rows of the matrix of eigenvectors: for each column, the values of [`LANES`] rows.
type Panel = Vec<[f64; LANES]>;

/// A rotation of columns `i` and `i + 1`.
#[derive(Clone, Copy)]
struct Rotation {
    i: usize,
    cos: f64,
    sin: f64,
}

/// A tridiagonal matrix and the reflections that led to it. The reflection `k` maps x to `x - scale (v . x) v`, where v is row
/// `k` of `vectors` from the column after the diagonal on.
struct Reduced {
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    scales: Vec<f64>,
    vectors: Array2<f64>,
}

/// The eigenvalues and eigenvectors of a finite symmetric matrix.
///
/// # Errors
/// [`reason::UNUSABLE_ROWS`] if the iteration does not converge; and those of [`Context::check`].
pub(super) fn eigen(matrix: Array2<f64>, context: &Context) -> Result<Eigen> {
    let d = matrix.nrows();
    let reduced = reduce(matrix, context)?;
    let mut panels = first_panels(&reduced, context)?;
    let Reduced {
        mut diagonal,
        mut off_diagonal,
        ..
    } = reduced;
    // the reduction puts small entries at the end, but QL needs the large ones there
    diagonal.reverse();
    off_diagonal[..d - 1].reverse();
    panels.iter_mut().for_each(|panel| panel.reverse());
    let mut rotations = Vec::new();
    let norm = diagonal
        .iter()
        .chain(&off_diagonal)
        .fold(0.0, |norm: f64, x| norm.max(x.abs()));
    for l in 0..d {
        let mut sweeps = 0;
        loop {
            let m = (l..d - 1)
                .find(|&m| {
                    let near = diagonal[m].abs() + diagonal[m + 1].abs();
                    off_diagonal[m].abs() <= f64::EPSILON * (near + 0.01 * norm)
                })
                .unwrap_or(d - 1);
            if m == l {
                break;
            }
            sweeps += 1;
            if sweeps > MAX_SWEEPS {
                let message = "the eigenvalues of the covariance do not converge; scale the columns or leave some out";
                return Err(Error::new(reason::UNUSABLE_ROWS, message));
            }
            sweep(&mut diagonal, &mut off_diagonal, l, m, &mut rotations);
            if rotations.len() >= BATCH {
                apply(&mut panels, &rotations, context)?;
                rotations.clear();
            }
        }
    }
    apply(&mut panels, &rotations, context)?;
    context.check()?;
    Ok(sorted(&diagonal, &panels))
}

fn sorted(diagonal: &[f64], panels: &[Panel]) -> Eigen {
    let d = diagonal.len();
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    Eigen {
        values: order.iter().map(|&i| diagonal[i]).collect(),
        vectors: Array2::from_shape_fn((d, d), |(k, row)| {
            panels[row / LANES][order[k]][row % LANES]
        }),
    }
}

/// Householder's reduction. Each reflection is applied to the rest of the matrix in one pass, which also multiplies the result
/// with the vector of the next reflection.
fn reduce(mut matrix: Array2<f64>, context: &Context) -> Result<Reduced> {
    let d = matrix.nrows();
    let mut scales = vec![0.0; d];
    let mut diagonal = vec![0.0; d];
    let mut off_diagonal = vec![0.0; d];
    // the vectors of the last reflection and of its rank-two update, from column k on
    let (mut v, mut w) = (vec![0.0; d], vec![0.0; d]);
    for k in 0..d {
        context.check()?;
        let n = d - k;
        let Some(values) = matrix.as_slice_mut() else {
            break;
        };
        let (above, rest) = values.split_at_mut((k + 1) * d);
        let row = &mut above[k * d + k..];
        update_row(row, v[0], w[0], &v, &w);
        diagonal[k] = row[0];
        if n == 1 {
            break;
        }
        let (scale, off) = reflection(&mut row[1..]);
        (scales[k], off_diagonal[k]) = (scale, off);
        let next: &[f64] = &row[1..];
        let mut products = vec![0.0; n - 1];
        let step = |(i, (row, product)): (usize, (&mut [f64], &mut f64))| {
            let row = &mut row[k + 1..];
            update_row(row, v[i + 1], w[i + 1], &v[1..], &w[1..]);
            *product = scale * dot(row, next);
        };
        if n > PARALLEL_FROM {
            rest.par_chunks_exact_mut(d)
                .zip(&mut products)
                .with_min_len(64)
                .enumerate()
                .for_each(step);
        } else {
            rest.chunks_exact_mut(d)
                .zip(&mut products)
                .enumerate()
                .for_each(step);
        }
        let half = 0.5 * scale * dot(&products, next);
        for (product, x) in products.iter_mut().zip(next) {
            *product -= half * x;
        }
        w = products;
        v.clear();
        v.extend_from_slice(next);
    }
    Ok(Reduced {
        diagonal,
        off_diagonal,
        scales,
        vectors: matrix,
    })
}

/// Applies the rank-two update of a reflection to a row of the matrix: subtracts `v_i w + w_i v`.
fn update_row(row: &mut [f64], v_i: f64, w_i: f64, v: &[f64], w: &[f64]) {
    for ((x, v), w) in row.iter_mut().zip(v).zip(w) {
        *x -= v_i * w + w_i * v;
    }
}

/// Replaces a vector with that of the reflection that maps it onto the first axis. Returns the scale of the reflection and the
/// coordinate of the reflected vector on the axis.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    // scaled, so that the squares neither overflow nor vanish
    let length = largest
        * x.iter()
            .map(|x| (x / largest) * (x / largest))
            .sum::<f64>()
            .sqrt();
    let axis = -length.copysign(x[0]);
    let first = x[0] - axis;
    for x in &mut x[1..] {
        *x /= first;
    }
    x[0] = 1.0;
    (-first / axis, axis)
}

/// The product of all reflections.
fn first_panels(reduced: &Reduced, context: &Context) -> Result<Vec<Panel>> {
    let d = reduced.diagonal.len();
    let panel = |p: usize| {
        context.check()?;
        let mut panel = vec![[0.0; LANES]; d];
        for lane in 0..LANES.min(d - p * LANES) {
            panel[p * LANES + lane][lane] = 1.0;
        }
        for (k, (row, &scale)) in reduced
            .vectors
            .rows()
            .into_iter()
            .zip(&reduced.scales)
            .enumerate()
        {
            let vector = row.iter().skip(k + 1);
            let part = &mut panel[k + 1..];
            let mut sums = [0.0; LANES];
            for (x, v) in part.iter().zip(vector.clone()) {
                for lane in 0..LANES {
                    sums[lane] += v * x[lane];
                }
            }
            let sums = sums.map(|sum| scale * sum);
            for (x, v) in part.iter_mut().zip(vector) {
                for lane in 0..LANES {
                    x[lane] -= v * sums[lane];
                }
            }
        }
        Ok(panel)
    };
    (0..d.div_ceil(LANES)).into_par_iter().map(panel).collect()
}

/// One implicit QL sweep over the unreduced block `l..=m`, recorded in `rotations`.
fn sweep(
    diagonal: &mut [f64],
    off_diagonal: &mut [f64],
    l: usize,
    m: usize,
    rotations: &mut Vec<Rotation>,
) {
    // Wilkinson's shift
    let half = (diagonal[l + 1] - diagonal[l]) / (2.0 * off_diagonal[l]);
    let root = half.hypot(1.0).copysign(half);
    let mut g = diagonal[m] - diagonal[l] + off_diagonal[l] / (half + root);
    let (mut sin, mut cos, mut shift) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let f = sin * off_diagonal[i];
        let b = cos * off_diagonal[i];
        let r = f.hypot(g);
        off_diagonal[i + 1] = r;
        if r == 0.0 {
            // the block decouples here
            diagonal[i + 1] -= shift;
            off_diagonal[m] = 0.0;
            return;
        }
        (sin, cos) = (f / r, g / r);
        let g_shifted = diagonal[i + 1] - shift;
        let r = (diagonal[i] - g_shifted) * sin + 2.0 * cos * b;
        shift = sin * r;
        diagonal[i + 1] = g_shifted + shift;
        g = cos * r - b;
        rotations.push(Rotation { i, cos, sin });
    }
    diagonal[l] -= shift;
    off_diagonal[l] = g;
    off_diagonal[m] = 0.0;
}

fn apply(panels: &mut [Panel], rotations: &[Rotation], context: &Context) -> Result<()> {
    panels.par_iter_mut().try_for_each(|panel| {
        context.check()?;
        for &Rotation { i, cos, sin } in rotations {
            let (a, b) = (panel[i], panel[i + 1]);
            for lane in 0..LANES {
                panel[i + 1][lane] = sin * a[lane] + cos * b[lane];
                panel[i][lane] = cos * a[lane] - sin * b[lane];
            }
        }
        Ok(())
    })
}
