//! The rows that a model learns from, read from a table.

use ndarray::{Array2, Axis};

use crate::context::Context;
use crate::detector::DetectorParams;
use crate::error::{Error, Result, reason};
use crate::features::{
    Engineering, Gaps, Label, Matching, Schema, Vocabulary, infinite_to_missing,
};
use crate::table::Table;

/// Rows to learn from, aligned to a schema.
pub(super) struct LearningRows {
    /// The values, n x r: the features and what was engineered, with NaN where a value was missing or infinite.
    pub(super) raw: Array2<f64>,
    pub(super) gaps: Gaps,
    pub(super) labels: Option<Vec<Label>>,
    /// The labels again, for a detector that learns from them: then every row has one.
    pub(super) classes: Option<Vec<bool>>,
    /// How many rows each stands for; `None` where each stands for itself.
    pub(super) weights: Option<Vec<f64>>,
    /// The numbers of the texts among the values.
    pub(super) vocabulary: Vocabulary,
    /// The engineering, which remembers these rows.
    pub(super) engineering: Option<Engineering>,
}

/// How rows are read.
pub(super) struct Reading<'a> {
    pub(super) schema: &'a Schema,
    pub(super) matching: Matching<'a>,
    /// What is engineered, from what is remembered on.
    pub(super) engineering: Option<Engineering>,
    pub(super) detector: &'a DetectorParams,
}

impl LearningRows {
    /// Reads a table. Where something is engineered, rows are learned from in the order of their times. A supervised detector
    /// gets only the rows whose label is known.
    pub(super) fn read(how: Reading<'_>, table: Table, context: &Context) -> Result<Self> {
        let Reading {
            schema,
            matching,
            mut engineering,
            detector,
        } = how;
        let mut aligned = schema.align(table, matching)?;
        let gaps = Gaps::count(&aligned.features);
        if gaps.n_infinite > 0 {
            infinite_to_missing(&mut aligned.features);
        }
        context.check()?;
        let mut raw = match engineering.take() {
            None => std::mem::take(&mut aligned.features),
            Some(plan) => {
                plan.sort(&mut aligned);
                let mut builder = plan.builder();
                let raw = plan.extend(&aligned, &mut builder, context)?;
                engineering = Some(plan.remembering(builder)?);
                raw
            }
        };
        let mut labels = aligned.labels;
        let mut classes = None;
        if detector.is_supervised() {
            let known = labels
                .as_deref()
                .ok_or_else(|| unlabelled(detector, schema))?;
            let rows: Vec<usize> = (0..known.len())
                .filter(|&row| known[row].is_some())
                .collect();
            if rows.len() < known.len() {
                raw = raw.select(Axis(0), &rows);
            }
            if rows.is_empty() {
                let message = format!("{} learns from labels, and no row has one", detector.name());
                return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
            }
            let of_rows: Vec<bool> = known.iter().copied().flatten().collect();
            labels = Some(of_rows.iter().copied().map(Some).collect());
            classes = Some(of_rows);
        }
        Ok(Self {
            raw,
            gaps,
            labels,
            classes,
            weights: None,
            vocabulary: matching.vocabulary.clone(),
            engineering,
        })
    }

    /// Checks that each engineered feature has a value in some row; `n_given` are not engineered. The rows of an update need none:
    /// they may be the first ones of their series.
    pub(super) fn check_engineered(&self, n_given: usize) -> Result<()> {
        let names = self
            .engineering
            .iter()
            .flat_map(|plan| plan.engineer().names());
        let mut engineered = self.raw.columns().into_iter().skip(n_given).zip(names);
        match engineered.find(|(column, _)| column.iter().all(|x| x.is_nan())) {
            None => Ok(()),
            Some((_, name)) => {
                let message = format!(
                    "no row has a value of the engineered feature {name:?}: every series has too few rows with a value; give more \
                     rows, or shorten the lags and rolling_windows of feature_engineering"
                );
                Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"))
            }
        }
    }

    /// The labels to compare scores with: none for a detector that has learned from them.
    pub(super) fn labels_to_compare(&self) -> Option<&[Label]> {
        match self.classes {
            Some(_) => None,
            None => self.labels.as_deref(),
        }
    }

    /// Some of the rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        fn chosen<T: Copy>(values: &Option<Vec<T>>, rows: &[usize]) -> Option<Vec<T>> {
            let values = values.as_ref()?;
            Some(rows.iter().map(|&row| values[row]).collect())
        }
        let raw = self.raw.select(Axis(0), rows);
        Self {
            gaps: Gaps::count(&raw),
            raw,
            labels: chosen(&self.labels, rows),
            classes: chosen(&self.classes, rows),
            weights: chosen(&self.weights, rows),
            vocabulary: self.vocabulary.clone(),
            engineering: self.engineering.clone(),
        }
    }
}

fn unlabelled(detector: &DetectorParams, schema: &Schema) -> Error {
    let name = detector.name();
    let message = match schema.label_column() {
        Some(column) => format!(
            "{name} learns from labels, and the records have neither the column {column:?}, which held them at training, nor \
             labels beside a matrix"
        ),
        None => format!(
            "{name} learns from labels; give labels beside a matrix, or name the column that holds them when training"
        ),
    };
    Error::new(reason::UNUSABLE_ROWS, message).at("records")
}
