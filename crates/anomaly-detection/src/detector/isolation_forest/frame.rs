//! The scaled coordinates in which a forest compares values: single precision, centred and scaled per feature.
//!
//! Values are centred in double precision, so that 1e9 and 1e9 + 1 stay distinct. Scales are powers of two, so that scaling is
//! exact, and follow the spread of the bulk, so that no unit leaves the range of `f32`.

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::BLOCK;
use super::population::Population;
use crate::le_bytes;
use crate::statistics::power_of_two::power_of_two;

/// How many rows of each part of the population the frame is fitted to.
const N_ROWS: usize = 256;

/// The centre of each feature and the reciprocal of its scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    #[serde(with = "le_bytes")]
    centre: Vec<f64>,
    #[serde(with = "le_bytes")]
    inverse_scale: Vec<f64>,
}

impl Frame {
    /// Fits the medians and median absolute deviations of evenly spaced rows.
    pub(super) fn learn(population: &Population<'_>) -> Self {
        let n_features = population.n_features();
        let mut values = Vec::with_capacity(2 * N_ROWS);
        let (centre, inverse_scale) = (0..n_features)
            .map(|feature| {
                values.clear();
                for part in population.parts() {
                    values.extend(spaced_rows(part.nrows()).map(|row| part.row(row)[feature]));
                }
                let centre = median(&mut values).unwrap_or(0.0);
                values.iter_mut().for_each(|x| *x = (*x - centre).abs());
                values.retain(|&deviation| deviation > 0.0);
                (centre, median(&mut values).map_or(1.0, reciprocal_power))
            })
            .unzip();
        Self {
            centre,
            inverse_scale,
        }
    }

    pub(super) fn n_features(&self) -> usize {
        self.centre.len()
    }

    /// Scales a value. Finite values stay finite: values out of range saturate.
    #[inline]
    pub(super) fn value(&self, feature: usize, x: f64) -> f32 {
        to_f32(x, self.centre[feature], self.inverse_scale[feature])
    }

    /// Scales one row.
    pub(super) fn row(&self, row: ArrayView1<'_, f64>, out: &mut [f32]) {
        for (((out, &x), &centre), &inverse) in out
            .iter_mut()
            .zip(row)
            .zip(&self.centre)
            .zip(&self.inverse_scale)
        {
            *out = to_f32(x, centre, inverse);
        }
    }

    /// Scales up to [`BLOCK`] rows, feature by feature: `out[feature * BLOCK + row]`.
    pub(super) fn block(&self, rows: ArrayView2<'_, f64>, out: &mut [f32]) {
        for (r, row) in rows.outer_iter().enumerate() {
            for (((out, &x), &centre), &inverse) in out
                .chunks_exact_mut(BLOCK)
                .zip(row)
                .zip(&self.centre)
                .zip(&self.inverse_scale)
            {
                out[r] = to_f32(x, centre, inverse);
            }
        }
    }

    /// What is wrong with a deserialised frame, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.centre.is_empty() || self.centre.len() != self.inverse_scale.len() {
            return Some("the frame does not have one centre and one scale for each feature");
        }
        if !self.centre.iter().all(|x| x.is_finite()) {
            return Some("a centre is not finite");
        }
        if !self.inverse_scale.iter().all(|x| x.is_normal() && *x > 0.0) {
            return Some("a scale is not a normal number above 0");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        2 * size_of::<f64>() * self.centre.len()
    }
}

/// The indices of the rows, of `n`, that the frame is fitted to.
pub(super) fn spaced_rows(n: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(n.div_ceil(N_ROWS).max(1))
}

#[inline]
fn to_f32(x: f64, centre: f64, inverse_scale: f64) -> f32 {
    const LARGEST: f64 = f32::MAX as f64;
    ((x - centre) * inverse_scale).clamp(-LARGEST, LARGEST) as f32
}

/// The lower median.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// The reciprocal of the power of two at or just below a number above 0, kept normal.
fn reciprocal_power(x: f64) -> f64 {
    const LARGEST: f64 = f64::from_bits(2045 << 52);
    1.0 / power_of_two(x).clamp(f64::MIN_POSITIVE, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_reciprocal_and_normal() {
        for (x, reciprocal) in [(1.0, 1.0), (1.9, 1.0), (2.0, 0.5), (0.3, 4.0)] {
            assert_eq!(reciprocal_power(x), reciprocal, "{x}");
        }
        for x in [f64::MAX, f64::INFINITY, f64::MIN_POSITIVE, 5e-324] {
            assert!(reciprocal_power(x).is_normal(), "{x}");
        }
    }

    #[test]
    fn the_lower_median_is_a_value() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&mut []), None);
    }
}
