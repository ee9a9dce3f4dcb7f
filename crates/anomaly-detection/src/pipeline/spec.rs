//! What to train, and the checks of it.

use serde::{Deserialize, Serialize};

use super::fit::MIN_ROWS;
use crate::calibration::Policy;
use crate::detector::{DefaultScaling, DetectorParams, FittedDetector, Given};
use crate::error::{Error, Result};
use crate::features::{
    DEFAULT_MAX_ONE_HOT, EngineeringSpec, FeaturePolicy, Imputation, Roles, Scaling,
};
use crate::statistics::draw::Draw;

/// The share of rows that a supervised detector is validated on when none is given.
pub const DEFAULT_VALIDATION_FRACTION: f64 = 0.2;

/// The most columns that a categorical feature may become.
pub const MAX_ONE_HOT: usize = 256;

/// The most raw rows that are kept for updates by default.
const DEFAULT_RESERVOIR_SIZE: usize = 10_000;

/// What to train. A model keeps it, so that another one can be trained in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpec {
    /// The detector and its parameters.
    pub detector: DetectorParams,
    /// How scores become decisions; `None` for the policy in the detector's parameters, or else its default.
    pub policy: Option<Policy>,
    /// How features are scaled; `None` is the detector's default.
    pub scaling: Option<Scaling>,
    /// What the columns are for.
    pub roles: Roles,
    /// The features to engineer from earlier rows and from the time of a row; `None` for no features.
    pub engineering: Option<EngineeringSpec>,
    /// How the columns of later requests may differ from those of the training.
    pub feature_policy: FeaturePolicy,
    /// How missing numbers are imputed.
    pub imputation: Imputation,
    /// The most categories of a feature that get a column each.
    pub max_one_hot: usize,
    /// The share of rows to validate a supervised detector on, in [0, 0.5]; `None` for [`DEFAULT_VALIDATION_FRACTION`].
    pub validation_fraction: Option<f64>,
    /// The most rows to learn from; of more, a uniform sample is drawn. `None` for all.
    pub sample_rows: Option<usize>,
    /// How many raw rows to keep for updates.
    #[serde(skip)]
    pub reservoir_size: usize,
}

impl Default for TrainingSpec {
    fn default() -> Self {
        Self {
            detector: DetectorParams::default(),
            policy: None,
            scaling: None,
            roles: Roles::default(),
            engineering: None,
            feature_policy: FeaturePolicy::default(),
            imputation: Imputation::default(),
            max_one_hot: DEFAULT_MAX_ONE_HOT,
            validation_fraction: None,
            sample_rows: None,
            reservoir_size: DEFAULT_RESERVOIR_SIZE,
        }
    }
}

impl TrainingSpec {
    /// How features are scaled.
    pub fn scaling(&self) -> Scaling {
        self.scaling
            .unwrap_or(match self.detector.default_scaling() {
                DefaultScaling::None | DefaultScaling::Own => Scaling::None,
                DefaultScaling::Standard => Scaling::Standard,
            })
    }

    fn check_scaling(&self) -> Result<()> {
        let own = self.detector.default_scaling() == DefaultScaling::Own;
        if own && !matches!(self.scaling, None | Some(Scaling::None)) {
            let message = format!(
                "{} brings its own scale; leave out the scaler",
                self.detector.name()
            );
            return Err(Error::field("scaler", message));
        }
        Ok(())
    }

    /// The share of rows that a supervised detector is validated on.
    pub(super) fn validation_fraction(&self) -> f64 {
        self.validation_fraction
            .unwrap_or(DEFAULT_VALIDATION_FRACTION)
    }

    /// The sample of rows to learn from; `None` for all.
    pub fn draw(&self) -> Option<Draw> {
        self.sample_rows.map(|n| Draw {
            n,
            seed: self.detector.random_state(),
        })
    }

    fn check_sample(&self, given: Option<&Given<FittedDetector>>) -> Result<()> {
        let message = match (self.sample_rows, given) {
            (Some(n), _) if n < MIN_ROWS => {
                format!("sample_rows is {n}; it must be at least {MIN_ROWS}")
            }
            (Some(_), _) if self.engineering.is_some() => {
                "features are engineered from the rows before each row, which a sample leaves out; leave out \
                 feature_engineering, or give sample_rows 0 to learn from all rows"
                    .to_owned()
            }
            (Some(_), Some(given)) => {
                let given = self.path_of(given.parameter);
                format!("{given} are given, so nothing is sampled; give sample_rows 0")
            }
            _ => return Ok(()),
        };
        Err(Error::field("sample_rows", message))
    }

    fn check_validation(&self) -> Result<()> {
        let Some(fraction) = self.validation_fraction else {
            return Ok(());
        };
        let message = if !self.detector.is_supervised() {
            format!(
                "{} does not learn from labels, so it is compared with all of them; leave out validation_fraction",
                self.detector.name()
            )
        } else if !(0.0..=0.5).contains(&fraction) {
            format!("validation_fraction is {fraction}; it must be from 0 to 0.5")
        } else {
            return Ok(());
        };
        Err(Error::field("validation_fraction", message))
    }

    /// The path of a parameter of the detector, as in a request.
    pub(super) fn path_of(&self, parameter: &str) -> String {
        format!("{}.{parameter}", self.detector.name())
    }

    /// Checks everything that can be checked without rows. Returns how scores become decisions, and the detector if its
    /// parameters define it completely.
    pub(super) fn check(&self) -> Result<(Policy, Option<Given<FittedDetector>>)> {
        let given = self.detector.given()?;
        self.check_scaling()?;
        self.check_validation()?;
        self.check_sample(given.as_ref())?;
        if self.max_one_hot > MAX_ONE_HOT {
            let message = format!(
                "max_one_hot_categories is {}; it must be from 0 to {MAX_ONE_HOT}",
                self.max_one_hot
            );
            return Err(Error::field("max_one_hot_categories", message));
        }
        Ok((self.check_policy()?, given))
    }

    fn check_policy(&self) -> Result<Policy> {
        let policy = match (self.policy, self.detector.stated_policy()) {
            (Some(_), Some((parameter, _))) => {
                let message = format!(
                    "{parameter} is the threshold of {}; it excludes contamination and threshold",
                    self.detector.name()
                );
                return Err(Error::field(self.path_of(parameter), message));
            }
            (Some(policy), None) | (None, Some((_, policy))) => policy,
            (None, None) => self.detector.default_policy(),
        };
        policy.check()?;
        Ok(policy)
    }
}
