//! The parameters of feature engineering and their check.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The longest lag and the longest window, in rows.
const MAX_ROWS: u32 = 10_000;

/// The most lags.
const MAX_LAGS: usize = 64;

/// The most windows.
const MAX_WINDOWS: usize = 16;

/// Which features are engineered from each column and from the time of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineeringParams {
    /// Lags in rows: for each lag, a row gets the value of the row so many before it in its series. At most 64, each from 1 to
    /// 10,000, no duplicates. Default 1, 2, 3, 7.
    pub lags: Vec<u32>,
    /// The lengths of the windows of the rolling statistics, in rows before the row itself. At most 16, each from 1 (2 with a
    /// standard deviation or a z-score) to 10,000, no duplicates. Default 7 and 24: a week of daily rows and a day of hourly
    /// ones, and otherwise a shorter and a longer memory.
    pub rolling_windows: Vec<u32>,
    /// The mean of each window. Default true.
    pub rolling_mean: bool,
    /// The standard deviation of each window, with the divisor n - 1. Default true.
    pub rolling_std: bool,
    /// The z-score of the row's own value by the mean and standard deviation of each window. Default true.
    pub rolling_z_score: bool,
    /// The difference between the row's value and that of the row before. Default true.
    pub difference: bool,
    /// The features of the time of a row, if rows have one.
    pub time_features: TimeFeatures,
}

/// The features of the time of a row, in UTC: the sine and the cosine of its place in each of these cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFeatures {
    /// The fractional hour of the day, of 24. Default true.
    pub hour: bool,
    /// The day of the week, Monday 0 to Sunday 6, of 7. Default true.
    pub day_of_week: bool,
    /// The month, January 0 to December 11, of 12. Default true.
    pub month: bool,
}

impl Default for EngineeringParams {
    fn default() -> Self {
        Self {
            lags: vec![1, 2, 3, 7],
            rolling_windows: vec![7, 24],
            rolling_mean: true,
            rolling_std: true,
            rolling_z_score: true,
            difference: true,
            time_features: TimeFeatures::default(),
        }
    }
}

impl Default for TimeFeatures {
    fn default() -> Self {
        Self {
            hour: true,
            day_of_week: true,
            month: true,
        }
    }
}

impl EngineeringParams {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`reason::INVALID_PARAMETER`] at `lags`, `rolling_windows` or one of their members when there are too many, one is out of
    /// range or one is given twice.
    pub fn check(&self) -> Result<()> {
        check_rows("lags", &self.lags, 1, MAX_LAGS)?;
        let least = if self.rolling_std || self.rolling_z_score {
            2
        } else {
            1
        };
        check_rows("rolling_windows", &self.rolling_windows, least, MAX_WINDOWS)
    }
}

fn check_rows(name: &str, rows: &[u32], least: u32, most: usize) -> Result<()> {
    let refused = |field: String, message: String| {
        Err(Error::new(reason::INVALID_PARAMETER, message).at(field))
    };
    if rows.len() > most {
        let message = format!(
            "{name} has {} members; at most {most} are allowed",
            rows.len()
        );
        return refused(name.to_owned(), message);
    }
    let mut seen = HashSet::new();
    for (index, &given) in rows.iter().enumerate() {
        let field = format!("{name}[{index}]");
        if !(least..=MAX_ROWS).contains(&given) {
            let message = format!("{field} is {given}; it must be from {least} to {MAX_ROWS}");
            return refused(field, message);
        }
        if !seen.insert(given) {
            let message = format!("{name} holds {given} twice; give each once");
            return refused(field, message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(change: impl FnOnce(&mut EngineeringParams)) -> Option<String> {
        let mut params = EngineeringParams::default();
        change(&mut params);
        let error = params.check().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        error.field_path().map(str::to_owned)
    }

    #[test]
    fn parameters_out_of_range_are_refused_at_their_field() {
        assert!(EngineeringParams::default().check().is_ok());
        assert_eq!(field_of(|p| p.lags[1] = 0).as_deref(), Some("lags[1]"));
        assert_eq!(field_of(|p| p.lags[2] = 10_001).as_deref(), Some("lags[2]"));
        assert_eq!(field_of(|p| p.lags[3] = 1).as_deref(), Some("lags[3]"));
        assert_eq!(
            field_of(|p| p.lags = (1..=65).collect()).as_deref(),
            Some("lags")
        );
        let one = |p: &mut EngineeringParams| p.rolling_windows = vec![1];
        assert_eq!(field_of(one).as_deref(), Some("rolling_windows[0]"));
        let many = |p: &mut EngineeringParams| p.rolling_windows = (2..20).collect();
        assert_eq!(field_of(many).as_deref(), Some("rolling_windows"));
    }

    #[test]
    fn a_mean_of_one_row_is_allowed() {
        let params = EngineeringParams {
            rolling_windows: vec![1],
            rolling_std: false,
            rolling_z_score: false,
            ..EngineeringParams::default()
        };
        assert!(params.check().is_ok());
    }
}
