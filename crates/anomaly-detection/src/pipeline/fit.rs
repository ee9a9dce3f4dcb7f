//! Training a model on rows, either held in one table or read in several passes. Both ways give the same model.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::learn_features::LearnedFeatures;
use super::learning_rows::{LearningRows, Reading};
use super::model::{Model, Statistics};
use super::prepared_rows::PreparedRows;
use super::raw_source::RawSource;
use super::reservoir::Reservoir;
use super::score::score_rows;
use super::spec::TrainingSpec;
use super::table_source::{PassedRows, TableSource};
use super::validation::Split;
use crate::calibration::{Calibration, LabelMetrics, Policy, Threshold};
use crate::context::{Context, Step, Unit, stage};
use crate::detector::{FittedDetector, Given, Learned, Sample};
use crate::error::{Error, Result, reason};
use crate::features::{
    Encoder, Engineering, Features, Imputer, Label, Matching, Purpose, Roles, Scaling, Schema,
    SchemaDraft, Vocabulary,
};
use crate::statistics::name_column;
use crate::table::{Table, check_cells};

/// The fewest rows that anything can be learned from.
pub(super) const MIN_ROWS: usize = 2;

/// The most rows that can be read in passes. All their scores are held at once, which takes 400 MB.
const MAX_ROWS: usize = 50_000_000;

/// A model and what its updates need. A model that cannot be updated has no reservoir.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// A sample of all raw rows that the model has learned from.
    pub reservoir: Option<Reservoir>,
}

/// A pass over the tables that hold the rows, until the callback breaks off.
type VisitTables<'a> = dyn Fn(&mut dyn FnMut(&Table) -> Result<ControlFlow<()>>) -> Result<()> + 'a;

/// What is learned about the columns before any value is.
struct Columns {
    schema: Schema,
    vocabulary: Vocabulary,
    engineering: Option<Engineering>,
}

impl TrainingSpec {
    /// Fits a model on the rows of a table or, without one, makes it from the detector's parameters. To be called on the compute
    /// pool.
    ///
    /// # Errors
    /// Fails when a parameter is out of range or nothing can be learned from the rows, and with those of [`Context::check`].
    pub fn fit(&self, table: Option<Table>, context: &Context) -> Result<Fitted> {
        let (policy, given) = self.check_rows(table.is_some())?;
        let table = match (table, given) {
            (Some(table), _) => table,
            (None, Some(given)) => return self.model_of_given(given, policy),
            (None, None) => return Err(no_records()),
        };
        if table.n_rows() < MIN_ROWS {
            return Err(too_few(table.n_rows()));
        }
        context.enter(stage::PREPARING);
        let table = match self.draw() {
            Some(draw) if draw.n < table.n_rows() => {
                table.select_rows(&draw.rows(table.n_rows(), context)?)
            }
            _ => table,
        };
        let columns = self.learn_from_columns(&|each| each(&table).map(|_| ()))?;
        let reading = Reading {
            schema: &columns.schema,
            matching: self.matching(&columns),
            engineering: columns.engineering.clone(),
            detector: &self.detector,
        };
        let rows = LearningRows::read(reading, Cow::Owned(table), context)?;
        context.check()?;
        self.fit_and_validate(columns.schema, &rows, policy, context)
    }

