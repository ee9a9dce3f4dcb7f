//! Adopting features that a model does not know. An update that brings such features retrains on the rows of the reservoir,
//! in which they are missing, and on the new rows.

use std::borrow::Cow;
use std::collections::HashMap;

use ndarray::{Axis, concatenate};

use super::fit::Fitted;
use super::learning_rows::{LearningRows, Reading};
use super::model::Model;
use super::reservoir::Reservoir;
use super::update::{classes, joined_labels};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::features::{FeaturePolicy, Matching, Purpose, are_dates};
use crate::table::{ColumnView, Table};

impl Model {
    /// The unknown columns of a table that an update adopts as features. Columns of times or dates are not adopted, nor those
    /// without a value to learn from, and nothing is unless the policy is adaptive.
    ///
    /// A supervised detector adopts nothing once its reservoir is only a sample of the rows: a rare class has a larger share
    /// there than among all rows, and retraining would learn the wrong share.
    pub(super) fn features_to_adopt(&self, reservoir: &Reservoir, table: &Table) -> Vec<String> {
        let (FeaturePolicy::Adaptive, Some(names)) = (self.features.policy, table.names()) else {
            return Vec::new();
        };
        let mut unknown = self.features.schema.unknown(names);
        let is_sample = || reservoir.seen() > reservoir.n_rows() as u64;
        if unknown.is_empty() || self.spec.detector.is_supervised() && is_sample() {
            return Vec::new();
        }
        let places: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let learned = self.is_learned(table, &places);
        let is_learned = |row: usize| learned.as_ref().is_none_or(|learned| learned[row]);
        let has_room = reservoir.vocabulary().has_room();
        let engineered = self.features.engineering.iter();
        let engineered: Vec<String> = engineered.flat_map(|it| it.engineer().names()).collect();
        unknown.retain(|name| !engineered.contains(name));
        unknown.retain(|name| {
            let column = places.get(name.as_str());
            column.is_some_and(|&column| match table.column(column) {
                ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers) => {
                    let mut numbers = numbers.iter().enumerate();
                    numbers.any(|(row, number)| number.is_finite() && is_learned(row))
                }
                ColumnView::Texts(texts) => {
                    let mut rows = 0..texts.len();
                    let is_learned = |row| texts.get(row).is_some() && is_learned(row);
                    has_room && rows.any(is_learned) && !are_dates(texts)
                }
                ColumnView::Times(_) => false,
            })
        });
        unknown
    }

    /// Whether each row has a label, which a supervised detector needs to learn from it; `None` if all rows are learned from.
    fn is_learned(&self, table: &Table, places: &HashMap<&str, usize>) -> Option<Vec<bool>> {
        if !self.spec.detector.is_supervised() {
            return None;
        }
        if let Some(labels) = table.labels() {
            return Some(labels.iter().map(|label| !label.is_nan()).collect());
        }
        let column = places.get(self.features.schema.label_column()?)?;
        match table.column(*column) {
            ColumnView::Numbers(labels) | ColumnView::Booleans(labels) => {
                Some(labels.iter().map(|label| !label.is_nan()).collect())
            }
            _ => None,
        }
    }

    /// Updates the model with rows that have these new features besides the known ones.
    pub(super) fn adopt(
        &self,
        reservoir: Reservoir,
        table: &Table,
        new_features: &[String],
        context: &Context,
    ) -> Result<Fitted> {
        let known = &self.features.schema;
        let schema = known.with_features(table, new_features)?;
        let mut vocabulary = reservoir.vocabulary().widened(&schema);
        vocabulary.learn_what_fits(&schema, table);
        let n_known = known.n_features();
        let n_new = schema.n_features() - n_known;
        let mut reservoir = reservoir.widened(n_known, n_new, vocabulary);
        let reading = Reading {
            schema: &schema,
            matching: Matching {
                vocabulary: reservoir.vocabulary(),
                ..self.features.matching(Purpose::Learn)
            },
            engineering: self.features.engineering.clone(),
            detector: &self.spec.detector,
        };
        let new = LearningRows::read(reading, Cow::Borrowed(table), context)?;
        let classes = match &new.classes {
            None => None,
            Some(new) => Some([classes(&reservoir)?.as_slice(), new].concat()),
        };
        let raw = {
            let old = reservoir.rows()?;
            concatenate(Axis(0), &[old.view(), new.raw.view()]).map_err(|error| {
                Error::new(reason::INTERNAL, "old and new rows do not fit together").because(error)
            })?
        };
        let mut weights = reservoir.weights();
        weights.resize(raw.nrows(), 1.0);
        let all = LearningRows {
            raw,
            labels: joined_labels(&reservoir, &new),
            classes,
            weights: Some(weights),
            gaps: new.gaps.clone(),
            vocabulary: new.vocabulary.clone(),
            engineering: new.engineering.clone(),
        };
        let mut spec = self.spec.clone();
        if !spec.roles.features.is_empty() {
            // a training with the same spec has to list them, too
            let listed = &mut spec.roles.features;
            listed.extend_from_slice(&schema.features()[n_known..]);
        }
        let mut fitted = spec.fit_and_validate(schema, &all, spec.check()?.0, context)?;
        let (before, after) = (&self.statistics, &mut fitted.model.statistics);
        after.n_rows = before.n_rows.saturating_add(new.raw.nrows() as u64);
        after.n_missing_values = after
            .n_missing_values
            .saturating_add(before.n_missing_values);
        after.n_infinite_values = after
            .n_infinite_values
            .saturating_add(before.n_infinite_values);
        reservoir.offer(new.raw.view(), new.labels.as_deref())?;
        fitted.reservoir = Some(reservoir);
        Ok(fitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::DetectorParams;
    use crate::features::Roles;
    use crate::pipeline::{Describe, TrainingSpec};
    use crate::table::Column;

    fn table(columns: Vec<(&str, Vec<f64>)>) -> Table {
        let (names, columns): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|(name, values)| (name.to_owned(), Column::Numbers(values)))
            .unzip();
        Table::from_columns(Some(names), columns).expect("a table")
    }

    fn spec() -> TrainingSpec {
        TrainingSpec {
            detector: DetectorParams::Gaussian(Default::default()),
            feature_policy: FeaturePolicy::Adaptive,
            roles: Roles {
                features: vec!["x".to_owned()],
                ..Roles::default()
            },
            reservoir_size: 1000,
            ..TrainingSpec::default()
        }
    }

    /// Spread evenly over -1 to 1.
    fn even(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| (2 * i + 1) as f64 / n as f64 - 1.0)
            .collect()
    }

    #[test]
    fn rows_of_the_reservoir_are_weighted_by_the_rows_that_they_stand_for() {
        let context = Context::new();
        let old = table(vec![("x", even(20_000))]);
        let fitted = spec().fit(Some(old), &context).expect("fits");
        // these rows lie farther in than the old ones, which are twenty times as many
        let z = (0..1000).map(|i| f64::from(i % 2)).collect();
        let new = table(vec![("x", vec![0.0; 1000]), ("z", z)]);
        let adopted = fitted
            .model
            .update(fitted.reservoir, &new, &context)
            .expect("adopts")
            .model;
        let names = adopted.features().schema.features();
        assert_eq!(names, ["x", "z"]);
        let scored = |x: f64| {
            let rows = table(vec![("x", vec![x]), ("z", vec![0.5])]);
            adopted
                .score(rows, None, Describe::Nothing, &context)
                .expect("scores")
                .scores[0]
        };
        // a tenth of all rows is flagged, which is hardly more than a tenth of the old ones; without weights it would be a fifth
        let threshold = adopted.threshold().value;
        assert!(
            scored(0.85) < threshold && scored(0.95) > threshold,
            "{threshold}"
        );
    }

    #[test]
    fn a_supervised_detector_adopts_only_labelled_values_and_nothing_from_a_sample() {
        let context = Context::new();
        let labels = |n: usize| (0..n).map(|i| f64::from(i % 4 == 0)).collect::<Vec<_>>();
        let spec = |reservoir_size| TrainingSpec {
            detector: DetectorParams::LogisticRegression(Default::default()),
            roles: Roles {
                label: Some("bad".to_owned()),
                ..Roles::default()
            },
            reservoir_size,
            ..spec()
        };
        let adopted = |reservoir_size| {
            let old = table(vec![("x", even(100)), ("bad", labels(100))]);
            let fitted = spec(reservoir_size).fit(Some(old), &context).expect("fits");
            let mut of_new = labels(20);
            of_new[7] = f64::NAN;
            let unlabelled = (0..20).map(|i| if i == 7 { 1.0 } else { f64::NAN });
            let new = table(vec![
                ("x", even(20)),
                ("bad", of_new),
                ("unlabelled", unlabelled.collect()),
                ("z", even(20)),
            ]);
            let updated = fitted.model.update(fitted.reservoir, &new, &context);
            updated
                .expect("updates")
                .model
                .features()
                .schema
                .features()
                .to_vec()
        };
        assert_eq!(adopted(1000), ["x", "z"]);
        assert_eq!(adopted(50), ["x"]);
    }

    #[test]
    fn columns_without_values_are_not_adopted_and_adopted_ones_are_listed() {
        let context = Context::new();
        let old = table(vec![("x", even(100))]);
        let fitted = spec().fit(Some(old), &context).expect("fits");
        let new = table(vec![
            ("x", even(10)),
            ("nothing", vec![f64::NAN; 10]),
            ("endless", vec![f64::INFINITY; 10]),
            ("z", even(10)),
        ]);
        let adopted = fitted
            .model
            .update(fitted.reservoir, &new, &context)
            .expect("adopts")
            .model;
        assert_eq!(adopted.features().schema.features(), ["x", "z"]);
        assert_eq!(adopted.spec().roles.features, ["x", "z"]);
    }
}
