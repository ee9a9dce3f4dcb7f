//! Detectors of every kind that are small enough to be fitted often, and rows for them.

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, FittedDetector, Learned, Sample};
use anomaly_detection::error::Result;
use ndarray::Array2;
use serde_json::{Value, json};

use crate::fixtures::params;

/// The detectors whose fit makes random choices.
pub(crate) const SEEDED: [&str; 4] = ["isolation_forest", "random_forest", "lesinn", "auto"];

/// Every detector with its defaults, and some with parameters that take another code path. All suit rows of `n_columns` columns,
/// and forests are small.
pub(crate) fn all(n_columns: usize) -> Vec<DetectorParams> {
    let others = [
        (
            "isolation_forest",
            json!({"n_estimators": 10, "ndim": n_columns.min(2)}),
        ),
        (
            "isolation_forest",
            json!({"n_estimators": 5, "max_features": {"fraction": 0.5}}),
        ),
        ("gaussian", json!({"ridge": 0.5})),
        ("one_class_svm", json!({"kernel": "linear", "nu": 0.1})),
        (
            "one_class_svm",
            json!({"kernel": "poly", "degree": 2, "coef0": 1.0, "gamma": "auto"}),
        ),
        (
            "one_class_svm",
            json!({"kernel": "sigmoid", "gamma": {"value": 0.1}}),
        ),
        ("local_outlier_factor", json!({"n_neighbors": 2})),
        ("knn", json!({"method": "mean"})),
        ("knn", json!({"method": "median", "n_neighbors": 2})),
        (
            "random_forest",
            json!({"n_estimators": 5, "max_depth": 2, "class_weight": "balanced"}),
        ),
        (
            "logistic_regression",
            json!({"c": 100.0, "class_weight": "balanced"}),
        ),
        ("hbos", json!({"n_bins": "auto"})),
        ("pca", json!({"n_components": 1})),
        ("lesinn", json!({"metric": "euclidean", "n_estimators": 8})),
    ];
    let defaults = DetectorParams::defaults().into_iter().map(|default| {
        let few_trees = match default.name() {
            "isolation_forest" | "random_forest" => json!({"n_estimators": 20}),
            _ => json!({}),
        };
        changed(default.name(), few_trees)
    });
    defaults
        .chain(
            others
                .into_iter()
                .map(|(name, changes)| changed(name, changes)),
        )
        .collect()
}

/// The defaults of a detector, with some parameters replaced by those of an object.
pub(crate) fn changed(detector: &str, changes: Value) -> DetectorParams {
    match changes {
        Value::Object(changes) => params(detector, changes),
        _ => panic!("{changes} is no object"),
    }
}

/// Fits a detector; for a supervised one, every third row is an anomaly.
pub(crate) fn try_fit(
    params: &DetectorParams,
    rows: &Array2<f64>,
    context: &Context,
) -> Result<Learned<FittedDetector>> {
    let labels: Vec<bool> = (0..rows.nrows()).map(|row| row % 3 == 0).collect();
    let sample = Sample {
        labels: params.is_supervised().then_some(&labels),
        ..Sample::complete(rows.view())
    };
    params.fit(&sample, context)
}

/// Rows of independent normal values from a seed.
pub(crate) fn normal_rows(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    Array2::from_shape_simple_fn((n_rows, n_columns), || {
        (-2.0 * (1.0 - uniform()).ln()).sqrt() * (uniform() * std::f64::consts::TAU).cos()
    })
}

/// Labels that depend on the first column, but not only on it.
pub(crate) fn labels(rows: &Array2<f64>) -> Vec<bool> {
    let rows = rows.rows().into_iter().enumerate();
    rows.map(|(i, row)| (row[0] > 0.8) != (i % 7 == 0))
        .collect()
}
