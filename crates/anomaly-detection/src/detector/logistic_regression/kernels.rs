//! The vectorised inner loops over a block of rows.
//!
//! The values of a block are stored feature by feature, so that all sums are vectorised over rows. No multiply-add is fused: the
//! operations and their order are the same with and without AVX2, and so are the results, bit for bit.

use crate::detector::simd::{F64x4, Simd, with_simd};

/// Rows are padded to whole groups of this many.
pub(super) const LANES: usize = 8;

/// The tile of second derivatives that is summed at a time, in registers: this many features scaled by the curvature, times this
/// many unscaled ones.
const ROWS: usize = 2;
const COLUMNS: usize = 4;

/// The sums of one pass over rows. The intercept comes after the features.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// The mean loss.
    pub(super) loss: f64,
    /// Its gradient, of length d + 1.
    pub(super) gradient: Vec<f64>,
    /// Its second derivatives, as the lower triangle of a (d + 1) x (d + 1) matrix, or empty.
    pub(super) hessian: Vec<f64>,
}

/// Rows of one class and weight: the values of their features and how much each row counts.
#[derive(Debug)]
pub(super) struct Block {
    /// d x `lanes` values, with zeros for padding.
    pub(super) values: Vec<f64>,
    /// The number of rows, rounded up to a multiple of [`LANES`].
    pub(super) lanes: usize,
    pub(super) n_rows: usize,
    pub(super) weight: f64,
    pub(super) anomaly: bool,
}

/// Buffers for values per row of a block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The derivative of each row's loss with respect to its log-odds.
    residuals: Vec<f64>,
    /// The second derivative with respect to the log-odds.
    pub(super) curvatures: Vec<f64>,
    scaled: Vec<f64>,
    /// `exp(-|log-odds|)` of each row.
    exponentials: Vec<f64>,
    /// How far the log-odds of each row are on the wrong side of 0.
    shortfalls: Vec<f64>,
}

/// Adds the loss and its derivatives for the rows of a block at a point, which is d coefficients and the intercept. Second
/// derivatives are added if `sums` has room for them; those with respect to the log-odds are always left in `scratch`.
pub(super) fn evaluate(block: &Block, point: &[f64], scratch: &mut Scratch, sums: &mut Sums) {
    with_simd!(simd => evaluate_with(simd, block, point, scratch, sums));
}

/// Adds the product of a block's second derivatives with a vector of length d + 1, given the curvatures of its rows.
pub(super) fn multiply(
    block: &Block,
    curvatures: &[f64],
    vector: &[f64],
    scratch: &mut Scratch,
    product: &mut [f64],
) {
    with_simd!(_ => multiply_in_lanes(block, curvatures, vector, scratch, product));
}

/// Adds the diagonal of a block's second derivatives, of length d + 1, given the curvatures of its rows.
pub(super) fn diagonal(block: &Block, curvatures: &[f64], sums: &mut [f64]) {
    with_simd!(_ => diagonal_in_lanes(block, curvatures, sums));
}

#[inline(always)]
fn evaluate_with<S: Simd>(
    simd: S,
    block: &Block,
    point: &[f64],
    scratch: &mut Scratch,
    sums: &mut Sums,
) {
    log_odds(block, point, &mut scratch.residuals);
    sums.loss += block.weight * losses(block, scratch);
    let Scratch {
        residuals,
        curvatures,
        scaled,
        ..
    } = scratch;
    add_products(block, residuals, &mut sums.gradient);
    if !sums.hessian.is_empty() {
        scaled.clear();
        for values in block.values.chunks_exact(block.lanes) {
            scaled.extend(values.iter().zip(curvatures.iter()).map(|(x, c)| x * c));
        }
        add_hessian(simd, block, scaled, curvatures, &mut sums.hessian);
    }
}

