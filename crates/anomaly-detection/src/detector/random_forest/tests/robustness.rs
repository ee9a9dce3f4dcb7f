//! What hostile rows, artifacts and callers may do.

use proptest::prelude::*;

use super::*;
use crate::detector::contract::rows::hostile_rows;
use crate::detector::contract::storing_changes_nothing;

#[test]
fn small_rows_are_learned_from() {
    let rows = Array2::from_shape_vec((2, 1), vec![1.0, 2.0]).expect("a column");
    let forest = fit(&RandomForestParams::default(), &rows, &[false, true]);
    let found = scores(&forest, rows.view());
    assert!(found[0] < 0.4 && found[1] > 0.6, "{found:?}");
    let forest = fit(&small(), &Array2::ones((2, 1)), &[false, true]);
    assert!(scores(&forest, rows.view())[0].is_finite());
}

#[test]
fn wide_rows_are_learned_from() {
    let (mut rows, labels) = cloud(60, 1000, 1);
    rows.slice_mut(s![.., 3..400]).fill(7.0);
    let forest = fit(&small(), &rows, &labels);
    let found = scores(&forest, rows.view());
    assert!(auroc(&found, &labels) > 0.99);
    assert_eq!(forest.n_features(), 1000);
}

#[test]
fn more_columns_than_slots_are_refused() {
    let rows = Array2::zeros((2, (1 << 16) + 1));
    let error = learn(&small(), &rows, &[false, true]).expect_err("refused");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("65536"), "{error}");
    let rows = Array2::from_shape_fn((4, 1 << 16), |(i, j)| (i * (j % 3)) as f64);
    let labels = [false, true, false, true];
    let forest = fit(&small(), &rows, &labels);
    assert!(scores(&forest, rows.view()).iter().all(|p| p.is_finite()));
}

#[test]
fn rows_of_one_value_with_both_labels_are_learned_from() {
    let rows = Array2::from_shape_fn((400, 3), |(i, j)| ((i / 4) * (j % 2)) as f64);
    let labels: Vec<bool> = (0..400).map(|i| i % 4 == 0).collect();
    let found = scores(&fit(&small(), &rows, &labels), rows.view());
    assert!(found.iter().all(|p| (0.0..=0.8).contains(p)), "{found:?}");
}

#[test]
fn alternating_labels_do_not_grow_trees_beyond_their_depth() {
    let rows = Array2::from_shape_fn((5000, 1), |(i, _)| i as f64);
    let labels: Vec<bool> = (0..5000).map(|i| i % 2 == 0).collect();
    let forest = fit(&small(), &rows, &labels);
    assert!(scores(&forest, rows.view()).iter().all(|p| p.is_finite()));
}

#[test]
fn a_cancelled_fit_ends() {
    let (rows, labels) = cloud(200, 3, 2);
    let context = Context::new();
    context.cancel();
    let params = small().check().expect("valid");
    let error = RandomForest::fit(&params, &sample(&rows, &labels), &context).expect_err("ended");
    assert_eq!(error.reason(), reason::CANCELLED);
    let forest = fit(&small(), &rows, &labels);
    let past = PastRows {
        seen_by_class: None,
        rows: rows.view(),
        labels: Some(&labels),
        seen: 200,
    };
    let error = forest
        .update(past, sample(&rows, &labels), &context)
        .expect_err("ended");
    assert_eq!(error.reason(), reason::CANCELLED);
}

/// Changes an artifact as its fields, which tests cannot reach one by one.
fn damage(forest: &RandomForest, change: impl Fn(&mut serde_json::Value)) -> Option<RandomForest> {
    let mut json = serde_json::to_value(forest).expect("a value");
    change(&mut json);
    serde_json::from_value(json).ok()
}

#[test]
fn damaged_models_are_refused() {
    let (rows, labels) = cloud(100, 3, 3);
    let forest = fit(&small(), &rows, &labels);
    assert_eq!(damage(&forest, |_| {}).as_ref(), Some(&forest));
    type Change = fn(&mut serde_json::Value);
    let pop: Change = |bytes| {
        let bytes = bytes.as_array_mut().expect("bytes");
        bytes.truncate(bytes.len() - 8);
    };
    let highest: Change = |bytes| {
        // the highest byte of the first number
        let bytes = bytes.as_array_mut().expect("bytes");
        bytes[7] = 0x7f.into();
        bytes[6] = 0xff.into();
    };
    let changes: [(&str, Change); 16] = [
        ("/n_features", |v| *v = 2.into()),
        ("/n_features", |v| *v = 0.into()),
        ("/n_features", |v| *v = u64::MAX.into()),
        ("/oldest", |v| *v = 21.into()),
        ("/params/n_estimators", |v| *v = 22.into()),
        ("/params/n_estimators", |v| *v = 0.into()),
        ("/forest/cuts/features", highest),
        ("/forest/cuts/ends", highest),
        ("/forest/cuts/ends", pop),
        ("/forest/cuts/values", highest),
        ("/forest/cuts/values", pop),
        ("/forest/trees/ends", highest),
        ("/forest/trees/ends", pop),
        ("/forest/trees/nodes", pop),
        ("/forest/trees/share_ends", highest),
        ("/forest/trees/shares", pop),
    ];
    for (path, change) in changes {
        let damaged = damage(&forest, |json| {
            change(json.pointer_mut(path).expect("a field"));
        });
        let error = damaged.expect("readable").validate().expect_err(path);
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "{path}");
    }
}

#[test]
fn damaged_nodes_are_refused_or_harmless() {
    let (rows, labels) = cloud(60, 2, 4);
    let params = RandomForestParams::new().with_n_estimators(2);
    let forest = fit(&params, &rows, &labels);
    let json = serde_json::to_value(&forest).expect("a value");
    let n_bytes = json["forest"]["trees"]["nodes"]
        .as_array()
        .expect("bytes")
        .len();
    for index in 0..n_bytes {
        for value in [0, 1, 0x7f, 0xff] {
            let damaged = damage(&forest, |json| {
                json["forest"]["trees"]["nodes"][index] = value.into();
            });
            let damaged = damaged.expect("readable");
            if damaged.validate().is_ok() {
                let found = scores(&damaged, rows.view());
                assert!(found.iter().all(|p| (0.0..=1.0).contains(p)), "{index}");
                assert_eq!(damaged.feature_importances().map(|all| all.len()), Some(2));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile_finite_rows_give_probabilities(
        rows in hostile_rows(2..60),
        probes in hostile_rows(1..20),
        first: bool,
        min_samples_leaf in 1..4usize,
    ) {
        let labels: Vec<bool> = (0..rows.nrows()).map(|i| (i % 3 == 0) == first).collect();
        let params = RandomForestParams::new().with_n_estimators(5).with_min_samples_leaf(min_samples_leaf);
        let learned = learn(&params, &rows, &labels).expect("a forest");
        let forest = learned.detector;
        forest.validate().expect("sound");
        let honest = learned.calibration_scores.expect("out of bag");
        let found = scores(&forest, probes.view());
        prop_assert!(found.iter().chain(&honest).all(|p| (0.0..=1.0).contains(p)), "{found:?} {honest:?}");
        storing_changes_nothing(&forest);
    }
}
