//! Updating a model with more rows, without the old ones. The schema, the imputation, the scale and all parameters stay as they
//! were at training; the reservoir stands for the earlier rows.

use std::borrow::Cow;

use super::fit::Fitted;
use super::learning_rows::{LearningRows, Reading};
use super::model::{Model, Statistics};
use super::reservoir::Reservoir;
use super::score::score_rows;
use super::validation::Split;
use crate::calibration::Calibration;
use crate::context::{Context, Unit, stage};
use crate::detector::{PastRows, Sample};
use crate::error::{Error, Result, reason};
use crate::features::{Features, Label, Matching, Purpose};
use crate::statistics::name_column;
use crate::table::Table;

impl Model {
    /// A new model that has also learned from these rows. The cost depends on their number and on the size of the reservoir,
    /// not on the number of earlier rows. To be called on the compute pool.
    ///
    /// # Errors
    /// Fails when the model does not learn or the columns do not fit, and with those of [`Context::check`].
    pub fn update(
        &self,
        reservoir: Option<Reservoir>,
        table: &Table,
        context: &Context,
    ) -> Result<Fitted> {
        let Some(mut reservoir) = reservoir else {
            return Err(Error::new(
                reason::UPDATE_REFUSED,
                "a model of given baselines does not learn; train it again with new baselines",
            ));
        };
        context.enter(stage::PREPARING);
        let new_features = self.features_to_adopt(&reservoir, table);
        if !new_features.is_empty() {
            return self.adopt(reservoir, table, &new_features, context);
        }
        let detector = self.detector.params();
        reservoir.learn_vocabulary(&self.features.schema, table);
        let reading = Reading {
            schema: &self.features.schema,
            matching: Matching {
                vocabulary: reservoir.vocabulary(),
                ..self.features.matching(Purpose::Learn)
            },
            engineering: self.features.engineering.clone(),
            detector: &detector,
        };
        let rows = LearningRows::read(reading, Cow::Borrowed(table), context)?;
        context.check()?;

        let mut model = self.learn(&reservoir, &rows, context)?;
        if let (Some(classes), Some(fraction)) = (&rows.classes, self.validation_fraction())
            && let Some(split) = Split::stratified(classes, fraction, detector.random_state())
        {
            context.enter(stage::VALIDATING);
            // learning would report the stages once more
            let context = &context.reporting(None);
            let learned = self.learn(&reservoir, &rows.select(&split.learned), context)?;
            model.statistics.label_metrics =
                learned.measure(&rows.select(&split.held_out), context)?;
        }
        reservoir.offer(rows.raw.view(), rows.labels.as_deref())?;
        Ok(Fitted {
            model,
            reservoir: Some(reservoir),
        })
    }

    /// The updated model, without validation.
    fn learn(&self, reservoir: &Reservoir, rows: &LearningRows, context: &Context) -> Result<Self> {
        let names = &self.features.names();
        let old_raw = reservoir.rows()?;
        let old = self.features.transform(old_raw.view());
        let old_classes = match &rows.classes {
            Some(_) => Some(classes(reservoir)?),
            None => None,
        };
        let observed = self.features.transform_observed(rows.raw.view());
        let imputed = self.features.transform(rows.raw.view());
        let past = PastRows {
            rows: old.view(),
            labels: old_classes.as_deref(),
            seen: reservoir.seen(),
            seen_by_class: reservoir.seen_by_class(),
        };
        let sample = Sample {
            rows: imputed.view(),
            observed: observed.view(),
            labels: rows.classes.as_deref(),
        };
        context.enter(stage::FITTING);
        let learned = self
            .detector
            .update(past, sample, context)
            .map_err(|error| name_column(error, names))?;

        let mut moments = self.statistics.features.clone();
        if let Some(moments) = &mut moments {
            moments
                .push(self.features.transform_unscaled(rows.raw.view()).view())
                .map_err(|error| error.named(names))?;
        }
        let features = Features {
            engineering: rows.engineering.clone(),
            ..self.features.clone()
        };
        let scores = match learned.calibration_scores {
            Some(scores) => scores,
            None => {
                context.enter(stage::CALIBRATING);
                let step = context.step(Unit::Rows, old_raw.nrows() + rows.raw.nrows());
                let score = |raw| score_rows(&features, &learned.detector, raw, &step, context);
                let mut scores = score(old_raw.view())?;
                scores.extend(score(rows.raw.view())?);
                scores
            }
        };
        let mut weights = reservoir.weights();
        weights.resize(scores.len(), 1.0);
        let labels = match &rows.classes {
            Some(_) => None,
            None => joined_labels(reservoir, rows),
        };
        let policy = self.threshold.policy;
        let calibration = Calibration::new(policy, &scores, Some(&weights), labels.as_deref())?;
        let before = &self.statistics;
        let statistics = Statistics {
            n_rows: before.n_rows.saturating_add(rows.raw.nrows() as u64),
            n_missing_values: before.n_missing_values.saturating_add(rows.gaps.n_missing),
            n_infinite_values: before
                .n_infinite_values
                .saturating_add(rows.gaps.n_infinite),
            features: moments,
            ..Statistics::default()
        };
        Ok(Self {
            spec: self.spec.clone(),
            features,
            detector: learned.detector,
            threshold: calibration.threshold,
            statistics: statistics.calibrated(&calibration),
        })
    }
}

/// The labels of the rows of the reservoir and then of the new rows; `None` if neither have any.
pub(super) fn joined_labels(reservoir: &Reservoir, rows: &LearningRows) -> Option<Vec<Label>> {
    let old = reservoir.labels();
    if old.is_none() && rows.labels.is_none() {
        return None;
    }
    let mut labels = old.unwrap_or_else(|| vec![None; reservoir.n_rows()]);
    match &rows.labels {
        Some(new) => labels.extend(new),
        None => labels.resize(reservoir.n_rows() + rows.raw.nrows(), None),
    }
    Some(labels)
}

/// The labels of the reservoir of a supervised detector, in which every row has one.
pub(super) fn classes(reservoir: &Reservoir) -> Result<Vec<bool>> {
    let labels = reservoir.labels().unwrap_or_default();
    let classes: Vec<bool> = labels.iter().copied().flatten().collect();
    if classes.len() == reservoir.n_rows() {
        return Ok(classes);
    }
    let message = "the stored reservoir lacks labels, which its detector learns from";
    Err(Error::new(reason::DAMAGED_ARTIFACT, message))
}
