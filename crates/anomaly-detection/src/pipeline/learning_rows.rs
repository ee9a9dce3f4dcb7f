//! The rows that a model learns from, held in memory.

use ndarray::{Array2, Axis};

use super::raw_source::{EachRawBlock, RawBlock, RawSource};
use crate::context::Context;
use crate::detector::DetectorParams;
use crate::error::{Error, Result, reason};
use crate::features::{
    Builder, Engineering, Gaps, Label, Matching, Schema, Vocabulary, infinite_to_missing,
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
        let raw = match engineering.take() {
            None => std::mem::take(&mut aligned.features),
            Some(plan) => {
                plan.sort(&mut aligned);
                let mut builder = plan.builder();
                let raw = plan.extend(&aligned, &mut builder, context)?;
                engineering = Some(plan.remembering(builder)?);
                raw
            }
        };
        let rows = Self {
            raw,
            gaps,
            labels: aligned.labels,
            classes: None,
            weights: None,
            vocabulary: matching.vocabulary.clone(),
            engineering,
        };
        rows.for_detector(detector, schema)
    }

    /// Holds the rows of a source, each of so many values, which must be few enough.
    pub(super) fn hold(
        rows: &dyn RawSource,
        n_raw: usize,
        (detector, schema): (&DetectorParams, &Schema),
        context: &Context,
    ) -> Result<Self> {
        let (mut values, mut gaps) = (Vec::with_capacity(rows.n_rows() * n_raw), Gaps::default());
        let mut labels: Option<Vec<Label>> = None;
        let builder = rows.visit(context, &mut |block| {
            gaps.merge(block.gaps);
            values.extend(block.raw.iter());
            if let Some(of_block) = block.labels {
                labels.get_or_insert_default().extend(of_block);
            }
            Ok(())
        })?;
        let raw =
            Array2::from_shape_vec((values.len() / n_raw, n_raw), values).map_err(|error| {
                Error::new(reason::INTERNAL, "rows differ in length").because(error)
            })?;
        let engineering = match (rows.engineering(), builder) {
            (Some(engineering), Some(builder)) => Some(engineering.clone().remembering(builder)?),
            (engineering, _) => engineering.cloned(),
        };
        let rows = Self {
            raw,
            gaps,
            labels,
            classes: None,
            weights: None,
            vocabulary: rows.vocabulary().clone(),
            engineering,
        };
        rows.for_detector(detector, schema)
    }

    /// For a supervised detector the rows whose label is known; else all.
    fn for_detector(mut self, detector: &DetectorParams, schema: &Schema) -> Result<Self> {
        if !detector.is_supervised() {
            return Ok(self);
        }
        let known = self.labels.as_deref();
        let known = known.ok_or_else(|| unlabelled(detector, schema))?;
        let rows: Vec<usize> = (0..known.len())
            .filter(|&row| known[row].is_some())
            .collect();
        if rows.is_empty() {
            let message = format!("{} learns from labels, and no row has one", detector.name());
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        if rows.len() < known.len() {
            self.raw = self.raw.select(Axis(0), &rows);
        }
        let classes: Vec<bool> = known.iter().copied().flatten().collect();
        self.labels = Some(classes.iter().copied().map(Some).collect());
        self.classes = Some(classes);
        Ok(self)
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

/// All rows are one block.
impl RawSource for LearningRows {
    fn n_rows(&self) -> usize {
        self.raw.nrows()
    }

    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn engineering(&self) -> Option<&Engineering> {
        self.engineering.as_ref()
    }

    fn visit(&self, context: &Context, each: &mut EachRawBlock<'_>) -> Result<Option<Builder>> {
        context.check()?;
        each(RawBlock {
            raw: self.raw.view(),
            gaps: &self.gaps,
            labels: self.labels.as_deref(),
        })?;
        Ok(None)
    }

    fn held(&self) -> Option<&LearningRows> {
        Some(self)
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
