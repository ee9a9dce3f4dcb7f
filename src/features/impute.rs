//! Missing values: NaN or infinite ones, for which the training median of their feature stands in.

use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Reason, Result};
use crate::statistics::quantile::median;

/// The value that stands in for a missing one, feature by feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imputer {
    #[serde(with = "crate::le_bytes")]
    fill: Vec<f64>,
}

impl Imputer {
    /// Learns the median of each feature's finite values. `rows` is n x d, with NaN where a value is missing.
    ///
    /// Fails, naming the feature, when a feature has no value at all.
    pub fn learn(rows: ArrayView2<'_, f64>, names: &[String]) -> Result<Self> {
        let fill = (0..rows.ncols())
            .into_par_iter()
            .map(|feature| {
                let mut present: Vec<f64> = rows
                    .column(feature)
                    .iter()
                    .copied()
                    .filter(|v| v.is_finite())
                    .collect();
                median(&mut present).ok_or_else(|| {
                    Error::new(
                        Reason::UnusableRows,
                        format!(
                            "feature {:?} has no finite value in any row; leave it out",
                            names[feature]
                        ),
                    )
                    .at("records")
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { fill })
    }

    /// An imputer with given values.
    pub fn with_values(fill: Vec<f64>) -> Self {
        Self { fill }
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.fill.len()
    }

    /// The values that stand in for missing ones, feature by feature.
    pub fn values(&self) -> &[f64] {
        &self.fill
    }

    /// Whether a stored imputer can be used for `n` features.
    pub(super) fn is_valid(&self, n: usize) -> bool {
        self.fill.len() == n && self.fill.iter().all(|value| value.is_finite())
    }

    /// Fills what is missing. Borrows the rows when nothing is.
    pub fn impute<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        if rows.iter().all(|value| value.is_finite()) {
            return CowArray::from(rows);
        }
        let mut filled = rows.to_owned();
        for mut row in filled.rows_mut() {
            for (value, &fill) in row.iter_mut().zip(&self.fill) {
                if !value.is_finite() {
                    *value = fill;
                }
            }
        }
        CowArray::from(filled)
    }
}

/// How many values were missing or infinite, and in which features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many values were NaN.
    pub n_missing: u64,
    /// How many values were infinite.
    pub n_infinite: u64,
    /// For each feature, whether any value was either. Empty when none was.
    pub features: Vec<bool>,
}

impl Gaps {
    /// Counts the gaps of a table, n x d.
    pub fn count(rows: &Array2<f64>) -> Self {
        let mut gaps = Self::default();
        if rows.iter().all(|value| value.is_finite()) {
            return gaps;
        }
        gaps.features = vec![false; rows.ncols()];
        for row in rows.axis_iter(Axis(0)) {
            for (feature, value) in row
                .iter()
                .enumerate()
                .filter(|(_, value)| !value.is_finite())
            {
                gaps.features[feature] = true;
                if value.is_nan() {
                    gaps.n_missing += 1;
                } else {
                    gaps.n_infinite += 1;
                }
            }
        }
        gaps
    }

    /// Adds the gaps of more rows of the same schema.
    pub fn merge(&mut self, other: &Self) {
        self.n_missing += other.n_missing;
        self.n_infinite += other.n_infinite;
        if self.features.is_empty() {
            self.features.clone_from(&other.features);
        } else {
            for (mine, &theirs) in self.features.iter_mut().zip(&other.features) {
                *mine |= theirs;
            }
        }
    }

    /// Whether any value was missing or infinite.
    pub fn any(&self) -> bool {
        self.n_missing + self.n_infinite > 0
    }
}
