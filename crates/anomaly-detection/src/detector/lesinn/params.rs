//! What may be asked of a lesinn detector, and the check that makes it usable.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The most samples.
pub(super) const MAX_ESTIMATORS: usize = 10_000;

/// The most rows in a sample.
pub(super) const MAX_SAMPLES: usize = 65_536;

/// The most steps that the search for the nearest rows of all samples may take for each row: some milliseconds.
const MAX_STEPS: usize = 1 << 24;

/// How far apart two scaled rows are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LesinnMetric {
    /// The sum of the absolute differences of the features. The default.
    #[default]
    Manhattan,
    /// The root of the sum of the squared differences.
    Euclidean,
}

/// The parameters of a [`Lesinn`](super::Lesinn), unchecked. [`ParamGuard::check`] makes them usable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LesinnParams {
    /// How many samples, 1 to 10,000. Default 64.
    pub n_estimators: usize,
    /// How many rows each sample holds, drawn without replacement, 2 to 65,536; all rows where there are fewer. Default 32.
    pub max_samples: usize,
    /// How many nearest rows of a sample the distances are averaged over, from 1 to one fewer than `max_samples`. Times these
    /// two at most 2^24. Default 3.
    pub n_neighbors: usize,
    /// The distance between scaled rows. Default [`LesinnMetric::Manhattan`].
    pub metric: LesinnMetric,
    /// The seed of all random choices. Default 0.
    pub random_state: u64,
}

impl Default for LesinnParams {
    fn default() -> Self {
        Self {
            n_estimators: 64,
            max_samples: 32,
            n_neighbors: 3,
            metric: LesinnMetric::Manhattan,
            random_state: 0,
        }
    }
}

/// Checked [`LesinnParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct LesinnValidParams(LesinnParams);

impl LesinnValidParams {
    #[ref_cast_custom]
    fn trust(params: &LesinnParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &LesinnParams {
        &self.0
    }
}

impl ParamGuard for LesinnParams {
    type Checked = LesinnValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        check_range("n_estimators", self.n_estimators, 1, MAX_ESTIMATORS)?;
        check_range("max_samples", self.max_samples, 2, MAX_SAMPLES)?;
        if !(1..self.max_samples).contains(&self.n_neighbors) {
            let message = format!(
                "n_neighbors is {}, it must be from 1 to one fewer than max_samples, which is {}",
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
        Ok(LesinnValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(LesinnValidParams(self))
    }
}

fn check_range(name: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let message = format!("{name} is {value}, it must be from {least} to {most}");
    Err(Error::new(reason::INVALID_PARAMETER, message).at(name))
}
