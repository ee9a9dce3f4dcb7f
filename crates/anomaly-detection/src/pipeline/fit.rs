//! Training: from rows, held in a table or walked over in passes, to a model. Both ways give the same one.

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
use super::validation::{Split, measured};
use crate::calibration::{Calibration, LabelMetrics, Policy, Threshold};
use crate::context::Context;
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

/// The most rows whose scores are held at once: 800 MB would be more than a model is worth.
const MAX_ROWS: usize = 50_000_000;

/// A model and what its updates need. A model that cannot be updated has no reservoir.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// A sample of all raw rows that it has learned from.
    pub reservoir: Option<Reservoir>,
}

/// A way to walk over the tables that hold the rows, as far as whoever looks at them wants more.
type Look<'a> = dyn Fn(&mut dyn FnMut(&Table) -> Result<ControlFlow<()>>) -> Result<()> + 'a;

/// How the columns of tables become features.
struct Columns {
    schema: Schema,
    vocabulary: Vocabulary,
    engineering: Option<Engineering>,
}

impl TrainingSpec {
    /// Fits a model on the rows of a table, or on what the detector's parameters say when there is none. To be called on the
    /// compute pool.
    ///
    /// Fails when a parameter is out of range, when nothing can be learned from the rows, or when `context` ends.
    pub fn fit(&self, table: Option<Table>, context: &Context) -> Result<Fitted> {
        let (policy, given) = self.check_rows(table.is_some())?;
        let table = match (table, given) {
            (Some(table), _) => table,
            (None, Some(given)) => return self.take(given, policy),
            (None, None) => return Err(no_records()),
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
        let columns = self.learn_from_columns(&|each| each(&table).map(|_| ()))?;
        let reading = Reading {
            schema: &columns.schema,
            matching: self.matching(&columns),
            engineering: columns.engineering.clone(),
            detector: &self.detector,
        };
        let rows = LearningRows::read(reading, table, context)?;
        context.check()?;
        self.fit_and_validate(columns.schema, &rows, policy, context)
    }

    /// Fits a model on tables that are too many to be held, walking over them again and again; a detector that needs all rows
    /// at once holds them. To be called on the compute pool.
    ///
    /// All of them are learned from, whatever [`sample_rows`](Self::sample_rows) says: a sample can be held.
    ///
    /// Fails as [`fit`](Self::fit), and when the detector needs all rows at once and they are too many for that.
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
        let look: &Look<'_> = &|each| tables.visit(context, &mut |table| each(&table));
        let columns = self.learn_from_columns(look)?;
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

    /// Learns what the columns are: their roles from the first table, but where later ones decide which column holds the times;
    /// and the texts of the categorical features, where there are any, in a walk of its own.
    fn learn_from_columns(&self, look: &Look<'_>) -> Result<Columns> {
        let mut draft: Option<SchemaDraft> = None;
        look(&mut |table| {
            let draft = match &mut draft {
                Some(draft) => draft,
                None => draft.insert(SchemaDraft::new(table, &self.roles)?),
            };
            draft.see(table)?;
            Ok(match draft.is_settled() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        let schema = draft.ok_or_else(|| too_few(0))?.finish()?;
        let mut vocabulary = Vocabulary::default().widened(&schema);
        if vocabulary != Vocabulary::default() {
            look(&mut |table| {
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

    /// Fits a model, and measures a supervised detector on rows that are held out.
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
                let metrics = self.validate(&fitted.model, rows, &split, policy, context);
                fitted.model.statistics.label_metrics = measured(metrics)?;
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
        let LearnedFeatures {
            mut features,
            gaps,
            moments,
        } = self.learn_features(schema, rows, context)?;
        let empty = match self.detector.is_supervised() {
            true => Reservoir::by_class,
            false => Reservoir::new,
        };
        let random_state = self.detector.random_state();
        let mut reservoir = empty(self.reservoir_size, features.n_raw(), random_state)
            .with_vocabulary(features.vocabulary.clone());
        let learned = self.fit_detector(&features, rows, &mut reservoir, context)?;

        // the last pass scores all rows, and samples them where that is not done
        let held = rows.held();
        let (mut scores, mut labels) = (Vec::new(), None::<Vec<Label>>);
        let builder = rows.visit(context, &mut |block| {
            if held.is_none() {
                reservoir.offer(block.raw, block.labels);
            }
            if let Some(of_block) = block.labels {
                labels.get_or_insert_default().extend(of_block);
            }
            if learned.calibration_scores.is_none() {
                let of_block = score_rows(&features, &learned.detector, block.raw, context)?;
                match scores.is_empty() {
                    true => scores = of_block,
                    false => scores.extend(of_block),
                }
            }
            Ok(())
        })?;
        let scores = learned.calibration_scores.unwrap_or(scores);
        let weights = held.and_then(|held| held.weights.as_deref());
        // a detector that has learned from the labels is not compared with them
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

    /// Fits the detector and, of rows that are held, draws the sample meanwhile: it is one long walk over the rows, which another
    /// thread need not wait for.
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
                rayon::join(fit, draw).0
            }
        };
        learned.map_err(|error| name_column(error, &features.names()))
    }

    /// How a model that learns from one part of the rows does on the other.
    fn validate(
        &self,
        model: &Model,
        rows: &LearningRows,
        split: &Split,
        policy: Policy,
        context: &Context,
    ) -> Result<Option<LabelMetrics>> {
        let schema = model.features.schema.clone();
        let learned = self.fit_rows(schema, &rows.select(&split.learned), policy, context)?;
        learned
            .model
            .measure(&rows.select(&split.held_out), context)
    }

    /// Checks all that can be checked without looking at rows, but for whether there are any.
    ///
    /// Fails when a parameter is out of range, or records are missing, or given beside what they would say.
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

    /// The model of a detector whose parameters say all.
    fn take(&self, given: Given<FittedDetector>, policy: Policy) -> Result<Fitted> {
        let path = self.path_of(given.parameter);
        if policy.needs_scores() {
            let message =
                format!("contamination needs training rows; with {path} give a threshold");
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

#[cfg(test)]
mod tests;
