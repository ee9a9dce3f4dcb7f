//! Adopting features that a model does not know: an update that has them learns anew, from the reservoir, whose rows miss them,
//! and the new rows.

use std::collections::HashMap;

use ndarray::{Axis, concatenate};

use super::fit::Fitted;
use super::learning_rows::{LearningRows, Reading};
use super::model::Model;
use super::reservoir::Reservoir;
use super::update::{classes, joined_labels};
use crate::context::Context;
use crate::error::{Error, Reason, Result};
use crate::features::{FeaturePolicy, Matching, Purpose};
use crate::table::{ColumnView, Table};

impl Model {
    /// The columns of a table to update with that become features: none unless the policy says so, and none without a value
    /// to learn from.
    pub(super) fn features_to_adopt(&self, table: &Table) -> Vec<String> {
        let (FeaturePolicy::Adaptive, Some(names)) = (self.features.policy, table.names()) else {
            return Vec::new();
        };
        let mut unknown = self.features.schema.unknown(names);
        if !unknown.is_empty() {
            let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
            unknown.retain(|name| {
                let column = places.get(name);
                column.is_some_and(|&column| match table.column(column) {
                    ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers) => {
                        numbers.iter().any(|number| number.is_finite())
                    }
                    ColumnView::Texts(texts) => texts.n_missing() < texts.len(),
                    ColumnView::Times(_) => false,
                })
            });
        }
        unknown
    }

    /// Learns from more rows, which have these features besides those that the model knows.
    pub(super) fn adopt(
        &self,
        reservoir: Reservoir,
        table: Table,
        new_features: &[String],
        context: &Context,
    ) -> Result<Fitted> {
        let known = &self.features.schema;
        let schema = known.with_features(&table, new_features)?;
        let mut vocabulary = reservoir.vocabulary().widened(&schema);
        vocabulary.learn_what_fits(&schema, &table);
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
        let new = LearningRows::read(reading, table, context)?;
        let classes = match &new.classes {
            None => None,
            Some(new) => Some([classes(&reservoir)?.as_slice(), new].concat()),
        };
        let raw = {
            let old = reservoir.rows()?;
            concatenate(Axis(0), &[old.view(), new.raw.view()]).map_err(|error| {
                Error::new(Reason::Internal, "old and new rows do not fit together").because(error)
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
            // a training alike lists them, too
            let listed = &mut spec.roles.features;
            listed.extend_from_slice(&schema.features()[n_known..]);
        }
        let mut fitted = spec.fit_and_validate(schema, &all, spec.check()?, context)?;
        let (before, after) = (&self.statistics, &mut fitted.model.statistics);
        after.n_rows = before.n_rows + new.raw.nrows() as u64;
        after.n_missing_values += before.n_missing_values;
        after.n_infinite_values += before.n_infinite_values;
        reservoir.offer(&new.raw, new.labels.as_deref());
        fitted.reservoir = Some(reservoir);
        Ok(fitted)
    }
}
