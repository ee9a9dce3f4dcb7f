//! `gaussian` compared with scikit-learn's `EmpiricalCovariance.mahalanobis`, whose covariance has n in its denominator.

use anomaly_detection::detector::gaussian::DEFAULT_RIDGE;
use anomaly_detection::detector::{DetectorParams, GaussianParams};
use serde::Deserialize;

use crate::fixtures::{Case, Scores, fit, scores};
use crate::metrics::assert_close;

#[derive(Deserialize)]
struct Expected {
    /// The smallest eigenvalue of the correlation matrix.
    smallest_eigenvalue: f64,
    #[serde(flatten)]
    scores: Scores,
}

fn check(ridge: f64, relative: impl Fn(&Expected) -> f64) {
    Case::<Expected>::for_each("gaussian", |name, _, table, expected| {
        let params = DetectorParams::Gaussian(GaussianParams::new().with_ridge(ridge));
        let rows = table.rows();
        let detector = fit(&params, &rows, &[]).detector;
        let n = rows.nrows() as f64;
        let factor = (n / (n - 1.0)).sqrt();
        let known = expected.scores.train_scores.iter();
        let new = expected.scores.new_scores.iter();
        let relative = relative(expected);
        for (rows, expected) in [(rows, known), (table.new_rows(), new)] {
            let ours = scores(&detector, rows.view());
            let ours: Vec<f64> = ours.iter().map(|score| score * factor).collect();
            assert_close(name, &ours, expected.as_slice(), relative);
        }
    });
}

#[test]
fn without_a_ridge_the_scores_are_those_of_scikit_learn() {
    check(0.0, |_| 1e-9);
}

#[test]
fn the_default_ridge_takes_no_more_than_it_must() {
    // adding r to eigenvalues of at least e shortens a distance by at most a share of r / 2e
    check(DEFAULT_RIDGE, |expected| {
        DEFAULT_RIDGE / (2.0 * expected.smallest_eigenvalue) + 1e-9
    });
}