    /// Fits a model on tables that do not fit in memory, in several passes over them. For a detector that needs all rows at once,
    /// the rows are held. To be called on the compute pool.
    ///
    /// Ignores [`sample_rows`](Self::sample_rows): a sample fits in memory, so draw it first and use [`fit`](Self::fit).
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit); and fails when the detector needs all rows at once and there are too many to be held.
    pub fn fit_in_passes(&self, tables: &dyn TableSource, context: &Context) -> Result<Fitted> {
        let (policy, _) = self.check_rows(true)?;
        let n_rows = tables.n_rows();
        if n_rows < MIN_ROWS {
            return Err(too_few(n_rows));
        }
        if n_rows > MAX_ROWS {
            let message = format!(
                "{n_rows} rows are more than the {MAX_ROWS} that a model can learn from at once"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        context.enter(stage::PREPARING);
        let visit: &VisitTables<'_> = &|each| {
            let step = context.step(Unit::Rows, n_rows);
            tables.visit(context, &mut |table| {
                let then = each(&table)?;
                step.advance(table.n_rows());
                Ok(then)
            })
        };
        let columns = self.learn_from_columns(visit)?;
        let rows = PassedRows {
            tables,
            schema: &columns.schema,
            matching: self.matching(&columns),
            engineering: columns.engineering.as_ref(),
        };
        let schema = columns.schema.clone();
        if self.detector.can_stream() {
            return self.fit_rows(schema, &rows, policy, context);
        }
        let n_engineered = columns.engineering.as_ref();
        let n_engineered = n_engineered.map_or(0, |plan| plan.engineer().n_features());
        let n_raw = schema.n_features() + n_engineered;
        check_cells(n_rows, n_raw).map_err(|_| self.detector.cannot_stream())?;
        let rows = LearningRows::hold(&rows, n_raw, (&self.detector, &schema), context)?;
        self.fit_and_validate(schema, &rows, policy, context)
    }

    /// Learns the schema and, in a second pass if there are categorical features, their texts. The first table decides the roles
    /// of the columns, except that later ones may be needed to find the column of times.
    fn learn_from_columns(&self, visit: &VisitTables<'_>) -> Result<Columns> {
        let mut draft: Option<SchemaDraft> = None;
        visit(&mut |table| {
            let draft = match &mut draft {
                Some(draft) => draft,
                None => draft.insert(SchemaDraft::new(table, &self.roles)?),
            };
            draft.add(table)?;
            Ok(match draft.is_settled() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        let schema = draft.ok_or_else(|| too_few(0))?.finish()?;
        let mut vocabulary = Vocabulary::default().widened(&schema);
        if vocabulary != Vocabulary::default() {
            visit(&mut |table| {
                vocabulary.learn_more(&schema, table)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let engineering = match &self.engineering {
            Some(spec) => Some(Engineering::new(spec, &schema)?),
            None => None,
        };
        Ok(Columns {
            vocabulary: vocabulary.sorted(),
            schema,
            engineering,
        })
    }

    fn matching<'a>(&self, columns: &'a Columns) -> Matching<'a> {
        Matching {
            purpose: Purpose::Learn,
            policy: self.feature_policy,
            needs_history: columns.engineering.is_some(),
            vocabulary: &columns.vocabulary,
        }
    }

    /// Fits a model on all rows, and measures a supervised detector with a second model for which some rows are held out.
    pub(super) fn fit_and_validate(
        &self,
        schema: Schema,
        rows: &LearningRows,
        policy: Policy,
        context: &Context,
    ) -> Result<Fitted> {
        let mut fitted = self.fit_rows(schema, rows, policy, context)?;
        if let Some(classes) = &rows.classes {
            let fraction = self.validation_fraction();
            let split = Split::stratified(classes, fraction, self.detector.random_state());
            if let Some(split) = split {
                context.enter(stage::VALIDATING);
                // its fit would report the stages once more
                let context = &context.reporting(None);
                fitted.model.statistics.label_metrics =
                    self.validate(&fitted.model, rows, &split, policy, context)?;
            }
        }
        Ok(fitted)
    }

    fn fit_rows(
        &self,
        schema: Schema,
        rows: &dyn RawSource,
        policy: Policy,
        context: &Context,
    ) -> Result<Fitted> {
        let learned = self.learn_features(schema, rows, context)?;
        self.fit_prepared(learned, rows, policy, context)
    }

    /// Fits a model on rows whose features have been learned.
    fn fit_prepared(
        &self,
        learned: LearnedFeatures,
        rows: &dyn RawSource,
        policy: Policy,
        context: &Context,
    ) -> Result<Fitted> {
        let LearnedFeatures {
            mut features,
            gaps,
            moments,
        } = learned;
        let empty = match self.detector.is_supervised() {
            true => Reservoir::by_class,
            false => Reservoir::new,
        };
        let random_state = self.detector.random_state();
        let mut reservoir = empty(self.reservoir_size, features.n_raw(), random_state)
            .with_vocabulary(features.vocabulary.clone());
        context.enter(stage::FITTING);
        let learned = self.fit_detector(&features, rows, &mut reservoir, context)?;

        // the last pass scores all rows, and samples those that are not held
        context.enter(stage::CALIBRATING);
        let held = rows.held();
        // a pass over rows that are not held is counted already
        let step = match held {
            Some(_) => context.step(Unit::Rows, rows.n_rows()),
            None => Step::default(),
        };
        let (mut scores, mut labels) = (Vec::new(), None::<Vec<Label>>);
        let builder = rows.visit(context, &mut |chunk| {
            if held.is_none() {
                reservoir.offer(chunk.raw, chunk.labels)?;
            }
            if let Some(of_chunk) = chunk.labels {
                labels.get_or_insert_default().extend(of_chunk);
            }
            if learned.calibration_scores.is_none() {
                let of_chunk = score_rows(&features, &learned.detector, chunk.raw, &step, context)?;
                match scores.is_empty() {
                    true => scores = of_chunk,
                    false => scores.extend(of_chunk),
                }
            }
            Ok(())
        })?;
        let scores = learned.calibration_scores.unwrap_or(scores);
        let weights = held.and_then(|held| held.weights.as_deref());
        // a detector that has learned from the labels must not be measured by them
        let labels = labels.filter(|_| !self.detector.is_supervised());
        let calibration = Calibration::new(policy, &scores, weights, labels.as_deref())?;
        if let (Some(engineering), Some(builder)) = (&mut features.engineering, builder) {
            *engineering = engineering.clone().remembering(builder)?;
        }
        let statistics = Statistics {
            n_rows: rows.n_rows() as u64,
            n_missing_values: gaps.n_missing,
            n_infinite_values: gaps.n_infinite,
            features: Some(moments),
            ..Statistics::default()
        };
        let model = Model {
            spec: self.clone(),
            features,
            detector: learned.detector,
            threshold: calibration.threshold,
            statistics: statistics.calibrated(&calibration),
        };
        Ok(Fitted {
            model,
            reservoir: Some(reservoir),
        })
    }

    /// Fits the detector. If the rows are held, another thread fills the reservoir at the same time.
    fn fit_detector(
        &self,
        features: &Features,
        rows: &dyn RawSource,
        reservoir: &mut Reservoir,
        context: &Context,
    ) -> Result<Learned<FittedDetector>> {
        let learned = match rows.held() {
            None => self.detector.fit(&PreparedRows { rows, features }, context),
            Some(held) => {
                let observed = features.transform_observed(held.raw.view());
                let imputed = features.transform(held.raw.view());
                let sample = Sample {
                    rows: imputed.view(),
                    observed: observed.view(),
                    labels: held.classes.as_deref(),
                };
                let fit = || self.detector.fit(&sample, context);
                let draw = || reservoir.offer(held.raw.view(), held.labels.as_deref());
                let (learned, drawn) = rayon::join(fit, draw);
                drawn?;
                learned
            }
        };
        learned.map_err(|error| name_column(error, &features.names()))
    }

    /// Fits a model on one part of the rows and measures it on the other. `None` if the features cannot be learned from the first
    /// part alone, where one may lack values that the second has: that is no reason to refuse the rows as a whole.
    fn validate(
        &self,
        model: &Model,
        rows: &LearningRows,
        split: &Split,
        policy: Policy,
        context: &Context,
    ) -> Result<Option<LabelMetrics>> {
        let part = rows.select(&split.learned);
        let schema = model.features.schema.clone();
        let learned = match self.learn_features(schema, &part, context) {
            Err(error) if error.reason() == reason::UNUSABLE_ROWS => return Ok(None),
            learned => learned?,
        };
        self.fit_prepared(learned, &part, policy, context)?
            .model
            .measure(&rows.select(&split.held_out), context)
    }

    /// Checks the spec, and whether records are needed, without reading any row.
    ///
    /// # Errors
    /// Fails when a parameter is out of range, and when records are missing or the parameters leave nothing to learn from them.
    pub fn check_request(&self, has_records: bool) -> Result<()> {
        self.check_rows(has_records).map(drop)
    }

    fn check_rows(&self, has_records: bool) -> Result<(Policy, Option<Given<FittedDetector>>)> {
        let (policy, given) = self.check()?;
        match (&given, has_records) {
            (Some(given), true) => {
                let given = self.path_of(given.parameter);
                let message =
                    format!("{given} and records exclude each other; leave out one of them");
                Err(Error::field("records", message))
            }
            (None, false) => Err(no_records()),
            _ => Ok((policy, given)),
        }
    }

    /// The model of a detector whose parameters define it completely.
    fn model_of_given(&self, given: Given<FittedDetector>, policy: Policy) -> Result<Fitted> {
        let path = self.path_of(given.parameter);
        if policy.needs_scores() {
            let message =
                format!("contamination needs training rows; with {path}, give a threshold");
            return Err(Error::field("contamination", message));
        }
        if self.roles != Roles::default() || self.engineering.is_some() {
            let message = format!(
                "the roles of columns and feature engineering need training rows, and {path} has none"
            );
            return Err(Error::field(path, message));
        }
        if !matches!(self.scaling, None | Some(Scaling::None)) {
            let message = format!("{path} are in original units and cannot be scaled");
            return Err(Error::field("scaler", message));
        }
        let n_features = given.features.len();
        Ok(Fitted {
            model: Model {
                spec: self.clone(),
                features: Features {
                    schema: Schema::of_features(given.features)?,
                    policy: self.feature_policy,
                    vocabulary: Vocabulary::default(),
                    engineering: None,
                    imputer: Imputer::with_values(given.fill),
                    encoder: Encoder::of_numbers(n_features),
                    scale: None,
                },
                detector: given.detector,
                threshold: Threshold::new(policy, &[], None)?,
                statistics: Statistics::default(),
            },
            reservoir: None,
        })
    }
}

/// The error for fewer rows than [`MIN_ROWS`].
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

#[cfg(test)]
mod tests;
