//! The rows as the solver sees them: in blocks of one class and weight, with each feature centred and in units of about its
//! standard deviation.
//!
//! The unpenalised intercept absorbs the means, and the penalty is rescaled with the features, so that the coefficients are those
//! of the original rows, without a loss of precision from offsets and units.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::kernels::{Block, LANES};
use super::params::LogisticRegressionValidParams;
use crate::context::Context;
use crate::detector::row_order::content_order;
use crate::error::{Error, Result, reason};
use crate::statistics::power_of_two::power_of_two;

/// Values are clamped to this magnitude, so that no sum of squares overflows.
pub(super) const MAX_VALUE: f64 = 1e150;

/// The smallest unit of a feature. With far smaller ones, coefficients would leave the range of a double.
const MIN_UNIT: f64 = 1e-100;

/// The most values and rows of a block. With few features, two copies of it stay in the second-level cache; with many, it takes
/// little time between two checks of the context.
const BLOCK_VALUES: usize = 1 << 15;
const MAX_BLOCK_ROWS: usize = 128;

/// The most bytes that the blocks may take.
const MAX_BYTES: usize = 1 << 30;

/// The most parts that are processed in parallel. Their sums are added in order, whatever the number of threads.
pub(super) const MAX_PARTS: usize = 16;

/// A thinned problem keeps one block in this many.
const THINNING: usize = 8;

/// The fewest rows of each class per feature in a thinned problem.
const MIN_ROWS_PER_FEATURE: usize = 16;

/// Rows of one source, with their labels and their weights before class weights.
pub(super) struct Source<'a> {
    pub(super) rows: ArrayView2<'a, f64>,
    pub(super) labels: &'a [bool],
    /// The weights of a normal row and of an anomaly.
    pub(super) weights: [f64; 2],
}

/// The training rows and penalties, ready for the solver.
pub(super) struct Design {
    /// All rows, with weights that sum to 1.
    pub(super) blocks: Vec<Block>,
    /// The mean of each feature.
    pub(super) centers: Vec<f64>,
    /// The power of two that each feature is divided by.
    pub(super) units: Vec<f64>,
    /// The weight of half the square of each coefficient in the objective.
    pub(super) penalties: Vec<f64>,
    /// The log-odds of an anomaly among the weighted rows.
    pub(super) log_odds: f64,
}

impl Design {
    /// Lays out the rows of all sources, which have the same d > 0 columns.
    pub(super) fn new(
        sources: &[Source<'_>],
        params: &LogisticRegressionValidParams,
        context: &Context,
    ) -> Result<Self> {
        let d = sources
            .iter()
            .map(|source| source.rows.ncols())
            .max()
            .unwrap_or(0);
        let n: usize = sources.iter().map(|source| source.rows.nrows()).sum();
        check_size(n, d)?;
        let weights = class_weights(sources, params)?;
        let mut blocks = Vec::new();
        for source in sources {
            lay_out(source, weights, context, &mut blocks)?;
        }
        let (centers, units) = standardize(&mut blocks, d, n, context)?;
        let total = weights.total;
        let penalty = 1.0 / (params.c() * weights.largest * total);
        let penalties = units
            .iter()
            .map(|unit| (penalty / unit / unit).clamp(1e-280, 1e280))
            .collect();
        blocks.iter_mut().for_each(|block| block.weight /= total);
        Ok(Self {
            blocks,
            centers,
            units,
            penalties,
            log_odds: weights.log_odds.clamp(-30.0, 30.0),
        })
    }

    /// The problem over all rows.
    pub(super) fn problem(&self) -> Problem<'_> {
        Problem {
            blocks: self.blocks.iter().collect(),
            penalties: self.penalties.clone(),
        }
    }

