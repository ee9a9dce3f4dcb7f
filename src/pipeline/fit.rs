//! Training: from a table to a model.

use linfa::ParamGuard as _;

use super::calibrate::{ThresholdRule, calibrate};
use super::learning_rows::LearningRows;
use super::model::{Model, Statistics};
use super::reservoir::Reservoir;
use super::validation::{Split, measured};
use crate::calibration::threshold::check_contamination;
use crate::calibration::{DEFAULT_CONTAMINATION, LabelMetrics, Threshold};
use crate::context::Context;
use crate::detector::z_score::DEFAULT_MULTIPLIER;
use crate::detector::{
    DefaultScaling, DetectorParams, FittedDetector, Sample, ZScore, ZScoreParams,
};
use crate::error::{Error, Reason, Result};
use crate::features::{Features, Imputer, Scale, Scaling, Schema};
use crate::statistics::moments::FeatureMoments;
use crate::statistics::name_column;
use crate::table::Table;

/// The fewest rows that anything can be learned from.
const MIN_ROWS: usize = 2;

/// The share of rows that a supervised detector is validated on when none is given.
pub const DEFAULT_VALIDATION_FRACTION: f64 = 0.2;

/// The probability above which a supervised detector calls a row an anomaly when no threshold is given.
const DEFAULT_PROBABILITY: f64 = 0.5;

/// What to train, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// The detector and its parameters.
    pub detector: DetectorParams,
    /// The share of training rows to flag, in (0, 0.5].
    pub contamination: Option<f64>,
    /// The threshold itself.
    pub threshold: Option<f64>,
    /// How features are scaled; `None` is the detector's default.
    pub scaling: Option<Scaling>,
    /// The column that holds labels.
    pub label_column: Option<String>,
    /// The share of rows to validate a supervised detector on, in [0, 0.5]; `None` is [`DEFAULT_VALIDATION_FRACTION`].
    pub validation_fraction: Option<f64>,
    /// How many raw rows to keep for updates.
    pub reservoir_size: usize,
}

/// A model and what its updates need. A model that cannot be updated has no reservoir.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// A sample of all raw rows that it has learned from.
    pub reservoir: Option<Reservoir>,
}

