//! The rows that trees are grown on: past rows and then the sample, each row with its label.

use ndarray::ArrayView2;

use super::cuts::MAX_FEATURES;
use crate::detector::class_weight::ClassWeight;
use crate::detector::{PastRows, Sample};
use crate::error::{Error, Result, reason};

/// The most values; each takes a byte.
const MAX_VALUES: usize = 1 << 30;

/// The smallest weight of a class relative to the other.
const MIN_WEIGHT: f64 = 1e-100;

/// The rows that trees are grown on.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) past: ArrayView2<'a, f64>,
    pub(super) sample: ArrayView2<'a, f64>,
    /// Whether each row is an anomaly: first the past rows, then those of the sample.
    pub(super) labels: Vec<bool>,
    /// How many rows each normal row and each anomaly of the past rows stands for.
    pub(super) weights: [f64; 2],
    /// How many rows were seen before the sample.
    pub(super) seen: u64,
}

impl<'a> Rows<'a> {
    /// Collects the rows and checks that trees can be grown on them. Past rows must have as many columns as the sample.
    pub(super) fn new(past: Option<PastRows<'a>>, sample: Sample<'a>) -> Result<Self> {
        let n_features = sample.rows.ncols();
        let mut labels = Vec::new();
        let mut rows = Self {
            past: sample.rows.split_at(ndarray::Axis(0), 0).0,
            sample: sample.rows,
            labels: Vec::new(),
            weights: [1.0; 2],
            seen: 0,
        };
        if let Some(past) = past {
            rows.weights = past.class_weights();
            rows.seen = past.seen;
            rows.past = past.rows;
            labels.extend(labels_of(past.rows, past.labels)?);
        }
        labels.extend(labels_of(sample.rows, sample.labels)?);
        rows.labels = labels;
        if n_features == 0 || n_features > MAX_FEATURES {
            let message = format!(
                "the rows have {n_features} columns; a random forest learns from 1 to {MAX_FEATURES}"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let n_values = rows.n_rows().saturating_mul(n_features);
        if n_values > MAX_VALUES {
            let message = format!(
                "{} rows of {n_features} columns are {n_values} values; a random forest learns from at most {MAX_VALUES}, so give fewer rows",
                rows.n_rows()
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let n_anomalies = rows.labels.iter().filter(|&&label| label).count();
        let n_normal = rows.n_rows() - n_anomalies;
        if n_anomalies == 0 || n_normal == 0 {
            let message = format!(
                "a random forest needs rows of both classes; there are {n_normal} normal rows and {n_anomalies} anomalies"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        Ok(rows)
    }

    pub(super) fn n_rows(&self) -> usize {
        self.past.nrows() + self.sample.nrows()
    }

    pub(super) fn n_features(&self) -> usize {
        self.sample.ncols()
    }

    /// The weights of a normal row and of an anomaly, scaled so that the larger is 1.
    pub(super) fn class_weights(&self, class_weight: ClassWeight) -> (f64, f64) {
        let weighted = |class: bool| {
            let (past, sample) = self.labels.split_at(self.past.nrows());
            let count = |labels: &[bool]| labels.iter().filter(|&&l| l == class).count() as f64;
            self.weights[usize::from(class)] * count(past) + count(sample)
        };
        let (normal, anomaly) = class_weight.weights(weighted(false), weighted(true));
        let larger = normal.max(anomaly);
        (
            (normal / larger).max(MIN_WEIGHT),
            (anomaly / larger).max(MIN_WEIGHT),
        )
    }
}

fn labels_of<'a>(rows: ArrayView2<'_, f64>, labels: Option<&'a [bool]>) -> Result<&'a [bool]> {
    let unusable = |message: String| Error::new(reason::UNUSABLE_ROWS, message);
    match labels {
        Some(labels) if labels.len() == rows.nrows() => Ok(labels),
        Some(labels) => Err(unusable(format!(
            "{} rows have {} labels; a random forest needs one for each",
            rows.nrows(),
            labels.len()
        ))),
        None if rows.nrows() == 0 => Ok(&[]),
        None => Err(unusable(
            "the rows have no labels; a random forest needs rows of both classes and their labels"
                .to_owned(),
        )),
    }
}
