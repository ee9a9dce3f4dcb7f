//! The threshold above which a score is an anomaly.

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::error::{Error, Result, reason};
use crate::statistics::quantile::{quantile, weighted_quantile};

/// A threshold: a row is an anomaly exactly when its score is greater.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The threshold, in units of the score; finite.
    pub value: f64,
    /// The policy that set it.
    pub policy: Policy,
}

impl Threshold {
    /// The threshold that a policy sets on finite scores, each counted by its weight if there are weights.
    ///
    /// # Errors
    /// Those of [`Policy::check`]; [`reason::UNUSABLE_ROWS`] for a policy that needs scores when there are none with a weight
    /// above 0.
    pub fn new(policy: Policy, scores: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        policy.check()?;
        let value = match (policy, weights) {
            (Policy::Threshold(value), _) => Some(value),
            (Policy::Contamination(share), None) => quantile(&mut scores.to_vec(), 1.0 - share),
            (Policy::Contamination(share), Some(weights)) => {
                weighted_quantile(scores, weights, 1.0 - share)
            }
        };
        let value = value.ok_or_else(|| {
            Error::new(
                reason::UNUSABLE_ROWS,
                "there are no scores to set a threshold on",
            )
        })?;
        Ok(Self { value, policy })
    }

    /// Whether a row with this score is an anomaly.
    pub fn is_anomaly(&self, score: f64) -> bool {
        score > self.value
    }

    /// Whether the row of each score is an anomaly.
    pub fn verdicts(&self, scores: &[f64]) -> Vec<bool> {
        scores.iter().map(|&score| self.is_anomaly(score)).collect()
    }

    /// Checks a threshold that was read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when a number is out of its range, or when the value is not the one that the policy gives.
    pub fn validate(&self) -> Result<()> {
        let fits_policy = match self.policy {
            Policy::Contamination(_) => true,
            Policy::Threshold(value) => value == self.value,
        };
        if !(fits_policy && self.value.is_finite() && self.policy.check().is_ok()) {
            let message = "the stored threshold contradicts its policy or is not finite";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_the_given_share() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let policy = Policy::Contamination(0.1);
        let threshold = Threshold::new(policy, &scores, None).expect("a threshold");
        assert_eq!(threshold.policy, policy);
        let flagged = threshold.verdicts(&scores);
        assert_eq!(flagged.iter().filter(|&&flagged| flagged).count(), 100);
        assert!(!threshold.is_anomaly(threshold.value));
    }

    #[test]
    fn weights_move_the_threshold() {
        let scores: Vec<f64> = (0..1000).map(f64::from).collect();
        let weights: Vec<f64> = scores
            .iter()
            .map(|&s| if s < 500.0 { 9.0 } else { 1.0 })
            .collect();
        let policy = Policy::Contamination(0.1);
        let threshold = Threshold::new(policy, &scores, Some(&weights)).expect("a threshold");
        assert!((threshold.value - 500.0).abs() < 5.0, "{threshold:?}");
    }

    #[test]
    fn refuses_invalid_policies_and_thresholds() {
        for contamination in [0.0, -0.1, 0.51, f64::NAN, f64::INFINITY] {
            let policy = Policy::Contamination(contamination);
            let error = Threshold::new(policy, &[1.0], None).expect_err("refused");
            assert_eq!(error.field_path(), Some("contamination"));
        }
        let policy = Policy::default();
        let error = Threshold::new(policy, &[], None).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
        let error = Threshold::new(policy, &[1.0], Some(&[0.0])).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
        let error = Threshold::new(Policy::Threshold(f64::NAN), &[], None).expect_err("refused");
        assert_eq!(error.field_path(), Some("threshold"));
        for (value, policy) in [
            (f64::NAN, Policy::Threshold(f64::NAN)),
            (1.0, Policy::Threshold(2.0)),
            (1.0, Policy::Contamination(0.7)),
        ] {
            assert!(Threshold { value, policy }.validate().is_err());
        }
        let given = Threshold::new(Policy::Threshold(2.0), &[], None).expect("a threshold");
        assert!(given.value == 2.0 && given.validate().is_ok());
    }
}