#[inline(always)]
fn multiply_in_lanes(
    block: &Block,
    curvatures: &[f64],
    vector: &[f64],
    scratch: &mut Scratch,
    product: &mut [f64],
) {
    log_odds(block, vector, &mut scratch.residuals);
    for (x, curvature) in scratch.residuals.iter_mut().zip(curvatures) {
        *x *= curvature;
    }
    add_products(block, &scratch.residuals, product);
}

#[inline(always)]
fn diagonal_in_lanes(block: &Block, curvatures: &[f64], sums: &mut [f64]) {
    for (values, sum) in block.values.chunks_exact(block.lanes).zip(&mut *sums) {
        let mut lanes = [0.0; LANES];
        for (values, curvatures) in groups(values).iter().zip(groups(curvatures)) {
            for k in 0..LANES {
                lanes[k] += values[k] * values[k] * curvatures[k];
            }
        }
        *sum += total(lanes);
    }
    if let Some(last) = sums.last_mut() {
        *last += sum(curvatures);
    }
}

/// The log-odds of each row: the linear function of its features.
#[inline(always)]
fn log_odds(block: &Block, point: &[f64], out: &mut Vec<f64>) {
    let (intercept, coefficients) = point.split_last().unwrap_or((&0.0, &[]));
    out.clear();
    out.resize(block.lanes, *intercept);
    let mut features = block.values.chunks_exact(2 * block.lanes);
    let mut pairs = coefficients.chunks_exact(2);
    for (values, pair) in (&mut features).zip(&mut pairs) {
        let (first, second) = values.split_at(block.lanes);
        for ((out, x), y) in out.iter_mut().zip(first).zip(second) {
            *out += pair[0] * x;
            *out += pair[1] * y;
        }
    }
    if let &[coefficient] = pairs.remainder() {
        for (out, x) in out.iter_mut().zip(features.remainder()) {
            *out += coefficient * x;
        }
    }
}

/// Replaces the log-odds with the derivatives of the losses with respect to them, and returns the unweighted sum of the losses.
#[inline(always)]
fn losses(block: &Block, scratch: &mut Scratch) -> f64 {
    let Scratch {
        residuals,
        curvatures,
        exponentials,
        shortfalls,
        ..
    } = scratch;
    let sign = if block.anomaly { 1.0 } else { -1.0 };
    let weight = block.weight;
    let n = block.lanes;
    for values in [&mut *curvatures, exponentials, shortfalls] {
        values.clear();
        values.resize(n, 0.0);
    }
    let odds = &mut residuals[..n];
    let (exponentials, shortfalls) = (&mut exponentials[..n], &mut shortfalls[..n]);
    let curvatures = &mut curvatures[..n];
    // without a branch, so that the loop vectorises
    for i in 0..n {
        let margin = sign * odds[i];
        let e = exp_negative(-margin.abs());
        let wrong = if margin >= 0.0 { e } else { 1.0 };
        let inverse = 1.0 / (1.0 + e);
        odds[i] = -sign * weight * wrong * inverse;
        curvatures[i] = weight * e * inverse * inverse;
        exponentials[i] = e;
        shortfalls[i] = if margin >= 0.0 { 0.0 } else { -margin };
    }
    for values in [odds, curvatures, exponentials, shortfalls] {
        values[block.n_rows..].fill(0.0);
    }
    // the sum of ln(1 + e) is the logarithm of one product, whose factor in each lane is at most 2^16
    let mut products = [1.0; LANES];
    for exponentials in groups(&scratch.exponentials) {
        for k in 0..LANES {
            products[k] *= 1.0 + exponentials[k];
        }
    }
    products.iter().product::<f64>().ln() + sum(&scratch.shortfalls)
}

