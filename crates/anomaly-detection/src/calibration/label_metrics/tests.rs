use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::calibration::{Policy, Threshold};

const SCORES: [f64; 12] = [0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.4, 0.3, 0.2, 0.1];
const LABELS: [u8; 12] = [1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0];
const WEIGHTS: [f64; 12] = [1.0, 2.0, 0.5, 1.75, 3.0, 1.0, 2.5, 1.0, 1.0, 0.5, 4.0, 1.0];

// computed with scikit-learn 1.9.1
const AUROC: f64 = 0.7;
const AP: f64 = 0.6533333333333333;
const WEIGHTED_AUROC: f64 = 0.8340425531914893;
const WEIGHTED_AP: f64 = 0.7611041864911835;
const WEIGHTED_PRECISION: f64 = 0.7272727272727273;
const WEIGHTED_RECALL: f64 = 0.8;
const WEIGHTED_F1: f64 = 0.7619047619047619;

fn labels() -> Vec<Option<bool>> {
    LABELS.iter().map(|&label| Some(label == 1)).collect()
}

/// The metrics of decisions by a threshold.
fn metrics(
    scores: &[f64],
    labels: &[Option<bool>],
    weights: Option<&[f64]>,
    threshold: f64,
) -> Option<LabelMetrics> {
    let threshold = Threshold::new(Policy::Threshold(threshold), &[], None).expect("finite");
    LabelMetrics::new(scores, &threshold.verdicts(scores), labels, weights)
}

#[test]
fn impossible_metrics_are_refused() {
    let good = metrics(&SCORES, &labels(), Some(&WEIGHTS), 0.55).expect("both classes");
    good.validate().expect("possible");
    let damages: [fn(&mut LabelMetrics); 8] = [
        |m| m.auroc = f64::NAN,
        |m| m.average_precision = 1.1,
        |m| m.precision = -0.1,
        |m| m.recall = f64::INFINITY,
        |m| m.f1 = f64::NEG_INFINITY,
        |m| (m.true_positives, m.false_negatives) = (0, 0),
        |m| (m.false_positives, m.true_negatives) = (0, 0),
        |m| (m.true_positives, m.false_negatives) = (u64::MAX, 1),
    ];
    for (i, damage) in damages.iter().enumerate() {
        let mut bad = good;
        damage(&mut bad);
        let error = bad.validate().expect_err("impossible");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "damage {i}");
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn agrees_with_scikit_learn() {
    let metrics = metrics(&SCORES, &labels(), None, 0.5).expect("both classes");
    assert!(close(metrics.auroc, AUROC), "{metrics:?}");
    assert!(close(metrics.average_precision, AP), "{metrics:?}");
    assert!(close(metrics.precision, 0.6), "{metrics:?}");
    assert!(close(metrics.recall, 0.6), "{metrics:?}");
    assert!(close(metrics.f1, 0.6), "{metrics:?}");
    let counts = (
        metrics.true_positives,
        metrics.false_positives,
        metrics.true_negatives,
        metrics.false_negatives,
    );
    assert_eq!(counts, (3, 2, 5, 2));
}

#[test]
fn agrees_with_scikit_learn_on_weights() {
    let metrics = metrics(&SCORES, &labels(), Some(&WEIGHTS), 0.5).expect("both classes");
    assert!(close(metrics.auroc, WEIGHTED_AUROC), "{metrics:?}");
    assert!(close(metrics.average_precision, WEIGHTED_AP), "{metrics:?}");
    assert!(close(metrics.precision, WEIGHTED_PRECISION), "{metrics:?}");
    assert!(close(metrics.recall, WEIGHTED_RECALL), "{metrics:?}");
    assert!(close(metrics.f1, WEIGHTED_F1), "{metrics:?}");
    assert_eq!(metrics.true_positives, 3);
}

#[test]
fn unknown_labels_are_skipped() {
    let mut scores = SCORES.to_vec();
    let mut labels = labels();
    let expected = metrics(&scores, &labels, None, 0.5);
    scores.extend([0.95, 0.05]);
    labels.extend([None, None]);
    assert_eq!(metrics(&scores, &labels, None, 0.5), expected);
}

#[test]
fn a_single_class_has_no_metrics() {
    let scores = [1.0, 2.0];
    assert_eq!(metrics(&scores, &[Some(true); 2], None, 0.0), None);
    assert_eq!(metrics(&scores, &[Some(false); 2], None, 0.0), None);
    assert_eq!(metrics(&scores, &[Some(true), None], None, 0.0), None);
    assert_eq!(metrics(&[], &[], None, 0.0), None);
    let labels = [Some(true), Some(false)];
    assert_eq!(metrics(&scores, &labels, Some(&[1.0, 0.0]), 0.0), None);
}

#[test]
fn nothing_flagged_is_precision_0() {
    let metrics = metrics(&SCORES, &labels(), None, 2.0).expect("both classes");
    assert_eq!(
        (metrics.precision, metrics.recall, metrics.f1),
        (0.0, 0.0, 0.0)
    );
}

/// AUROC pair by pair, and average precision threshold by threshold.
fn naive(rows: &[(f64, bool, f64)]) -> (f64, f64) {
    let of = |anomaly: bool| rows.iter().filter(move |row| row.1 == anomaly);
    let (mut won, mut pairs) = (0.0, 0.0);
    for a in of(true) {
        for b in of(false) {
            pairs += a.2 * b.2;
            won += a.2
                * b.2
                * if a.0 > b.0 {
                    1.0
                } else if a.0 == b.0 {
                    0.5
                } else {
                    0.0
                };
        }
    }
    let anomalies: f64 = of(true).map(|row| row.2).sum();
    let mut thresholds: Vec<f64> = rows.iter().map(|row| row.0).collect();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let (mut average, mut recall) = (0.0, 0.0);
    for threshold in thresholds {
        let flagged = |anomaly| {
            of(anomaly)
                .filter(|row| row.0 >= threshold)
                .map(|row| row.2)
                .sum::<f64>()
        };
        let hits = flagged(true);
        average += (hits / anomalies - recall) * hits / (hits + flagged(false));
        recall = hits / anomalies;
    }
    (won / pairs, average)
}

proptest! {
    #[test]
    fn agrees_with_a_naive_oracle(rows in vec((0..20u8, any::<bool>(), 0.1..5.0f64), 2..60), weighted: bool) {
        let rows: Vec<(f64, bool, f64)> = rows
            .into_iter()
            .map(|(score, label, weight)| (f64::from(score), label, if weighted { weight } else { 1.0 }))
            .collect();
        let scores: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let labels: Vec<Option<bool>> = rows.iter().map(|row| Some(row.1)).collect();
        let weights: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let metrics = metrics(&scores, &labels, weighted.then_some(&weights[..]), 10.0);
        let both = rows.iter().any(|row| row.1) && rows.iter().any(|row| !row.1);
        prop_assert_eq!(metrics.is_some(), both);
        if let Some(metrics) = metrics {
            let (auroc, average_precision) = naive(&rows);
            prop_assert!((metrics.auroc - auroc).abs() < 1e-9, "{metrics:?} {auroc}");
            prop_assert!((metrics.average_precision - average_precision).abs() < 1e-9, "{metrics:?} {average_precision}");
            let counted = metrics.true_positives + metrics.false_positives + metrics.true_negatives + metrics.false_negatives;
            prop_assert_eq!(counted, rows.len() as u64);
        }
    }
}
