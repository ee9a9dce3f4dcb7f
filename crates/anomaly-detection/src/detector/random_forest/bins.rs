//! The training rows with each value replaced by its bin: at most 256 bins per feature.

use std::ops::Range;

use ndarray::s;
use rayon::prelude::*;

use super::cuts::{Cuts, MAX_CUTS, encode};
use super::rows::Rows;
use crate::context::Context;
use crate::error::Result;

/// The most thresholds between the bins of a feature.
const MAX_BIN_CUTS: usize = 255;

/// The most rows of each class that thresholds are learned from.
const MAX_SORTED: usize = 1 << 17;

/// How many columns are gathered in one pass over the rows: as many as share a cache line.
const GROUP: usize = 8;

/// How many rows are processed between two checks of the context.
const CHUNK: usize = 1 << 16;

/// The most values of a group of columns.
const MAX_GROUP_VALUES: usize = 1 << 23;

/// The bins of all rows.
#[derive(Debug)]
pub(super) struct Bins {
    /// The thresholds between the bins, for each feature that is not constant.
    pub(super) cuts: Cuts,
    /// For each slot of the thresholds, the bin of each row.
    pub(super) codes: Vec<Vec<u8>>,
}

impl Bins {
    /// Learns thresholds and finds the bin of each value. If `model` already has nearly as many thresholds of a feature as it can
    /// hold, the feature's are chosen from these.
    pub(super) fn learn(rows: &Rows<'_>, model: &Cuts, context: &Context) -> Result<Self> {
        let n = rows.n_rows();
        let d = rows.n_features();
        let group = (MAX_GROUP_VALUES / n.max(1)).clamp(1, GROUP);
        let binned: Vec<Vec<BinnedFeature>> = (0..d.div_ceil(group))
            .into_par_iter()
            .map(|index| {
                let first = index * group;
                let features = first..(first + group).min(d);
                let columns = gather(rows, features.clone(), context)?;
                features
                    .zip(columns)
                    .map(|(feature, column)| {
                        context.check()?;
                        let known = model.of_feature(feature as u32);
                        BinnedFeature::learn(feature as u32, &column, &rows.labels, known, context)
                    })
                    .filter(|column| !matches!(column, Ok(column) if column.cuts.is_empty()))
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<_>>()?;
        let mut bins = Self {
            cuts: Cuts::default(),
            codes: Vec::with_capacity(d),
        };
        for column in binned.into_iter().flatten() {
            bins.cuts.push(column.feature, &column.cuts);
            bins.codes.push(column.codes);
        }
        Ok(bins)
    }
}

/// The values of some features, column by column.
fn gather(rows: &Rows<'_>, features: Range<usize>, context: &Context) -> Result<Vec<Vec<f64>>> {
    let mut columns = vec![Vec::with_capacity(rows.n_rows()); features.len()];
    for part in [rows.past, rows.sample] {
        for start in (0..part.nrows()).step_by(CHUNK) {
            context.check()?;
            let end = (start + CHUNK).min(part.nrows());
            let chunk = part.slice(s![start..end, features.clone()]);
            for row in chunk.outer_iter() {
                for (column, &x) in columns.iter_mut().zip(row) {
                    // adding 0 turns -0 into 0
                    column.push(x + 0.0);
                }
            }
        }
    }
    Ok(columns)
}

/// One feature, binned.
struct BinnedFeature {
    feature: u32,
    cuts: Vec<f64>,
    codes: Vec<u8>,
}

impl BinnedFeature {
    fn learn(
        feature: u32,
        column: &[f64],
        labels: &[bool],
        known: &[f64],
        context: &Context,
    ) -> Result<Self> {
        let cuts = if known.len() + MAX_BIN_CUTS > MAX_CUTS {
            let step = known.len().div_ceil(MAX_BIN_CUTS);
            known.iter().step_by(step).copied().collect()
        } else {
            learn_cuts(column, labels)
        };
        let mut codes = Vec::new();
        if !cuts.is_empty() {
            codes.reserve_exact(column.len());
            for part in column.chunks(CHUNK) {
                context.check()?;
                encode(&cuts, part.iter().copied(), |code| codes.push(code as u8));
            }
        }
        Ok(Self {
            feature,
            cuts,
            codes,
        })
    }
}

/// A value and the share of rows that have it, where each class counts for half.
#[derive(Debug, Clone, Copy)]
struct Run {
    value: f64,
    mass: f64,
}

/// Thresholds between all values if these are few, and otherwise between quantiles of equal shares. Each class counts for half,
/// because anomalies are rare and only thresholds near them matter.
fn learn_cuts(column: &[f64], labels: &[bool]) -> Vec<f64> {
    let first = column.first().copied().unwrap_or(0.0);
    if column.iter().all(|&x| x == first) {
        return Vec::new();
    }
    let runs = merge([false, true].map(|class| sorted(column, labels, class)));
    let mut cuts = Vec::with_capacity(MAX_BIN_CUTS);
    let mut left: f64 = runs.iter().map(|run| run.mass).sum();
    let mut mass = 0.0;
    for (index, pair) in runs.windows(2).enumerate() {
        mass += pair[0].mass;
        let n_open = MAX_BIN_CUTS - cuts.len();
        if n_open == 0 {
            break;
        }
        // a threshold in every gap if there are enough left, or else when the bin holds its share of the rest
        let share = left / (n_open + 1) as f64;
        let is_few = runs.len() - 1 - index <= n_open;
        if is_few || mass >= share || mass + pair[1].mass - share > share - mass {
            cuts.push(between(pair[0].value, pair[1].value));
            left -= mass;
            mass = 0.0;
        }
    }
    cuts
}

/// The values of one class in order, at most [`MAX_SORTED`] of them.
fn sorted(column: &[f64], labels: &[bool], class: bool) -> Vec<f64> {
    let of_class = || {
        column
            .iter()
            .zip(labels)
            .filter(|&(_, &label)| label == class)
    };
    let n = labels.iter().filter(|&&label| label == class).count();
    let step = n.div_ceil(MAX_SORTED).max(1);
    let mut values: Vec<f64> = of_class().step_by(step).map(|(&x, _)| x).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The distinct values of both classes in order.
fn merge([normal, anomalous]: [Vec<f64>; 2]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let share = |values: &[f64]| 0.5 / values.len().max(1) as f64;
    let shares = [share(&normal), share(&anomalous)];
    let (mut i, mut j) = (0, 0);
    loop {
        let is_normal = match (normal.get(i), anomalous.get(j)) {
            (Some(a), Some(b)) => a <= b,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return runs,
        };
        let (value, mass) = if is_normal {
            i += 1;
            (normal[i - 1], shares[0])
        } else {
            j += 1;
            (anomalous[j - 1], shares[1])
        };
        match runs.last_mut() {
            Some(run) if run.value == value => run.mass += mass,
            _ => runs.push(Run { value, mass }),
        }
    }
}

/// The middle between two values `a < b`: at least `a` and below `b`.
pub(super) fn between(a: f64, b: f64) -> f64 {
    let middle = 0.5 * a + 0.5 * b;
    if a <= middle && middle < b { middle } else { a }
}
