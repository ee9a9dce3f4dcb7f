//! A fit stops when its context is cancelled.

use std::thread;
use std::time::{Duration, Instant};

use anomaly_detection::context::Context;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::error::reason;
use ndarray::Array2;
use serde_json::json;

use crate::any::{all, changed, normal_rows, try_fit};

/// How long a cancelled fit may go on: far longer than it should, for the sake of a busy machine.
const MAX_DELAY: Duration = Duration::from_secs(5);

#[test]
fn a_cancelled_fit_does_not_start() {
    let rows = normal_rows(50, 3, 1);
    let context = Context::new();
    context.cancel();
    for params in all(rows.ncols()) {
        let error = try_fit(&params, &rows, &context).expect_err("cancelled");
        assert_eq!(error.reason(), reason::CANCELLED, "{params:?}: {error}");
    }
}

#[test]
fn long_fits_stop_when_cancelled() {
    let long = |rows: usize, columns: usize, detector: &str, changes| {
        let values = normal_rows(2000, columns, 1);
        // the values differ, so that no row repeats another
        let rows = Array2::from_shape_fn((rows, columns), |(i, j)| {
            values[[i % 2000, j]] + (i / 2000) as f64 * 1e-3
        });
        (changed(detector, changes), rows)
    };
    let jobs = [
        long(
            5000,
            5,
            "isolation_forest",
            json!({"n_estimators": 5000, "max_samples": {"count": 2000}}),
        ),
        long(4000, 1500, "gaussian", json!({})),
        long(20_000, 10, "one_class_svm", json!({})),
        long(40_000, 30, "local_outlier_factor", json!({})),
        long(40_000, 30, "knn", json!({})),
        long(40_000, 10, "random_forest", json!({"n_estimators": 2000})),
        long(20_000, 400, "logistic_regression", json!({"tol": 1e-12})),
        long(4000, 1000, "pca", json!({})),
    ];
    for (params, rows) in jobs {
        stops(&params, &rows);
    }
}

fn stops(params: &DetectorParams, rows: &Array2<f64>) {
    let context = Context::new();
    thread::scope(|scope| {
        let fit = scope.spawn(|| try_fit(params, rows, &context).map(|_| ()));
        thread::sleep(Duration::from_millis(50));
        context.cancel();
        let cancelled = Instant::now();
        let error = fit.join().expect("no panic").expect_err("a long fit");
        assert_eq!(error.reason(), reason::CANCELLED, "{params:?}: {error}");
        assert!(
            cancelled.elapsed() < MAX_DELAY,
            "{params:?} went on for {:?}",
            cancelled.elapsed()
        );
    });
}
