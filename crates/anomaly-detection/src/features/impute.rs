//! Imputation of missing values, which are NaN or infinite: by default with the training median of their feature.

use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::category_counts::CategoryCounts;
use super::schema::Schema;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result, reason};

/// How missing numbers are imputed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Imputation {
    /// By the median of the training rows.
    #[default]
    Median,
    /// By zero.
    Zero,
}

/// The value that is imputed for a missing one, for each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imputer {
    #[serde(with = "crate::le_bytes")]
    fill: Vec<f64>,
}

/// The values of a row that an imputer is learned for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Imputed<'a> {
    /// Their names.
    pub(crate) names: &'a [String],
    /// How many of them are features; those after are engineered features.
    pub(crate) n_features: usize,
    /// Whether an engineered feature may have no value in any row; 0 is imputed for it then.
    pub(crate) may_lack_engineered: bool,
    /// The texts of the categorical ones.
    pub(crate) vocabulary: &'a Vocabulary,
    /// How numbers are imputed.
    pub(crate) imputation: Imputation,
}

impl Imputer {
    /// Learns what to impute. `medians` are those of the finite values of each feature and engineered feature, `None` if there
    /// are none. For a categorical feature, the most frequent category is imputed, the first of several.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`], naming the feature, when one that must have a value has none.
    pub(crate) fn learn(
        medians: &[Option<f64>],
        counts: &CategoryCounts,
        imputed: Imputed<'_>,
    ) -> Result<Self> {
        let fill = medians.iter().enumerate().map(|(index, &median)| {
            let value = match (imputed.vocabulary.of(index), imputed.imputation) {
                (Some(_), _) => counts.most_frequent(index),
                (None, Imputation::Median) => median,
                (None, Imputation::Zero) => median.map(|_| 0.0),
            };
            let is_engineered = index >= imputed.n_features;
            match value {
                Some(value) => Ok(value),
                None if is_engineered && imputed.may_lack_engineered => Ok(0.0),
                None => Err(no_value(&imputed.names[index], is_engineered)),
            }
        });
        Ok(Self {
            fill: fill.collect::<Result<_>>()?,
        })
    }

    /// An imputer with given values.
    pub fn with_values(fill: Vec<f64>) -> Self {
        Self { fill }
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.fill.len()
    }

    /// The value that is imputed for each feature.
    pub fn values(&self) -> &[f64] {
        &self.fill
    }

    /// Whether a stored imputer fits `n` features.
    pub(super) fn is_valid(&self, n: usize) -> bool {
        self.fill.len() == n && self.fill.iter().all(|value| value.is_finite())
    }

    /// Imputes missing values. Borrows the rows if none is missing.
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

fn no_value(name: &str, is_engineered: bool) -> Error {
    let message = match is_engineered {
        false => format!("feature {name:?} has no finite value in any row; leave it out"),
        true => format!(
            "no row has a value of the engineered feature {name:?}: every series has too few rows with a value; give more rows, \
             or shorten the lags and rolling_windows of feature_engineering"
        ),
    };
    Error::new(reason::UNUSABLE_ROWS, message).at("records")
}

/// How many rows a thread counts at a time.
const COUNTED_ROWS: usize = 4096;

/// How many values were missing or infinite, and in which features.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many values were NaN.
    pub n_missing: u64,
    /// How many values were infinite.
    pub n_infinite: u64,
    /// For each feature, whether any value was missing or infinite. Empty if none was in any feature.
    pub features: Vec<bool>,
}

impl Gaps {
    /// Counts the gaps of a table, n x d.
    pub fn count(rows: &Array2<f64>) -> Self {
        if rows.nrows() <= COUNTED_ROWS {
            return Self::of_chunk(rows.view());
        }
        rows.axis_chunks_iter(Axis(0), COUNTED_ROWS)
            .into_par_iter()
            .map(Self::of_chunk)
            .reduce(Self::default, |mut gaps, more| {
                gaps.merge(&more);
                gaps
            })
    }

    fn of_chunk(rows: ArrayView2<'_, f64>) -> Self {
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

    /// The same gaps with the features in the order shown instead of that in which a detector sees them.
    #[must_use]
    pub fn shown(self, schema: &Schema) -> Self {
        Self {
            features: match self.features.is_empty() {
                true => Vec::new(),
                false => schema.restore_order(&self.features),
            },
            ..self
        }
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