    /// The problem over a part of the blocks, if that leaves enough rows of both classes. Its minimum is cheaper to find and
    /// close to that over all rows, because the rows of a class are ordered by their hashes and the part is as good as a random
    /// sample.
    pub(super) fn thinned(&self) -> Option<Problem<'_>> {
        let blocks: Vec<&Block> = self.blocks.iter().step_by(THINNING).collect();
        let enough = |anomaly: bool| {
            let of_class = blocks.iter().filter(|block| block.anomaly == anomaly);
            let n_rows: usize = of_class.map(|block| block.n_rows).sum();
            n_rows >= MIN_ROWS_PER_FEATURE * self.penalties.len()
        };
        if !(enough(false) && enough(true)) {
            return None;
        }
        let total: f64 = blocks
            .iter()
            .map(|block| block.weight * block.n_rows as f64)
            .sum();
        let penalties = self.penalties.iter().map(|penalty| penalty * total);
        Some(Problem {
            penalties: penalties.collect(),
            blocks,
        })
    }
}

/// The objective: the losses of rows and the penalties of coefficients.
pub(super) struct Problem<'a> {
    pub(super) blocks: Vec<&'a Block>,
    pub(super) penalties: Vec<f64>,
}

impl Problem<'_> {
    /// Runs `work` on parts of the blocks in parallel and returns the results in order. `work` also gets the index of the first
    /// block of its part.
    pub(super) fn in_parts<T: Send>(
        &self,
        work: impl Fn(usize, &[&Block]) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let part = self.blocks.len().div_ceil(MAX_PARTS).max(1);
        self.blocks
            .par_chunks(part)
            .enumerate()
            .map(|(i, blocks)| work(i * part, blocks))
            .collect()
    }
}

fn check_size(n: usize, d: usize) -> Result<()> {
    let bytes = (n.saturating_add(4 * LANES))
        .saturating_mul(d)
        .saturating_mul(8);
    if bytes > MAX_BYTES {
        let rows = MAX_BYTES / 8 / d.max(1);
        let message = format!(
            "{n} rows of {d} columns are more than a logistic_regression can learn at once; give at most {} rows, or fewer columns",
            rows.saturating_sub(4 * LANES)
        );
        return Err(Error::new(reason::UNUSABLE_ROWS, message));
    }
    Ok(())
}

/// The weights of the classes.
#[derive(Clone, Copy)]
struct Weights {
    /// The weights of a normal row and of an anomaly, in units of the largest.
    normal: f64,
    anomaly: f64,
    largest: f64,
    /// The sum over all rows, in units of the largest.
    total: f64,
    log_odds: f64,
}

