//! The parameters of a lesinn detector and their check.

use serde::{Deserialize, Serialize};

use crate::detector::params::params;
use crate::error::{Error, Result, reason};

/// The most samples.
pub(super) const MAX_ESTIMATORS: usize = 10_000;

/// The most rows in a sample.
pub(super) const MAX_SAMPLES: usize = 65_536;

/// The maximum number of search steps over all samples for one row: a few milliseconds.
const MAX_STEPS: usize = 1 << 24;

/// The distance between two scaled rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LesinnMetric {
    /// The sum of the absolute differences of the features. The default.
    #[default]
    Manhattan,
    /// The root of the sum of the squared differences.
    Euclidean,
}

params! {
    /// The parameters of a [`Lesinn`](super::Lesinn), unchecked.
    LesinnParams => LesinnValidParams {
        /// How many samples, 1 to 10,000. Default 64.
        n_estimators, with_n_estimators: usize = 64,
        /// How many rows each sample holds, drawn without replacement, 2 to 65,536; all rows if there are fewer. Default 32.
        max_samples, with_max_samples: usize = 32,
        /// How many nearest rows of each sample are averaged, from 1 to `max_samples` - 1. The product of all three is at most
        /// 2^24. Default 3.
        n_neighbors, with_n_neighbors: usize = 3,
        /// The distance between scaled rows. Default [`LesinnMetric::Manhattan`].
        metric, with_metric: LesinnMetric = LesinnMetric::Manhattan,
        /// The seed of all random choices. Default 0.
        random_state, with_random_state: u64 = 0,
    }
}

impl LesinnValidParams {
    fn check_values(&self) -> Result<()> {
        check_range("n_estimators", self.n_estimators, 1, MAX_ESTIMATORS)?;
        check_range("max_samples", self.max_samples, 2, MAX_SAMPLES)?;
        if !(1..self.max_samples).contains(&self.n_neighbors) {
            let message = format!(
                "n_neighbors is {}; it must be from 1 to one fewer than max_samples, which is {}",
                self.n_neighbors, self.max_samples
            );
            return Err(Error::new(reason::INVALID_PARAMETER, message).at("n_neighbors"));
        }
        let steps = self.n_estimators.saturating_mul(self.max_samples);
        let steps = steps.saturating_mul(self.n_neighbors);
        if steps > MAX_STEPS {
            let message = format!(
                "n_estimators, max_samples and n_neighbors make {steps} steps for each row that is scored, and at most \
                 {MAX_STEPS} are allowed; lower one of them"
            );
            return Err(Error::new(reason::INVALID_PARAMETER, message).at("n_neighbors"));
        }
        Ok(())
    }
}

fn check_range(name: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let message = format!("{name} is {value}; it must be from {least} to {most}");
    Err(Error::new(reason::INVALID_PARAMETER, message).at(name))
}
