//! Measures of the difference between scores and those of a peer.

/// Asserts that the scores are the expected ones up to a relative error.
pub(crate) fn assert_close(name: &str, ours: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(ours.len(), expected.len(), "{name}");
    for (i, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        assert!(
            (ours - expected).abs() <= relative * expected.abs(),
            "{name}, row {i}: {ours} is not {expected}"
        );
    }
}

/// The largest difference, as a fraction of the range of the expected scores.
pub(crate) fn deviation(ours: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let (low, high) = expected
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), &x| {
            (low.min(x), high.max(x))
        });
    let differences = ours.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max) / (high - low)
}

/// Spearman's rank correlation.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let covariance = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    covariance(&a, &b) / (covariance(&a, &a) * covariance(&b, &b)).sqrt()
}

/// The rank of each value, counted from 1; equal values get the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let count = |holds: &dyn Fn(f64) -> bool| values.iter().filter(|&&x| holds(x)).count() as f64;
    values
        .iter()
        .map(|&value| count(&|x| x < value) + (count(&|x| x == value) + 1.0) / 2.0)
        .collect()
}

/// The area under the ROC curve: how often an anomaly scores above a normal row.
pub(crate) fn auroc(labels: &[bool], scores: &[f64]) -> f64 {
    let of = |wanted: bool| {
        let pairs = labels.iter().zip(scores);
        pairs.filter_map(move |(&label, &score)| (label == wanted).then_some(score))
    };
    let above = |anomaly: f64| -> f64 {
        of(false)
            .map(|normal| {
                f64::from(u8::from(anomaly > normal)) + f64::from(u8::from(anomaly == normal)) / 2.0
            })
            .sum()
    };
    of(true).map(above).sum::<f64>() / (of(true).count() * of(false).count()) as f64
}

#[test]
fn metrics_of_known_scores() {
    assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
    assert!((spearman(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]) - 1.0).abs() < 1e-15);
    assert!((spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 1.0]) + 1.0).abs() < 1e-15);
    assert_eq!(auroc(&[true, false, false], &[2.0, 1.0, 2.0]), 0.75);
    assert_eq!(deviation(&[1.0, 2.5], &[1.0, 3.0]), 0.25);
}