fn class_weights(
    sources: &[Source<'_>],
    params: &LogisticRegressionValidParams,
) -> Result<Weights> {
    let (mut normal, mut anomaly) = (0.0, 0.0);
    for source in sources {
        let anomalies = source.labels.iter().filter(|&&label| label).count();
        normal += source.weights[0] * (source.labels.len() - anomalies) as f64;
        anomaly += source.weights[1] * anomalies as f64;
    }
    for (count, class) in [(normal, "normal rows"), (anomaly, "anomalies")] {
        if count == 0.0 {
            let message = format!(
                "there are no {class} among the labels; logistic_regression needs rows of both classes"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
    }
    let (weight_normal, weight_anomaly) = params.class_weight().weights(normal, anomaly);
    let largest = weight_normal.max(weight_anomaly);
    let (relative_normal, relative_anomaly) = (weight_normal / largest, weight_anomaly / largest);
    Ok(Weights {
        normal: relative_normal,
        anomaly: relative_anomaly,
        largest,
        total: relative_normal * normal + relative_anomaly * anomaly,
        log_odds: (relative_anomaly * anomaly).ln() - (relative_normal * normal).ln(),
    })
}

/// Copies the rows of a source into blocks, in an order that depends only on their contents.
fn lay_out(
    source: &Source<'_>,
    weights: Weights,
    context: &Context,
    blocks: &mut Vec<Block>,
) -> Result<()> {
    let &Source {
        rows,
        labels,
        weights: of_rows,
    } = source;
    let d = rows.ncols();
    let rows = rows.as_standard_layout();
    let all = rows.as_slice().unwrap_or_default();
    let most = (BLOCK_VALUES / d.max(1) / LANES * LANES).clamp(LANES, MAX_BLOCK_ROWS);
    let order = content_order(rows.view(), |i| labels[i], context)?;
    for (anomaly, class) in [(false, weights.normal), (true, weights.anomaly)] {
        let split = order.partition_point(|&i| !labels[i]);
        let (normal, anomalies) = order.split_at(split);
        let indices = if anomaly { anomalies } else { normal };
        let laid = indices.par_chunks(most).map(|indices| {
            context.check()?;
            let lanes = indices.len().next_multiple_of(LANES);
            let mut values = vec![0.0; d * lanes];
            for (group, indices) in indices.chunks(LANES).enumerate() {
                // lanes without a row read the first row and are not written
                let rows: [&[f64]; LANES] = std::array::from_fn(|k| {
                    let i = indices[if k < indices.len() { k } else { 0 }];
                    &all[i * d..(i + 1) * d]
                });
                for (j, slots) in values.chunks_exact_mut(lanes).enumerate() {
                    let slots = &mut slots[group * LANES..][..indices.len()];
                    for (slot, row) in slots.iter_mut().zip(rows) {
                        *slot = row[j].clamp(-MAX_VALUE, MAX_VALUE);
                    }
                }
            }
            Ok(Block {
                values,
                lanes,
                n_rows: indices.len(),
                weight: of_rows[usize::from(anomaly)] * class,
                anomaly,
            })
        });
        blocks.extend(laid.collect::<Result<Vec<_>>>()?);
    }
    Ok(())
}

/// Subtracts its mean from each feature and divides it by its unit. Returns means and units.
fn standardize(
    blocks: &mut [Block],
    d: usize,
    n: usize,
    context: &Context,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let part = blocks.len().div_ceil(MAX_PARTS).max(1);
    let share = 1.0 / n as f64;
    let sums = |term: &(dyn Fn(usize, &[f64]) -> f64 + Sync)| -> Result<Vec<f64>> {
        let parts = blocks.par_chunks(part).map(|blocks| {
            let mut sums = vec![0.0; d];
            for block in blocks {
                context.check()?;
                for (j, (values, sum)) in block
                    .values
                    .chunks_exact(block.lanes)
                    .zip(&mut sums)
                    .enumerate()
                {
                    *sum += term(j, &values[..block.n_rows]);
                }
            }
            Ok(sums)
        });
        let parts: Vec<Vec<f64>> = parts.collect::<Result<_>>()?;
        let mut sums = vec![0.0; d];
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        Ok(sums)
    };
    let first: Vec<f64> = match blocks.first() {
        Some(block) => block.values.iter().step_by(block.lanes).copied().collect(),
        None => Vec::new(),
    };
    // the mean of offsets from the first row is exact for a constant feature
    let offsets = sums(&|j, values| sum_of(values, |x| (x - first[j]) * share))?;
    let centers: Vec<f64> = first
        .iter()
        .zip(&offsets)
        .map(|(x, offset)| x + offset)
        .collect();
    let squares = sums(&|j, values| {
        sum_of(values, |x| {
            let deviation = x - centers[j];
            deviation * deviation * share
        })
    })?;
    let units: Vec<f64> = squares.iter().map(|square| unit(square.sqrt())).collect();
    blocks.par_iter_mut().try_for_each(|block| {
        context.check()?;
        for (values, (center, unit)) in block
            .values
            .chunks_exact_mut(block.lanes)
            .zip(centers.iter().zip(&units))
        {
            for x in &mut values[..block.n_rows] {
                *x = (*x - center) / unit;
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok((centers, units))
}

/// The sum of a term over values, in independent lanes.
#[inline(always)]
fn sum_of(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for group in groups {
        for (lane, &x) in lanes.iter_mut().zip(group) {
            *lane += term(x);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&x| term(x)).sum::<f64>()
}

/// The unit of a column with this standard deviation: a power of two near it; 1 if that is 0.
fn unit(std: f64) -> f64 {
    match std {
        0.0 => 1.0,
        _ => power_of_two(std.max(MIN_UNIT)),
    }
}
