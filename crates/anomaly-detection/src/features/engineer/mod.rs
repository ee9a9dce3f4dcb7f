//! Feature engineering for time series: lags, rolling statistics and differences of columns within a series, and the place of a
//! row's time in the day, the week and the year.
//!
//! An [`Engineer`] is the plan, [`Histories`] are the remembered values of each series, and a [`Builder`] computes the features
//! of single rows, of a stream in chunks of any size, or of a whole table. The features of a row depend only on the row and the
//! values before it in its series, so that all three ways give the same bits.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};
use layout::Layout;

mod batch;
mod builder;
mod calendar;
mod histories;
mod layout;
mod moments;
mod order;
mod params;
mod recency;
mod rows;
mod series;

pub use builder::Builder;
pub use histories::Histories;
pub(crate) use order::training_order;
pub use params::{EngineeringParams, TimeFeatures};
pub use rows::{Rows, SeriesOfRows};

/// The most series that are remembered.
const MAX_SERIES: usize = 100_000;

/// The most values that are remembered for all series together: 128 MiB.
const MAX_REMEMBERED: usize = 1 << 24;

/// The most values that are remembered for one series.
const MAX_REMEMBERED_OF_SERIES: usize = 1 << 18;

/// The most engineered features.
const MAX_FEATURES: usize = 4096;

/// The fitted plan of feature engineering: which features are engineered from which columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engineer {
    params: EngineeringParams,
    columns: Vec<String>,
    has_time: bool,
}

impl Engineer {
    /// The plan for columns with these names. If rows have no time, there are no time features.
    ///
    /// # Errors
    /// [`reason::INVALID_PARAMETER`] when a parameter is out of range, when a column is named twice, or when there would be too
    /// many features or too many values to remember for each series.
    pub fn new(params: EngineeringParams, columns: Vec<String>, has_time: bool) -> Result<Self> {
        let engineer = Self {
            params,
            columns,
            has_time,
        };
        engineer.check()?;
        Ok(engineer)
    }

    fn check(&self) -> Result<()> {
        self.params.check()?;
        let mut seen = HashSet::with_capacity(self.columns.len());
        if let Some(column) = self.columns.iter().find(|&column| !seen.insert(column)) {
            let column = crate::table::shortened(column);
            return Err(Error::new(
                reason::INVALID_PARAMETER,
                format!("the column {column} is listed twice; list each column once"),
            ));
        }
        let layout = self.layout();
        if layout.width() > MAX_FEATURES {
            let message = format!(
                "{} features would be engineered; at most {MAX_FEATURES} are allowed; name fewer columns, lags or windows",
                layout.width()
            );
            return Err(Error::new(reason::INVALID_PARAMETER, message));
        }
        let remembered = layout.remembered();
        if remembered > MAX_REMEMBERED_OF_SERIES {
            let message = format!(
                "{remembered} values would be remembered for each series, {} rows of {} columns, and at most \
                 {MAX_REMEMBERED_OF_SERIES} are allowed; shorten the longest lag or window, or name fewer columns",
                layout.depth(),
                self.columns.len()
            );
            return Err(Error::new(reason::INVALID_PARAMETER, message));
        }
        Ok(())
    }

    /// Checks the plan of a stored model.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when [`new`](Self::new) would refuse it.
    pub fn validate(&self) -> Result<()> {
        self.check().map_err(|error| {
            let message = "the feature engineering of the stored model contradicts itself";
            Error::new(reason::DAMAGED_ARTIFACT, message).because(error)
        })
    }

    /// The parameters.
    pub fn params(&self) -> &EngineeringParams {
        &self.params
    }

    /// The source columns, not counting the time.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether rows have a time.
    pub fn has_time(&self) -> bool {
        self.has_time
    }

    /// The number of engineered features.
    pub fn n_features(&self) -> usize {
        self.layout().width()
    }

    /// The names of the engineered features in order: for each column `_lag_k`, then for each window `_rolling_mean_w`,
    /// `_rolling_std_w` and `_rolling_z_score_w`, then `_difference_1`; after all columns `hour_sin`, `hour_cos`,
    /// `day_of_week_sin`, `day_of_week_cos`, `month_sin` and `month_cos`.
    pub fn names(&self) -> Vec<String> {
        let params = &self.params;
        let mut names = Vec::new();
        for column in &self.columns {
            names.extend(params.lags.iter().map(|lag| format!("{column}_lag_{lag}")));
            for window in &params.rolling_windows {
                let statistics = [
                    (params.rolling_mean, "mean"),
                    (params.rolling_std, "std"),
                    (params.rolling_z_score, "z_score"),
                ];
                for (_, statistic) in statistics.iter().filter(|(asked, _)| *asked) {
                    names.push(format!("{column}_rolling_{statistic}_{window}"));
                }
            }
            if params.difference {
                names.push(format!("{column}_difference_1"));
            }
        }
        for cycle in calendar::Cycle::of(self) {
            names.push(format!("{}_sin", cycle.name()));
            names.push(format!("{}_cos", cycle.name()));
        }
        names
    }

    /// How many rows of a series are remembered: the longest lag or window.
    pub fn depth(&self) -> usize {
        self.layout().depth()
    }

    /// The most series that are remembered: 100,000, and fewer if many values are remembered for each. Beyond that, the series
    /// whose last row came longest ago is forgotten.
    pub fn max_series(&self) -> usize {
        MAX_SERIES.min(MAX_REMEMBERED / self.layout().remembered().max(1))
    }

    fn layout(&self) -> Layout {
        Layout::new(self)
    }
}

#[cfg(test)]
mod tests;