impl TrainSpec {
    fn scaling(&self) -> Scaling {
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

    fn validation_fraction(&self) -> f64 {
        self.validation_fraction
            .unwrap_or(DEFAULT_VALIDATION_FRACTION)
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
    fn check(&self) -> Result<ThresholdRule> {
        self.detector.check()?;
        self.check_scaling()?;
        self.check_validation()?;
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

    /// Fits a model on the rows of a table, or on given baselines when there is none. To be called on the compute pool.
    ///
    /// Fails when a parameter is out of range, when nothing can be learned from the rows, or when `context` ends.
    pub fn fit(&self, table: Option<Table>, context: &Context) -> Result<Fitted> {
        let rule = self.check()?;
        if let DetectorParams::ZScore(params) = &self.detector
            && !params.baselines.is_empty()
        {
            return self.fit_baselines(params, rule, table.is_some());
        }
        let table = table.ok_or_else(|| {
            Error::field(
                "records",
                "records are missing; training needs at least 2 rows",
            )
        })?;
        if table.n_rows() < MIN_ROWS {
            return Err(Error::new(
                Reason::UnusableRows,
                format!(
                    "training needs at least {MIN_ROWS} rows, got {}",
                    table.n_rows()
                ),
            )
            .at("records"));
        }
        let schema = Schema::learn(&table, self.label_column.as_deref())?;
        let rows = LearningRows::read(&schema, table, &self.detector)?;
        context.check()?;
        let mut fitted = self.fit_rows(schema, &rows, rule, context)?;
        if let Some(classes) = &rows.classes {
            let fraction = self.validation_fraction();
            let split = Split::stratified(classes, fraction, self.detector.random_state());
            if let Some(split) = split {
                let metrics = self.validate(&fitted.model, &rows, &split, rule, context);
                fitted.model.statistics.label_metrics = measured(metrics)?;
            }
        }
        Ok(fitted)
    }

    fn fit_rows(
        &self,
        schema: Schema,
        rows: &LearningRows,
        rule: ThresholdRule,
        context: &Context,
    ) -> Result<Fitted> {
        let names = schema.features().to_vec();
        let moments = FeatureMoments::of(rows.raw.view()).map_err(|error| error.named(&names))?;
        context.check()?;
        let imputer = Imputer::learn(rows.raw.view(), &names)?;
        context.check()?;
        let scaling = self.scaling();
        let scale = Scale::learn(scaling, rows.raw.view(), &moments, imputer.values(), &names)?;
        let features = Features {
            schema,
            imputer,
            scale,
        };
        context.check()?;

        let observed = features.transform_observed(rows.raw.view());
        let imputed = features.transform(rows.raw.view());
        let sample = Sample {
            rows: imputed.view(),
            observed: observed.view(),
            labels: rows.classes.as_deref(),
        };
        // sampling is one long walk over the rows, which another thread need not wait for
        let empty = if self.detector.is_supervised() {
            Reservoir::by_class
        } else {
            Reservoir::new
        };
        let mut reservoir = empty(
            self.reservoir_size,
            features.n_features(),
            self.detector.random_state(),
        );
        let (learned, ()) = rayon::join(
            || self.detector.fit(sample, context),
            || reservoir.offer(&rows.raw, rows.labels.as_deref()),
        );
        let learned = learned.map_err(|error| name_column(error, &names))?;

        let mut model = Model {
            features,
            scaling,
            detector: learned.detector,
            threshold: Threshold::given(0.0)?,
            validation_fraction: rows.classes.as_ref().map(|_| self.validation_fraction()),
            statistics: Statistics {
                n_rows: rows.raw.nrows() as u64,
                n_missing_values: rows.gaps.n_missing,
                n_infinite_values: rows.gaps.n_infinite,
                features: Some(moments),
                ..Statistics::default()
            },
        };
        let scores = match learned.calibration_scores {
            Some(scores) => scores,
            None => model.score_rows(rows.raw.view(), context)?,
        };
        model.adopt(calibrate(rule, &scores, None, rows.labels_to_compare())?);

        Ok(Fitted {
            model,
            reservoir: Some(reservoir),
        })
    }

    /// How a model that learns from one part of the rows does on the other.
    fn validate(
        &self,
        model: &Model,
        rows: &LearningRows,
        split: &Split,
        rule: ThresholdRule,
        context: &Context,
    ) -> Result<Option<LabelMetrics>> {
        let schema = model.features.schema.clone();
        let learned = self.fit_rows(schema, &rows.select(&split.learned), rule, context)?;
        learned
            .model
            .measure(&rows.select(&split.held_out), context)
    }

    fn fit_baselines(
        &self,
        params: &ZScoreParams,
        rule: ThresholdRule,
        has_records: bool,
    ) -> Result<Fitted> {
        if has_records {
            return Err(Error::field(
                "records",
                "z_score.baselines and records exclude each other; leave out one of them",
            ));
        }
        let ThresholdRule::Value(threshold) = rule else {
            return Err(Error::field(
                "contamination",
                "contamination needs training rows; with z_score.baselines give multiplier or threshold",
            ));
        };
        if self.label_column.is_some() {
            return Err(Error::field(
                "label_column",
                "label_column needs training rows, and z_score.baselines has none",
            ));
        }
        if !matches!(self.scaling, None | Some(Scaling::None)) {
            return Err(Error::field(
                "scaler",
                "given baselines are in original units and cannot be scaled",
            ));
        }
        let names = params
            .baselines
            .iter()
            .map(|baseline| baseline.feature.clone())
            .collect();
        let means = params
            .baselines
            .iter()
            .map(|baseline| baseline.mean)
            .collect();
        Ok(Fitted {
            model: Model {
                features: Features {
                    schema: Schema::of_features(names)?,
                    imputer: Imputer::with_values(means),
                    scale: None,
                },
                scaling: Scaling::None,
                validation_fraction: None,
                detector: FittedDetector::ZScore(ZScore::from_baselines(params.check_ref()?)?),
                threshold: Threshold::given(threshold)?,
                statistics: Statistics::default(),
            },
            reservoir: None,
        })
    }
}
