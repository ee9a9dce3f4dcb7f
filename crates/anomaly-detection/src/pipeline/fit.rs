//! Training: from a table to a model.

use linfa::ParamGuard as _;

use super::calibrate::{ThresholdRule, calibrate};
use super::learning_rows::{LearningRows, Reading};
use super::model::{Model, Statistics};
use super::reservoir::Reservoir;
use super::spec::TrainSpec;
use super::validation::{Split, measured};
use crate::calibration::{LabelMetrics, Threshold};
use crate::context::Context;
use crate::detector::{DetectorParams, FittedDetector, Sample, ZScore, ZScoreParams};
use crate::error::{Error, Result, reason};
use crate::features::impute::Imputed;
use crate::features::{
    CategoryCounts, Encoder, Engineering, Features, Imputer, Matching, Purpose, Roles, Scale,
    Scaling, Schema, Vocabulary,
};
use crate::statistics::moments::FeatureMoments;
use crate::statistics::name_column;
use crate::table::{Table, check_cells};

/// The fewest rows that anything can be learned from.
pub(super) const MIN_ROWS: usize = 2;

/// A model and what its updates need. A model that cannot be updated has no reservoir.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// A sample of all raw rows that it has learned from.
    pub reservoir: Option<Reservoir>,
}

/// The error of training on fewer rows than anything can be learned from.
pub(super) fn too_few(n_rows: usize) -> Error {
    let message = format!("training needs at least {MIN_ROWS} rows, got {n_rows}");
    Error::new(reason::UNUSABLE_ROWS, message).at("records")
}

fn no_records() -> Error {
    Error::field(
        "records",
        "records are missing; training needs at least 2 rows",
    )
}

impl TrainSpec {
    /// Fits a model on the rows of a table, or on given baselines when there is none. To be called on the compute pool.
    ///
    /// Fails when a parameter is out of range, when nothing can be learned from the rows, or when `context` ends.
    pub fn fit(&self, table: Option<Table>, context: &Context) -> Result<Fitted> {
        self.check_request(table.is_some())?;
        let rule = self.check()?;
        let table = match (&self.detector, table) {
            (_, Some(table)) => table,
            (DetectorParams::ZScore(params), None) => return self.fit_baselines(params, rule),
            (_, None) => return Err(no_records()),
        };
        if table.n_rows() < MIN_ROWS {
            return Err(too_few(table.n_rows()));
        }
        let table = match self.draw() {
            Some(draw) if draw.n < table.n_rows() => {
                table.select_rows(&draw.rows(table.n_rows(), context)?)
            }
            _ => table,
        };
        let schema = Schema::learn(&table, &self.roles)?;
        let vocabulary = Vocabulary::learn(&schema, &table)?;
        let engineering = match &self.engineering {
            Some(spec) => Some(Engineering::new(spec, &schema)?),
            None => None,
        };
        let reading = Reading {
            schema: &schema,
            matching: Matching {
                purpose: Purpose::Learn,
                policy: self.policy,
                needs_history: engineering.is_some(),
                vocabulary: &vocabulary,
            },
            engineering,
            detector: &self.detector,
        };
        let rows = LearningRows::read(reading, table, context)?;
        rows.check_engineered(schema.n_features())?;
        context.check()?;
        self.fit_and_validate(schema, &rows, rule, context)
    }

    /// Fits a model, and measures a supervised detector on rows that are held out.
    pub(super) fn fit_and_validate(
        &self,
        schema: Schema,
        rows: &LearningRows,
        rule: ThresholdRule,
        context: &Context,
    ) -> Result<Fitted> {
        let mut fitted = self.fit_rows(schema, rows, rule, context)?;
        if let Some(classes) = &rows.classes {
            let fraction = self.validation_fraction();
            let split = Split::stratified(classes, fraction, self.detector.random_state());
            if let Some(split) = split {
                let metrics = self.validate(&fitted.model, rows, &split, rule, context);
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
        let imputed = Imputed {
            names: schema.features(),
            vocabulary: &rows.vocabulary,
            imputation: self.imputation,
        };
        let counts = CategoryCounts::of(rows.raw.view(), &rows.vocabulary);
        let imputer = Imputer::learn(rows.raw.view(), &counts, imputed)?;
        context.check()?;
        let encoder = Encoder::learn(
            rows.raw.ncols(),
            &counts,
            &rows.vocabulary,
            self.max_one_hot,
        )?;
        check_cells(rows.raw.nrows(), encoder.n_columns())?;
        let mut features = Features {
            schema,
            policy: self.policy,
            vocabulary: rows.vocabulary.clone(),
            engineering: rows.engineering.clone(),
            imputer,
            encoder,
            scale: None,
        };
        let names = features.names();
        let encoded = features.transform_unscaled(rows.raw.view());
        let moments = FeatureMoments::of(encoded.view()).map_err(|error| error.named(&names))?;
        context.check()?;
        let scaling = self.scaling();
        features.scale = Scale::learn(scaling, encoded.view(), &moments, &names)?;
        drop(encoded);
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
            features.n_raw(),
            self.detector.random_state(),
        )
        .with_vocabulary(features.vocabulary.clone());
        let (learned, ()) = rayon::join(
            || self.detector.fit(sample, context),
            || reservoir.offer(&rows.raw, rows.labels.as_deref()),
        );
        let learned = learned.map_err(|error| name_column(error, &names))?;

        let mut model = Model {
            spec: self.clone(),
            features,
            detector: learned.detector,
            threshold: Threshold::given(0.0)?,
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
            None => model.score_raw(rows.raw.view(), context)?,
        };
        let weights = rows.weights.as_deref();
        model.set_calibration(calibrate(rule, &scores, weights, rows.labels_to_compare())?);

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

    /// Checks all that can be checked without looking at rows, but for whether there are any.
    ///
    /// Fails when a parameter is out of range, or records are missing, or given beside baselines.
    pub fn check_request(&self, has_records: bool) -> Result<()> {
        self.check()?;
        match (self.has_baselines(), has_records) {
            (true, true) => Err(Error::field(
                "records",
                "z_score.baselines and records exclude each other; leave out one of them",
            )),
            (false, false) => Err(no_records()),
            _ => Ok(()),
        }
    }

    fn fit_baselines(&self, params: &ZScoreParams, rule: ThresholdRule) -> Result<Fitted> {
        let ThresholdRule::Value(threshold) = rule else {
            return Err(Error::field(
                "contamination",
                "contamination needs training rows; with z_score.baselines give multiplier or threshold",
            ));
        };
        if self.roles != Roles::default() || self.engineering.is_some() {
            let message = "the roles of columns and feature engineering need training rows, and z_score.baselines has none";
            return Err(Error::field("z_score.baselines", message));
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
                spec: self.clone(),
                features: Features {
                    schema: Schema::of_features(names)?,
                    policy: self.policy,
                    vocabulary: Vocabulary::default(),
                    engineering: None,
                    imputer: Imputer::with_values(means),
                    encoder: Encoder::of_numbers(params.baselines.len()),
                    scale: None,
                },
                detector: FittedDetector::ZScore(ZScore::from_baselines(params.check_ref()?)?),
                threshold: Threshold::given(threshold)?,
                statistics: Statistics::default(),
            },
            reservoir: None,
        })
    }
}
