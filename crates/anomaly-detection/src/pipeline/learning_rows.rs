//! The rows that a model learns from, held in memory.

use std::borrow::Cow;

use ndarray::{Array2, Axis};

use super::raw_source::{EachRawChunk, RawChunk, RawSource};
use crate::context::Context;
use crate::detector::DetectorParams;
use crate::error::{Error, Result, reason};
use crate::features::{
    Builder, Engineering, Gaps, Label, Matching, Schema, Vocabulary, infinite_to_missing,
};
use crate::table::Table;

/// Rows to learn from, aligned to a schema.
pub(super) struct LearningRows {
    /// The values, n x r: the features and then the engineered features, with NaN where a value was missing or infinite.
    pub(super) raw: Array2<f64>,
    pub(super) gaps: Gaps,
    pub(super) labels: Option<Vec<Label>>,
    /// The labels again for a supervised detector, when every row has one.
    pub(super) classes: Option<Vec<bool>>,
    /// How many rows each row stands for; `None` if it is 1 for all.
    pub(super) weights: Option<Vec<f64>>,
    /// The texts whose numbers are among the values.
    pub(super) vocabulary: Vocabulary,
    /// The feature engineering, which remembers these rows.
    pub(super) engineering: Option<Engineering>,
}

/// How the rows of a table are read.
pub(super) struct Reading<'a> {
    pub(super) schema: &'a Schema,
    pub(super) matching: Matching<'a>,
    /// The feature engineering with the history that it continues from.
    pub(super) engineering: Option<Engineering>,
    pub(super) detector: &'a DetectorParams,
}

impl LearningRows {
    /// Reads a table. If features are engineered, the rows are sorted by time. For a supervised detector, rows without a known
    /// label are left out.
    pub(super) fn read(how: Reading<'_>, table: Cow<'_, Table>, context: &Context) -> Result<Self> {
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

    /// Reads the rows of a source into memory, each of `n_raw` values. The caller has checked that they fit.
    pub(super) fn hold(
        rows: &dyn RawSource,
        n_raw: usize,
        (detector, schema): (&DetectorParams, &Schema),
        context: &Context,
    ) -> Result<Self> {
        let (mut values, mut gaps) = (Vec::with_capacity(rows.n_rows() * n_raw), Gaps::default());
        let mut labels: Option<Vec<Label>> = None;
        let builder = rows.visit(context, &mut |chunk| {
            gaps.merge(chunk.gaps);
            values.extend(chunk.raw.iter());
            if let Some(of_chunk) = chunk.labels {
                labels.get_or_insert_default().extend(of_chunk);
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

    /// Leaves out the rows without a known label if the detector is supervised.
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

    /// The rows with these indices.
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

/// Passes all rows as one chunk.
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

    fn visit(&self, context: &Context, each: &mut EachRawChunk<'_>) -> Result<Option<Builder>> {
        context.check()?;
        each(RawChunk {
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
