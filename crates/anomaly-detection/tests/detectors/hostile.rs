//! Degenerate and extreme tables give a clear error or finite scores, never a panic or NaN.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, FittedDetector, Learned, Sample};
use anomaly_detection::error::{Error, reason};
use ndarray::{Array2, Axis, array};
use serde_json::json;

use crate::any::{all, changed, normal_rows, try_fit};
use crate::fixtures::scores;
use crate::properties::{decoded, encoded};

fn tables() -> Vec<(&'static str, Array2<f64>)> {
    let normal = normal_rows(40, 3, 1);
    let with = |values: &[f64]| {
        let mut rows = normal.clone();
        for (i, &value) in values.iter().enumerate() {
            rows[[3 * i, i % 3]] = value;
        }
        rows
    };
    vec![
        ("two rows", array![[1.0, 2.0], [3.0, 4.5]]),
        ("two equal rows", array![[1.0, 2.0], [1.0, 2.0]]),
        ("three rows of one value", array![[1.0], [1.0], [2.0]]),
        ("equal rows", Array2::from_elem((40, 3), 0.1)),
        ("rows of zeros", Array2::zeros((40, 3))),
        ("one column", normal_rows(40, 1, 2)),
        ("more columns than rows", normal_rows(12, 1000, 3)),
        ("a huge value", with(&[1e300])),
        (
            "values of either huge sign",
            with(&[f64::MAX, -f64::MAX, f64::MAX, -f64::MAX]),
        ),
        ("all values huge", &normal * 1e300),
        ("tiny values", &normal * 1e-300),
        ("subnormal values", &normal * 1e-320),
        ("a tiny value", with(&[1e-300])),
        (
            "columns of all sizes",
            &normal * &array![1e-300, 1.0, 1e300],
        ),
        ("a large offset", &normal + 1e9),
        (
            "a column that dwarfs its deviation",
            &normal + &array![1e300, 0.0, -1e16],
        ),
        ("equal columns", normal.select(Axis(1), &[0, 0, 0, 1])),
    ]
}

/// The rows, and some that are far from any that a model may have learned from.
fn probes(rows: &Array2<f64>) -> Array2<f64> {
    let values = [
        0.0,
        -1.0,
        1e300,
        -1e300,
        f64::MAX,
        -f64::MAX,
        1e-300,
        1e150,
        5e-324,
    ];
    let far = Array2::from_shape_fn((values.len(), rows.ncols()), |(i, _)| values[i]);
    let mixed = Array2::from_shape_fn((values.len(), rows.ncols()), |(i, j)| {
        values[(i + j) % values.len()]
    });
    ndarray::concatenate![Axis(0), rows.view(), far, mixed]
}

fn assert_clear(name: &str, error: &Error) {
    let reasons = [reason::UNUSABLE_ROWS, reason::INVALID_PARAMETER];
    assert!(reasons.contains(&error.reason()), "{name}: {error:?}");
    let message = error.message();
    assert!(
        message.len() > 10 && !message.ends_with('.'),
        "{name}: {message}"
    );
    assert!(
        !message.starts_with(char::is_uppercase),
        "{name}: {message}"
    );
}

fn assert_finite(name: &str, learned: &Learned<FittedDetector>, rows: &Array2<f64>) {
    let detector = &learned.detector;
    detector
        .validate()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    if let Some(calibration) = &learned.calibration_scores {
        assert_eq!(calibration.len(), rows.nrows(), "{name}");
        assert!(
            calibration.iter().all(|score| score.is_finite()),
            "{name}: {calibration:?}"
        );
    }
    let probes = probes(rows);
    for (row, score) in probes
        .rows()
        .into_iter()
        .zip(scores(detector, probes.view()))
    {
        assert!(
            score.is_finite(),
            "{name}: {score} for {:?}…",
            row.iter().take(5).collect::<Vec<_>>()
        );
    }
    let loaded = decoded(&encoded(detector));
    assert!(
        loaded.validate().is_ok() && &loaded == detector,
        "{name}: save and load"
    );
}

/// Fits on the table. Returns the names of the table and the detector if that panics or an assertion fails.
fn broken(name: &str, params: &DetectorParams, rows: &Array2<f64>) -> Option<String> {
    let name = format!("{params:?} on {name}");
    let work = || match try_fit(params, rows, &Context::new()) {
        Ok(learned) => assert_finite(&name, &learned, rows),
        Err(error) => assert_clear(&name, &error),
    };
    catch_unwind(AssertUnwindSafe(work))
        .is_err()
        .then_some(name)
}

#[test]
fn hostile_tables_give_an_error_or_finite_scores() {
    let mut all_broken = Vec::new();
    for (name, rows) in tables() {
        let detectors = all(rows.ncols()).into_iter();
        all_broken.extend(detectors.filter_map(|params| broken(name, &params, &rows)));
    }
    assert!(all_broken.is_empty(), "{all_broken:#?}");
}

#[test]
fn ordinary_tables_are_learned() {
    for (name, rows) in [
        ("one column", normal_rows(40, 1, 2)),
        ("a large offset", normal_rows(40, 3, 1) + 1e9),
    ] {
        for params in all(rows.ncols()) {
            let learned = try_fit(&params, &rows, &Context::new());
            assert!(learned.is_ok(), "{params:?} on {name}: {learned:?}");
        }
    }
}

#[test]
fn more_neighbours_than_rows() {
    let rows = normal_rows(10, 2, 1);
    for n_neighbors in [9, 10, 11, 10_000] {
        for params in [
            changed("local_outlier_factor", json!({"n_neighbors": n_neighbors})),
            changed("knn", json!({"n_neighbors": n_neighbors})),
            changed(
                "lesinn",
                json!({"n_neighbors": n_neighbors, "max_samples": n_neighbors + 1}),
            ),
        ] {
            assert_eq!(broken("ten rows", &params, &rows), None);
        }
    }
}

#[test]
fn more_components_and_features_than_columns_are_refused() {
    let rows = normal_rows(10, 2, 1);
    for params in [
        changed("pca", json!({"n_components": 3})),
        changed("isolation_forest", json!({"ndim": 3})),
        changed("isolation_forest", json!({"max_features": {"count": 3}})),
        changed("random_forest", json!({"max_features": {"count": 3}})),
    ] {
        let error = try_fit(&params, &rows, &Context::new()).expect_err("too many");
        assert_eq!(
            error.reason(),
            reason::INVALID_PARAMETER,
            "{params:?}: {error}"
        );
        assert_clear(&format!("{params:?}"), &error);
        let field = error.field_path().unwrap_or_default();
        assert!(field.starts_with(params.name()), "{params:?}: {field}");
    }
}

#[test]
fn supervised_detectors_need_labels_of_both_classes() {
    let rows = normal_rows(10, 2, 1);
    for params in all(2).into_iter().filter(DetectorParams::is_supervised) {
        for (name, labels) in [
            ("none", None),
            ("normal rows alone", Some([false; 10])),
            ("anomalies alone", Some([true; 10])),
        ] {
            let sample = Sample {
                labels: labels.as_ref().map(|labels| labels.as_slice()),
                ..Sample::complete(rows.view())
            };
            let name = format!("{params:?}, labels: {name}");
            let error = params.fit(&sample, &Context::new());
            assert_clear(&name, &error.expect_err(&name));
        }
    }
}
