//! A fit of any detector stops when it is cancelled in the middle.

use ndarray::Array2;
use serde_json::{Value, json};

use super::contract::on_threads;
use super::contract::rows::correlated;
use super::{DetectorParams, Sample};
use crate::context::Context;
use crate::error::{Result, reason};

/// The fewest checks of a fit that can be cancelled in the middle.
const FEWEST_CHECKS: usize = 5;

/// The default parameters of a detector, some of them changed.
fn params(name: &str, changes: &Value) -> DetectorParams {
    let mut defaults = DetectorParams::defaults().into_iter();
    let default = defaults.find(|default| default.name() == name);
    let mut value = serde_json::to_value(default.expect("a detector")).expect("encodable");
    for (key, change) in changes.as_object().expect("an object") {
        value[name][key] = change.clone();
    }
    serde_json::from_value(value).expect("parameters")
}

fn fit(params: &DetectorParams, rows: &Array2<f64>, context: &Context) -> Result<()> {
    let labels: Vec<bool> = (0..rows.nrows()).map(|row| row % 3 == 0).collect();
    let sample = Sample {
        labels: params.is_supervised().then_some(&labels),
        ..Sample::complete(rows.view())
    };
    // a single thread does the same checks each time
    on_threads(1, || params.fit(&sample, context).map(drop))
}

#[test]
fn a_fit_that_is_cancelled_in_the_middle_stops() {
    let few_trees = json!({"n_estimators": 20});
    let default = json!({});
    for (name, changes, n_rows, n_columns) in [
        ("isolation_forest", &few_trees, 500, 3),
        ("random_forest", &few_trees, 500, 3),
        ("gaussian", &default, 10_000, 20),
        ("one_class_svm", &default, 1000, 5),
        ("local_outlier_factor", &default, 3000, 5),
        ("knn", &default, 3000, 30),
        ("logistic_regression", &default, 3000, 10),
        ("pca", &default, 1000, 100),
    ] {
        let (params, rows) = (params(name, changes), correlated(n_rows, n_columns, 0.0, 1));
        let context = Context::cancelled_after(usize::MAX);
        fit(&params, &rows, &context).expect("a whole fit");
        let n_checks = usize::MAX - context.checks_left().expect("counted");
        assert!(n_checks >= FEWEST_CHECKS, "{name}: {n_checks} checks");
        for before in [1, n_checks / 2, n_checks - 1] {
            let context = Context::cancelled_after(before);
            let error = fit(&params, &rows, &context).expect_err(name);
            assert_eq!(
                error.reason(),
                reason::CANCELLED,
                "{name}: {before} of {n_checks}"
            );
        }
    }
}
