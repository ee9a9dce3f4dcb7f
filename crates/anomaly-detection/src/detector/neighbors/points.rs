//! The rows that an index holds: every distinct row once, with the number of its copies.
//!
//! Equal rows are neighbours of each other at distance 0 and otherwise have the same neighbours. As one point, any number of them
//! costs no more than one row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::order::order;
use crate::context::Context;
use crate::error::Result;

/// The magnitude to which coordinates are clamped, so that no squared distance overflows.
const MAX_COORDINATE: f64 = 1e150;

/// The number of values between two checks of the context.
const VALUES_PER_CHECK: usize = 1 << 18;

/// Distinct points, in an order that keeps near points together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Points {
    n_features: usize,
    /// The coordinates, point after point.
    #[serde(with = "crate::le_bytes")]
    values: Vec<f64>,
    /// How many rows each point represents.
    #[serde(with = "crate::le_bytes")]
    copies: Vec<u32>,
}

impl Points {
    /// The points of the rows of all parts, in the order of leaves of `leaf` points, and for each row the position of its point.
    pub(super) fn learn(
        parts: &[ArrayView2<'_, f64>],
        leaf: usize,
        context: &Context,
    ) -> Result<(Self, Vec<u32>)> {
        let n_features = parts.first().map_or(0, ArrayView2::ncols);
        let n_rows = parts.iter().map(ArrayView2::nrows).sum();
        let mut rows = Vec::with_capacity(n_rows * n_features);
        let rows_per_check = VALUES_PER_CHECK.div_ceil(n_features + 1);
        for (index, row) in parts.iter().flat_map(ArrayView2::outer_iter).enumerate() {
            if index.is_multiple_of(rows_per_check) {
                context.check()?;
            }
            rows.extend(row.iter().map(|&x| coordinate(x)));
        }
        let mut number_of = HashMap::with_capacity(n_rows);
        let mut first = Vec::with_capacity(n_rows);
        let mut counts = Vec::<u32>::with_capacity(n_rows);
        let mut point_of_row = Vec::with_capacity(n_rows);
        for (index, row) in rows.chunks_exact(n_features).enumerate() {
            if index.is_multiple_of(rows_per_check) {
                context.check()?;
            }
            let number = match number_of.entry(Row(row)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(vacant) => {
                    vacant.insert(first.len() as u32);
                    first.push(index as u32);
                    counts.push(0);
                    first.len() as u32 - 1
                }
            };
            counts[number as usize] += 1;
            point_of_row.push(number);
        }
        let mut numbers: Vec<u32> = (0..first.len() as u32).collect();
        let row = |number: u32| {
            let start = first[number as usize] as usize * n_features;
            &rows[start..start + n_features]
        };
        order(&mut numbers, n_features, leaf, &row, context)?;
        let mut points = Self {
            n_features,
            values: Vec::with_capacity(numbers.len() * n_features),
            copies: Vec::with_capacity(numbers.len()),
        };
        let mut positions = vec![0; numbers.len()];
        for (position, &number) in numbers.iter().enumerate() {
            points.values.extend_from_slice(row(number));
            points.copies.push(counts[number as usize]);
            positions[number as usize] = position as u32;
        }
        for point in &mut point_of_row {
            *point = positions[*point as usize];
        }
        Ok((points, point_of_row))
    }

    /// Points as a stored index may hold them.
    #[cfg(test)]
    pub(super) fn of(n_features: usize, values: Vec<f64>, copies: Vec<u32>) -> Self {
        Self {
            n_features,
            values,
            copies,
        }
    }

    /// The number of coordinates of each point.
    pub(super) fn n_features(&self) -> usize {
        self.n_features
    }

    /// The number of distinct points.
    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    /// The number of rows that the points stand for.
    pub(super) fn n_rows(&self) -> usize {
        self.copies.iter().map(|&copies| copies as usize).sum()
    }

    /// How many rows each point represents.
    pub(super) fn copies(&self) -> &[u32] {
        &self.copies
    }

    /// The coordinates of all points, point after point.
    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The coordinates of a point.
    #[inline(always)]
    pub(super) fn point(&self, position: usize) -> &[f64] {
        &self.values[position * self.n_features..(position + 1) * self.n_features]
    }

    /// What is wrong with stored points, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.n_features == 0
            || self.copies.is_empty()
            || self.n_features.checked_mul(self.copies.len()) != Some(self.values.len())
        {
            return Some("its points do not have a value for each feature");
        }
        if self.copies.contains(&0) {
            return Some("a point stands for no row");
        }
        if !(2..=u32::MAX as usize).contains(&self.n_rows()) {
            return Some("it has fewer than 2 rows, or too many");
        }
        if !self.values.iter().all(|x| x.abs() <= MAX_COORDINATE) {
            return Some("a point is out of range");
        }
        None
    }

    /// The bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        8 * self.values.len() + 4 * self.copies.len()
    }
}

/// A value as a coordinate: clamped to [`MAX_COORDINATE`], and 0 instead of -0, because rows are compared by their bits.
pub(super) fn coordinate(x: f64) -> f64 {
    x.clamp(-MAX_COORDINATE, MAX_COORDINATE) + 0.0
}

/// A row of coordinates as a hash key.
#[derive(PartialEq)]
struct Row<'a>(&'a [f64]);

impl Eq for Row<'_> {}

impl Hash for Row<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for x in self.0 {
            state.write_u64(x.to_bits());
        }
    }
}
