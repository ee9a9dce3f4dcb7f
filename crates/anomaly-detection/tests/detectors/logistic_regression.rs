//! `logistic_regression` compared with scikit-learn's `LogisticRegression` and with linfa-logistic: coefficients and intercept.

use anomaly_detection::detector::{DetectorParams, LogisticRegressionParams};
use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use serde::Deserialize;

use crate::any::{labels, normal_rows};
use crate::fixtures::{Case, fit, scores};

/// The largest difference of a coefficient from the expected one.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    coefficients: Vec<f64>,
    intercept: f64,
}

impl Expected {
    /// Asserts that a detector has these coefficients, by the log-odds of its scores.
    fn check(&self, name: &str, params: &DetectorParams, rows: &Array2<f64>, labels: &[bool]) {
        let detector = fit(params, rows, labels).detector;
        let d = rows.ncols();
        let mut probes = Array2::zeros((d + 1, d));
        probes.slice_mut(ndarray::s![1.., ..]).diag_mut().fill(1.0);
        let log_odds = scores(&detector, probes.view());
        let log_odds: Vec<f64> = log_odds.iter().map(|p| (p / (1.0 - p)).ln()).collect();
        let ours = log_odds[1..].iter().map(|odds| odds - log_odds[0]);
        for (i, (ours, expected)) in ours.zip(&self.coefficients).enumerate() {
            assert!(
                (ours - expected).abs() <= TOLERANCE,
                "{name}, coefficient {i}: {ours} is not {expected}"
            );
        }
        let (ours, expected) = (log_odds[0], self.intercept);
        assert!(
            (ours - expected).abs() <= TOLERANCE,
            "{name}, intercept: {ours} is not {expected}"
        );
    }
}

#[test]
fn coefficients_are_those_of_scikit_learn() {
    Case::<Expected>::for_each("logistic_regression", |name, params, table, expected| {
        expected.check(name, &params, &table.rows(), &table.labels);
    });
}

#[test]
fn coefficients_are_those_of_linfa() {
    let rows = normal_rows(200, 3, 1);
    let labels = labels(&rows);
    for c in [0.1, 1.0, 10.0] {
        let targets: Array1<bool> = labels.iter().copied().collect();
        let linfa = linfa_logistic::LogisticRegression::default()
            .alpha(1.0 / c)
            .gradient_tolerance(1e-8)
            .max_iterations(10_000)
            .fit(&Dataset::new(rows.clone(), targets))
            .expect("fits");
        // linfa chooses the class whose probability it models
        let sign = if linfa.labels().pos.class { 1.0 } else { -1.0 };
        let expected = Expected {
            coefficients: linfa.params().iter().map(|x| sign * x).collect(),
            intercept: sign * linfa.intercept(),
        };
        let params = LogisticRegressionParams::new().with_c(c);
        let params = DetectorParams::LogisticRegression(params);
        expected.check(&format!("c = {c}"), &params, &rows, &labels);
    }
}
