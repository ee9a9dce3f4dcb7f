//! The order of points in an index, which is that of the leaves of a kd-tree (Bentley, "Multidimensional binary search trees
//! used for associative searching", 1975; Friedman, Bentley and Finkel, "An algorithm for finding best matches in logarithmic
//! expected time", 1977).
//!
//! A node is split on the feature with the largest variance. The number of full leaves of the left child is the largest power of
//! two below the node's number of leaves, so that every aligned run of 2^h leaves is a node and no tree needs to be stored. The
//! order depends only on the set of points.

use std::cmp::Ordering;

use crate::context::Context;
use crate::detector::row_order::lexicographic;
use crate::error::Result;

/// The children of nodes with more points than this are split in parallel.
const PARALLEL: usize = 4096;

/// The number of points between two checks of the context.
const POINTS_PER_CHECK: usize = 256;

/// The number of steps to which a coordinate is rounded for the variance.
const LEVELS: f64 = 65_535.0;

/// Sorts distinct points into the order of the leaves.
pub(super) fn order<'a>(
    points: &mut [u32],
    n_features: usize,
    leaf: usize,
    row: &(impl Fn(u32) -> &'a [f64] + Sync),
    context: &Context,
) -> Result<()> {
    if points.len() <= leaf {
        points.sort_unstable_by(|&a, &b| compare(row(a), row(b)));
        return Ok(());
    }
    let feature = widest(points, n_features, row, context)?;
    let n_leaves = points.len().div_ceil(leaf);
    let n_left = leaf << (n_leaves - 1).ilog2();
    let mut keys: Vec<(f64, u32)> = points.iter().map(|&p| (row(p)[feature], p)).collect();
    keys.select_nth_unstable_by(n_left, |a, b| {
        a.0.total_cmp(&b.0)
            .then_with(|| compare(row(a.1), row(b.1)))
    });
    for (point, key) in points.iter_mut().zip(&keys) {
        *point = key.1;
    }
    let is_large = keys.len() > PARALLEL;
    drop(keys);
    let (left, right) = points.split_at_mut(n_left);
    if is_large {
        let (left, right) = rayon::join(
            || order(left, n_features, leaf, row, context),
            || order(right, n_features, leaf, row, context),
        );
        return left.and(right);
    }
    order(left, n_features, leaf, row, context)?;
    order(right, n_features, leaf, row, context)
}

fn compare(a: &[f64], b: &[f64]) -> Ordering {
    lexicographic(a.iter().copied(), b.iter().copied())
}

/// The feature with the largest variance, the first of several. Coordinates are rounded to integers, whose sums are exact; sums
/// of doubles would depend on the order of the points.
fn widest<'a>(
    points: &[u32],
    n_features: usize,
    row: &impl Fn(u32) -> &'a [f64],
    context: &Context,
) -> Result<usize> {
    let mut low = vec![f64::INFINITY; n_features];
    let mut high = vec![f64::NEG_INFINITY; n_features];
    for (i, &point) in points.iter().enumerate() {
        if i.is_multiple_of(POINTS_PER_CHECK) {
            context.check()?;
        }
        for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(row(point)) {
            *low = if x < *low { x } else { *low };
            *high = if x > *high { x } else { *high };
        }
    }
    let mut scale = high;
    for (scale, low) in scale.iter_mut().zip(&low) {
        *scale = LEVELS / (*scale - low);
    }
    let mut sums = vec![(0_u64, 0_u64); n_features];
    for (i, &point) in points.iter().enumerate() {
        if i.is_multiple_of(POINTS_PER_CHECK) {
            context.check()?;
        }
        let columns = low.iter().zip(&scale).zip(row(point));
        for ((sum, squares), ((low, scale), x)) in sums.iter_mut().zip(columns) {
            // 0 where the feature is constant
            let level = u64::from(((x - low) * scale) as u32);
            *sum += level;
            *squares += level * level;
        }
    }
    let n = points.len() as u128;
    let mut widest = (0, f64::NEG_INFINITY);
    for (feature, (&(sum, squares), &scale)) in sums.iter().zip(&scale).enumerate() {
        let spread = n * u128::from(squares) - u128::from(sum) * u128::from(sum);
        let variance = (spread as f64).sqrt() / scale;
        if variance > widest.1 {
            widest = (feature, variance);
        }
    }
    Ok(widest.0)
}
