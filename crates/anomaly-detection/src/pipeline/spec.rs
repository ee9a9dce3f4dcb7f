//! What to train, as asked for, and its checks.

use serde::{Deserialize, Serialize};

use super::calibrate::ThresholdRule;
use super::fit::MIN_ROWS;
use crate::calibration::threshold::check_contamination;
use crate::calibration::{DEFAULT_CONTAMINATION, Threshold};
use crate::detector::z_score::DEFAULT_MULTIPLIER;
use crate::detector::{DefaultScaling, DetectorParams};
use crate::error::{Error, Result};
use crate::features::{
    DEFAULT_MAX_ONE_HOT, EngineeringSpec, FeaturePolicy, Imputation, Roles, Scaling,
};
use crate::statistics::draw::Draw;

/// The share of rows that a supervised detector is validated on when none is given.
pub const DEFAULT_VALIDATION_FRACTION: f64 = 0.2;

/// The probability above which a supervised detector calls a row an anomaly when no threshold is given.
const DEFAULT_PROBABILITY: f64 = 0.5;

/// The most columns that a categorical feature may become.
pub const MAX_ONE_HOT: usize = 256;

/// The most raw rows that are kept for updates when nothing else is said.
const DEFAULT_RESERVOIR_SIZE: usize = 10_000;

/// What to train, as asked for. A model keeps it, so that others can be trained alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// The detector and its parameters.
    pub detector: DetectorParams,
    /// The share of training rows to flag, in (0, 0.5].
    pub contamination: Option<f64>,
    /// The threshold itself.
    pub threshold: Option<f64>,
    /// How features are scaled; `None` is the detector's default.
    pub scaling: Option<Scaling>,
    /// What the columns are for.
    pub roles: Roles,
    /// What is made of the rows before a row and of its time; `None` for nothing.
    pub engineering: Option<EngineeringSpec>,
    /// How the columns of later requests may differ from those of the training.
    pub policy: FeaturePolicy,
    /// What stands in for missing numbers.
    pub imputation: Imputation,
    /// The most categories of a feature that get a column each.
    pub max_one_hot: usize,
    /// The share of rows to validate a supervised detector on, in [0, 0.5]; `None` is [`DEFAULT_VALIDATION_FRACTION`].
    pub validation_fraction: Option<f64>,
    /// How many rows to learn from, a uniform sample, where there are more; `None` for all.
    pub sample_rows: Option<usize>,
    /// How many raw rows to keep for updates.
    #[serde(skip)]
    pub reservoir_size: usize,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            detector: DetectorParams::default(),
            contamination: None,
            threshold: None,
            scaling: None,
            roles: Roles::default(),
            engineering: None,
            policy: FeaturePolicy::default(),
            imputation: Imputation::default(),
            max_one_hot: DEFAULT_MAX_ONE_HOT,
            validation_fraction: None,
            sample_rows: None,
            reservoir_size: DEFAULT_RESERVOIR_SIZE,
        }
    }
}

impl TrainSpec {
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

    /// The draw of the rows to learn from; `None` for all.
    pub fn draw(&self) -> Option<Draw> {
        self.sample_rows.map(|n| Draw {
            n,
            seed: self.detector.random_state(),
        })
    }

    /// Whether all that could be learned is given.
    pub(super) fn has_baselines(&self) -> bool {
        matches!(&self.detector, DetectorParams::ZScore(params) if !params.baselines.is_empty())
    }

    fn check_sample(&self) -> Result<()> {
        let message = match self.sample_rows {
            Some(n) if n < MIN_ROWS => {
                format!("sample_rows is {n}; it must be at least {MIN_ROWS}")
            }
            Some(_) if self.engineering.is_some() => {
                "features are engineered of the rows before each row, which a sample leaves out; leave out \
                 feature_engineering, or give sample_rows 0 to learn from all rows"
                    .to_owned()
            }
            Some(_) if self.has_baselines() => {
                "z_score.baselines are given, so nothing is sampled; give sample_rows 0".to_owned()
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
                "{} does not learn from labels, so all labels are compared with; leave out validation_fraction",
                self.detector.name()
            )
        } else if !(0.0..=0.5).contains(&fraction) {
            format!("validation_fraction is {fraction}; it must be from 0 to 0.5")
        } else {
            return Ok(());
        };
        Err(Error::field("validation_fraction", message))
    }

    /// Checks all that can be checked without looking at rows, and says how the threshold will come about.
    pub(super) fn check(&self) -> Result<ThresholdRule> {
        self.detector.check()?;
        self.check_scaling()?;
        self.check_validation()?;
        self.check_sample()?;
        if self.max_one_hot > MAX_ONE_HOT {
            let message = format!(
                "max_one_hot_categories is {}; it must be from 0 to {MAX_ONE_HOT}",
                self.max_one_hot
            );
            return Err(Error::field("max_one_hot_categories", message));
        }
        self.contamination.map_or(Ok(()), check_contamination)?;
        self.threshold
            .map_or(Ok(()), |threshold| Threshold::given(threshold).map(drop))?;
        let multiplier = match &self.detector {
            DetectorParams::ZScore(params) => params.multiplier,
            _ => None,
        };
        match (self.contamination, self.threshold, multiplier) {
            (Some(_), Some(_), _) => Err(Error::field(
                "threshold",
                "contamination and threshold exclude each other; give one of them",
            )),
            (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => Err(Error::field(
                "z_score.multiplier",
                "multiplier is the threshold of z_score; it excludes contamination and threshold",
            )),
            (Some(c), None, None) => Ok(ThresholdRule::Contamination(c)),
            (None, Some(t), None) => Ok(ThresholdRule::Value(t)),
            (None, None, Some(m)) => Ok(ThresholdRule::Value(m)),
            (None, None, None) => Ok(match &self.detector {
                DetectorParams::ZScore(_) => ThresholdRule::Value(DEFAULT_MULTIPLIER),
                supervised if supervised.is_supervised() => {
                    ThresholdRule::Value(DEFAULT_PROBABILITY)
                }
                _ => ThresholdRule::Contamination(DEFAULT_CONTAMINATION),
            }),
        }
    }
}
