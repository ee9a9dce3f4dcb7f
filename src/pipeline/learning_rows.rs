//! The rows that a model learns from, read from a table.

use ndarray::{Array2, Axis};

use crate::detector::DetectorParams;
use crate::error::{Error, Reason, Result};
use crate::features::schema::Purpose;
use crate::features::{Gaps, Label, Schema, infinite_to_missing};
use crate::table::Table;

/// Rows to learn from, aligned to a schema.
pub(super) struct LearningRows {
    /// The values, n x d, with NaN where a value was missing or infinite.
    pub(super) raw: Array2<f64>,
    pub(super) gaps: Gaps,
    pub(super) labels: Option<Vec<Label>>,
    /// The labels again, for a detector that learns from them: then every row has one.
    pub(super) classes: Option<Vec<bool>>,
}

impl LearningRows {
    /// Reads a table. A supervised detector gets only the rows whose label is known.
    pub(super) fn read(schema: &Schema, table: Table, detector: &DetectorParams) -> Result<Self> {
        let aligned = schema.align(table, Purpose::Learn)?;
        let mut raw = aligned.features;
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
                return Err(Error::new(Reason::UnusableRows, message).at("records"));
            }
            let of_rows: Vec<bool> = known.iter().copied().flatten().collect();
            labels = Some(of_rows.iter().copied().map(Some).collect());
            classes = Some(of_rows);
        }
        let gaps = Gaps::count(&raw);
        if gaps.n_infinite > 0 {
            infinite_to_missing(&mut raw);
        }
        Ok(Self {
            raw,
            gaps,
            labels,
            classes,
        })
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
        let raw = self.raw.select(Axis(0), rows);
        Self {
            gaps: Gaps::count(&raw),
            raw,
            labels: self
                .labels
                .as_ref()
                .map(|labels| rows.iter().map(|&row| labels[row]).collect()),
            classes: self
                .classes
                .as_ref()
                .map(|classes| rows.iter().map(|&row| classes[row]).collect()),
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
    Error::new(Reason::UnusableRows, message).at("records")
}
