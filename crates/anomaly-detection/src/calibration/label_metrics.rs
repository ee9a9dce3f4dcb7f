//! How scores and decisions compare with known labels. The definitions are scikit-learn's.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// Scores and decisions compared with known labels.
///
/// The counts are numbers of rows; the rates are weighted where the rows have weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelMetrics {
    /// The probability that an anomaly scores above a normal row, ties counted half.
    pub auroc: f64,
    /// The sum over distinct scores, in descending order, of the gain in recall times the precision.
    pub average_precision: f64,
    /// The share of flagged rows that are anomalies; 0 when none is flagged.
    pub precision: f64,
    /// The share of anomalies that are flagged.
    pub recall: f64,
    /// The harmonic mean of precision and recall; 0 when both are 0.
    pub f1: f64,
    /// Anomalies that were flagged.
    pub true_positives: u64,
    /// Normal rows that were flagged.
    pub false_positives: u64,
    /// Normal rows that were not flagged.
    pub true_negatives: u64,
    /// Anomalies that were not flagged.
    pub false_negatives: u64,
}

/// A labelled row.
#[derive(Clone, Copy)]
struct Labelled {
    score: f64,
    flagged: bool,
    anomaly: bool,
    weight: f64,
}

impl LabelMetrics {
    /// Compares the scores and the verdicts (whether each row is flagged) with the labels; rows without a known label are
    /// skipped. Each row counts by its weight, which must be finite and at least 0, or by 1 without weights.
    ///
    /// `None` unless both classes occur among the labelled rows with a weight above 0.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn new(
        scores: &[f64],
        verdicts: &[bool],
        labels: &[Option<bool>],
        weights: Option<&[f64]>,
    ) -> Option<Self> {
        assert_eq!(scores.len(), verdicts.len(), "number of verdicts");
        assert_eq!(scores.len(), labels.len(), "number of labels");
        if let Some(weights) = weights {
            assert_eq!(scores.len(), weights.len(), "number of weights");
        }
        let labelled = |(i, (&score, &label)): (usize, (&f64, &Option<bool>))| {
            Some(Labelled {
                score,
                flagged: verdicts[i],
                anomaly: label?,
                weight: weights.map_or(1.0, |weights| weights[i]),
            })
        };
        let mut rows: Vec<Labelled> = scores
            .iter()
            .zip(labels)
            .enumerate()
            .filter_map(labelled)
            .collect();
        rows.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        let (auroc, average_precision) = ranking(&rows)?;

        let count = |flagged: bool, anomaly: bool| {
            let matching = rows
                .iter()
                .filter(|row| row.flagged == flagged && row.anomaly == anomaly);
            matching.fold((0, 0.0), |(n, sum), row| (n + 1, sum + row.weight))
        };
        let (true_positives, hits) = count(true, true);
        let (false_positives, false_alarms) = count(true, false);
        let (true_negatives, _) = count(false, false);
        let (false_negatives, misses) = count(false, true);
        Some(Self {
            auroc,
            average_precision,
            precision: share(hits, hits + false_alarms),
            recall: share(hits, hits + misses),
            f1: share(2.0 * hits, 2.0 * hits + false_alarms + misses),
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
        })
    }

    /// Checks metrics that were read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] unless every rate is from 0 to 1, both classes have rows that can be counted.
    pub fn validate(&self) -> Result<()> {
        let rates = [
            self.auroc,
            self.average_precision,
            self.precision,
            self.recall,
            self.f1,
        ];
        let n_anomalies = self.true_positives.checked_add(self.false_negatives);
        let n_normal = self.true_negatives.checked_add(self.false_positives);
        let counted = matches!((n_anomalies, n_normal), (Some(1..), Some(1..)));
        if counted && rates.iter().all(|rate| (0.0..=1.0).contains(rate)) {
            return Ok(());
        }
        let message = "the stored metrics against labels are not possible";
        Err(Error::new(reason::DAMAGED_ARTIFACT, message))
    }
}

/// AUROC and average precision of rows in descending order of score; `None` when a class has no weight.
fn ranking(rows: &[Labelled]) -> Option<(f64, f64)> {
    let weight = |rows: &[Labelled], anomaly: bool| -> f64 {
        let of_class = rows.iter().filter(|row| row.anomaly == anomaly);
        of_class.map(|row| row.weight).sum()
    };
    let (anomalies, normals) = (weight(rows, true), weight(rows, false));
    if !(anomalies > 0.0 && normals > 0.0) {
        return None;
    }
    let (mut hits, mut false_alarms) = (0.0, 0.0);
    let (mut area, mut average_precision) = (0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.score == b.score) {
        let (more_hits, more_false_alarms) = (weight(tied, true), weight(tied, false));
        area += more_false_alarms * (hits + 0.5 * more_hits);
        hits += more_hits;
        false_alarms += more_false_alarms;
        average_precision += more_hits * share(hits, hits + false_alarms);
    }
    Some((
        (area / hits / false_alarms).min(1.0),
        (average_precision / hits).min(1.0),
    ))
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests;