/// `exp(x)` for x <= 0, to within two units in the last place; `exp(-700)` for x below -700.
#[inline(always)]
fn exp_negative(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    // ln 2 as a sum of two parts, the first with so many trailing zeros that its multiples are exact
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const INVERSE_FACTORIALS: [f64; 12] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];
    let x = x.max(-700.0);
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let whole = shifted - SHIFT;
    let rest = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let mut series = 1.0 / 6_227_020_800.0;
    for factor in INVERSE_FACTORIALS {
        series = series * rest + factor;
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    (series * rest + 1.0) * power
}

/// Adds the product of each feature with the factors of the rows; the feature of the intercept is 1.
#[inline(always)]
fn add_products(block: &Block, factors: &[f64], sums: &mut [f64]) {
    for (values, sum) in block.values.chunks_exact(block.lanes).zip(&mut *sums) {
        let mut lanes = [0.0; LANES];
        for (values, factors) in groups(values).iter().zip(groups(factors)) {
            for k in 0..LANES {
                lanes[k] += values[k] * factors[k];
            }
        }
        *sum += total(lanes);
    }
    if let Some(last) = sums.last_mut() {
        *last += sum(factors);
    }
}

/// Adds the second derivatives: the products of scaled with unscaled features, in tiles of [`ROWS`] by [`COLUMNS`].
#[inline(always)]
fn add_hessian<S: Simd>(
    simd: S,
    block: &Block,
    scaled: &[f64],
    curvatures: &[f64],
    hessian: &mut [f64],
) {
    let lanes = block.lanes;
    let d = block.values.len() / lanes;
    for i in (0..d).step_by(ROWS) {
        let rows: [&[F64x4]; ROWS] = std::array::from_fn(|r| {
            let i = (i + r).min(d - 1);
            scaled[i * lanes..(i + 1) * lanes].as_chunks().0
        });
        for j in (0..(i + ROWS).min(d)).step_by(COLUMNS) {
            let columns: [&[F64x4]; COLUMNS] = std::array::from_fn(|c| {
                let j = (j + c).min(d - 1);
                block.values[j * lanes..(j + 1) * lanes].as_chunks().0
            });
            let tile = tile(simd, rows, columns);
            for (r, sums) in tile.iter().enumerate() {
                let i = i + r;
                for (c, sum) in sums.iter().enumerate() {
                    if i < d && j + c <= i {
                        hessian[i * (i + 1) / 2 + j + c] += sum;
                    }
                }
            }
        }
    }
    let last = &mut hessian[d * (d + 1) / 2..];
    for (sums, scaled) in last.iter_mut().zip(scaled.chunks_exact(lanes)) {
        *sums += sum(scaled);
    }
    last[d] += sum(curvatures);
}

/// The products of each row with each column, all of the same length.
#[inline(always)]
fn tile<S: Simd>(
    simd: S,
    rows: [&[F64x4]; ROWS],
    columns: [&[F64x4]; COLUMNS],
) -> [[f64; COLUMNS]; ROWS] {
    let n = rows[0].len();
    let rows = rows.map(|row| &row[..n]);
    let columns = columns.map(|column| &column[..n]);
    let mut sums = [[simd.splat_f64(0.0); COLUMNS]; ROWS];
    for index in 0..n {
        let rows = rows.map(|row| simd.load_f64(&row[index]));
        for c in 0..COLUMNS {
            let column = simd.load_f64(&columns[c][index]);
            for r in 0..ROWS {
                sums[r][c] = simd.add_f64(sums[r][c], simd.mul_f64(rows[r], column));
            }
        }
    }
    sums.map(|sums| {
        sums.map(|sum| {
            let mut lanes = [0.0; 4];
            simd.store_f64(sum, &mut lanes);
            (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
        })
    })
}

#[inline(always)]
fn groups(values: &[f64]) -> &[[f64; LANES]] {
    values.as_chunks().0
}

#[inline(always)]
fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    for values in groups(values) {
        for k in 0..LANES {
            lanes[k] += values[k];
        }
    }
    total(lanes)
}

#[inline(always)]
fn total(lanes: [f64; LANES]) -> f64 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[cfg(test)]
mod tests;
