//! Statistics of columns that a model does not know.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::statistics::moments::FeatureMoments;
use crate::table::{ColumnView, MISSING_TIME, Table};

/// Statistics of a column that a model does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnknownFeature {
    /// How many rows had the column.
    pub n_rows: u64,
    /// How many of them had no value in it.
    pub n_missing: u64,
    /// The moments of the finite numbers; `None` if there are none or the moments overflow.
    pub moments: Option<FeatureMoments>,
}

impl UnknownFeature {
    /// The statistics of a column of a table.
    pub(super) fn of(table: &Table, column: usize) -> Self {
        let (n_missing, moments) = match table.column(column) {
            ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers) => {
                let finite: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
                let finite = Array2::from_shape_vec((finite.len(), 1), finite).ok();
                // moments that overflow cannot be shown
                let moments = finite
                    .filter(|values| !values.is_empty())
                    .and_then(|values| FeatureMoments::of(values.view()).ok());
                (numbers.iter().filter(|x| x.is_nan()).count(), moments)
            }
            ColumnView::Texts(texts) => (texts.n_missing(), None),
            ColumnView::Times(times) => (
                times.iter().filter(|&&time| time == MISSING_TIME).count(),
                None,
            ),
        };
        Self {
            n_rows: table.n_rows() as u64,
            n_missing: n_missing as u64,
            moments,
        }
    }

    /// Adds the statistics of the same column in other rows.
    pub fn merge(&mut self, other: &Self) {
        self.n_rows = self.n_rows.saturating_add(other.n_rows);
        self.n_missing = self.n_missing.saturating_add(other.n_missing);
        match (&mut self.moments, &other.moments) {
            (Some(mine), Some(theirs)) => {
                if mine.merge(theirs).is_err() {
                    self.moments = None;
                }
            }
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
    }

    /// Checks statistics that were read from a store.
    pub fn validate(&self) -> Result<()> {
        match &self.moments {
            Some(moments) => moments.validate(),
            None => Ok(()),
        }
    }
}
