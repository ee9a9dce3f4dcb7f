//! Above which score a row is an anomaly.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};
use crate::statistics::quantile::{quantile, weighted_quantile};

/// The share of rows to flag when none is given, as in PyOD.
pub const DEFAULT_CONTAMINATION: f64 = 0.1;

/// A threshold: a row is an anomaly exactly when its score is greater.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The threshold, in units of the score; finite.
    pub value: f64,
    /// Where it came from.
    pub source: ThresholdSource,
}

/// Where a threshold came from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdSource {
    /// It is the quantile of scores that this share of them exceeds.
    Contamination(f64),
    /// It was given.
    Given,
}

impl Threshold {
    /// A threshold that was given.
    ///
    /// # Errors
    /// [`reason::INVALID_FIELD`] at `threshold` when it is not finite.
    pub fn given(value: f64) -> Result<Self> {
        if !value.is_finite() {
            let message = format!("the threshold is {value}; it must be finite");
            return Err(Error::field("threshold", message));
        }
        let source = ThresholdSource::Given;
        Ok(Self { value, source })
    }

    /// The (1 - contamination) quantile of finite scores, each counted by its weight if there are weights.
    ///
    /// # Errors
    /// [`reason::INVALID_FIELD`] at `contamination` as [`check_contamination`]; [`reason::UNUSABLE_ROWS`] when there are no
    /// scores, or none with a weight above 0.
    pub fn from_scores(
        scores: &[f64],
        weights: Option<&[f64]>,
        contamination: f64,
    ) -> Result<Self> {
        check_contamination(contamination)?;
        let q = 1.0 - contamination;
        let value = match weights {
            None => quantile(&mut scores.to_vec(), q),
            Some(weights) => weighted_quantile(scores, weights, q),
        };
        let value = value.ok_or_else(|| {
            Error::new(
                reason::UNUSABLE_ROWS,
                "there are no scores to set a threshold on",
            )
        })?;
        let source = ThresholdSource::Contamination(contamination);
        Ok(Self { value, source })
    }

    /// Whether a row with this score is an anomaly.
    pub fn is_anomaly(&self, score: f64) -> bool {
        score > self.value
    }

    /// Checks a threshold that was read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when a number is out of its range.
    pub fn validate(&self) -> Result<()> {
        let possible = match self.source {
            ThresholdSource::Contamination(share) => check_contamination(share).is_ok(),
            ThresholdSource::Given => true,
        };
        if !(possible && self.value.is_finite()) {
            let message = "the threshold is not possible";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

/// Checks a share of rows to flag.
///
/// # Errors
/// [`reason::INVALID_FIELD`] at `contamination` when it is not in (0, 0.5].
pub fn check_contamination(contamination: f64) -> Result<()> {
    if !(contamination > 0.0 && contamination <= 0.5) {
        let message =
            format!("the contamination is {contamination}; it must be above 0 and at most 0.5");
        return Err(Error::field("contamination", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_the_given_share() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let threshold = Threshold::from_scores(&scores, None, 0.1).expect("a threshold");
        assert_eq!(threshold.source, ThresholdSource::Contamination(0.1));
        let flagged = scores.iter().filter(|&&s| threshold.is_anomaly(s)).count();
        assert_eq!(flagged, 100);
        assert!(!threshold.is_anomaly(threshold.value));
    }

    #[test]
    fn weights_move_the_threshold() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let weights: Vec<f64> = scores
            .iter()
            .map(|&s| if s < 500.0 { 9.0 } else { 1.0 })
            .collect();
        let threshold = Threshold::from_scores(&scores, Some(&weights), 0.1).expect("a threshold");
        assert!((threshold.value - 500.0).abs() < 5.0, "{threshold:?}");
    }

    #[test]
    fn refuses_what_makes_no_threshold() {
        for contamination in [0.0, -0.1, 0.51, f64::NAN, f64::INFINITY] {
            let error = Threshold::from_scores(&[1.0], None, contamination).expect_err("refused");
            assert_eq!(error.field_path(), Some("contamination"));
        }
        let error = Threshold::from_scores(&[], None, 0.1).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
        let error = Threshold::from_scores(&[1.0], Some(&[0.0]), 0.1).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
        assert!(Threshold::given(f64::NAN).is_err());
        let damaged = Threshold {
            value: f64::NAN,
            source: ThresholdSource::Given,
        };
        assert!(damaged.validate().is_err());
    }
}
