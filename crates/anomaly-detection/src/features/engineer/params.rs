//! What may be asked of feature engineering, and its check.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The longest lag and the longest window, in rows.
const MAX_ROWS: u32 = 10_000;

/// The most lags.
const MAX_LAGS: usize = 64;

/// The most windows.
const MAX_WINDOWS: usize = 16;

/// What is engineered from each column and from the time of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineeringParams {
    /// How many rows back in the series the values stand that a row gets beside its own; at most 64, each 1 to 10,000, none
    /// twice. Default 1, 2, 3, 7.
    pub lags: Vec<u32>,
    /// How many rows before the row the rolling statistics look at; at most 16, each 1 to 10,000, from 2 where a standard
    /// deviation or a z-score is asked for, none twice. Default 7 and 24: a week of daily rows and a day of hourly ones, and
    /// for rows of any other pace a short memory and a longer one.
    pub rolling_windows: Vec<u32>,
    /// The mean of each window. Default true.
    pub rolling_mean: bool,
    /// The standard deviation of each window, with the divisor n - 1. Default true.
    pub rolling_std: bool,
    /// How many standard deviations of each window the row's own value lies above the window's mean. Default true.
    pub rolling_z_score: bool,
    /// The row's value less that of the row before. Default true.
    pub difference: bool,
    /// What is made of the time of a row, where rows have one.
    pub time_features: TimeFeatures,
}

/// What is made of the time of a row, in UTC: the sine and the cosine of its place in each cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFeatures {
    /// The time of day in hours with their fraction, of 24. Default true.
    pub hour: bool,
    /// The whole day of the week, Monday 0 to Sunday 6, of 7. Default true.
    pub day_of_week: bool,
    /// The whole month, January 0 to December 11, of 12. Default true.
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
    /// range or one stands twice.
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
            "{name} has {} members, at most {most} are allowed",
            rows.len()
        );
        return refused(name.to_owned(), message);
    }
    let mut seen = HashSet::new();
    for (index, &given) in rows.iter().enumerate() {
        let field = format!("{name}[{index}]");
        if !(least..=MAX_ROWS).contains(&given) {
            let message = format!("{field} is {given}, it must be from {least} to {MAX_ROWS}");
            return refused(field, message);
        }
        if !seen.insert(given) {
            let message = format!("{name} holds {given} twice; each may stand once");
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
    fn what_is_out_of_range_is_refused_where_it_stands() {
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
