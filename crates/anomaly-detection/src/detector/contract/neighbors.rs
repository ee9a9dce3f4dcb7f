//! The contract of the nearest-neighbour detectors.

use linfa::ParamGuard;
use ndarray::{Array2, Axis, array, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::rows::{cloud, grid};
use super::{
    Tested, bytes, fit, on_threads, other_rows_change_nothing, score, stops_when_cancelled,
    storing_changes_nothing,
};
use crate::context::Context;
use crate::detector::{Learned, PastRows, Sample};
use crate::error::reason;

fn calibration<D>(learned: &Learned<D>) -> &[f64] {
    let scores = learned.calibration_scores.as_deref();
    scores.expect("calibration scores")
}

/// Eight rows, two of them equal, for known answers.
pub(in crate::detector) fn eight_rows() -> Array2<f64> {
    array![
        [0.0, 0.0],
        [1.0, 0.5],
        [0.3, 1.7],
        [2.0, 2.2],
        [0.4, 0.9],
        [8.0, 8.5],
        [1.1, 1.3],
        [1.0, 0.5],
    ]
}

/// Neither threads nor chunks nor the order of rows nor storing changes anything.
pub(in crate::detector) fn is_one_and_the_same<D: Tested>(params: D::Params)
where
    D::Params: Sync,
{
    proptest!(ProptestConfig::with_cases(12), |(
        seed: u64,
        n in 2..1500usize,
        d in prop_oneof![1..8usize, 15..30usize],
        tied: bool,
    )| {
        let make = if tied { grid } else { |n, d, seed| cloud(n, d, 1e6, seed) };
        let rows = make(n, d, seed);
        let learned = on_threads(1, || fit::<D>(&params, &rows)).expect("a model");
        prop_assert_eq!(&on_threads(3, || fit::<D>(&params, &rows)).expect("a model"), &learned);
        let detector = &learned.detector;
        detector.validate().expect("valid");
        prop_assert_eq!(detector.params().check_ref().is_ok(), true);

        let reversed = rows.slice(s![..;-1, ..]).to_owned();
        let other = fit::<D>(&params, &reversed).expect("a model");
        prop_assert_eq!(&other.detector, detector);
        let mut scores = calibration(&other).to_vec();
        scores.reverse();
        prop_assert_eq!(&scores[..], calibration(&learned));

        let probes = concatenate![Axis(0), rows.slice(s![..n.min(40), ..]), make(30, d, !seed)];
        other_rows_change_nothing(detector, probes.view(), 1);
        storing_changes_nothing(detector);
    });
}

/// Scores are finite and not negative, whatever the rows.
pub(in crate::detector) fn is_finite<D: Tested>(params: D::Params) {
    let check = |rows: Array2<f64>, probes: &Array2<f64>| {
        let learned = fit::<D>(&params, &rows).expect("a model");
        learned.detector.validate().expect("valid");
        let found = score(&learned.detector, probes.view());
        for scores in [calibration(&learned), &found] {
            let sane = scores.iter().all(|s| s.is_finite() && *s >= 0.0);
            assert!(sane, "{scores:?}");
        }
    };
    for (n, d) in [(2, 1), (2, 1000), (3, 16), (300, 1), (70, 1000), (200, 3)] {
        let probes = Array2::from_shape_fn((6, d), |(i, _)| {
            [0.0, 1e300, -1e300, 1e-300, f64::MAX, 5.0][i]
        });
        check(Array2::zeros((n, d)), &probes);
        check(Array2::from_elem((n, d), -1e300), &probes);
        for scale in [1e-300, 1e-160, 1e-30, 1.0, 1e15, 1e16, 1e25, 1e150, 1e308] {
            check(grid(n, d, 3) * 0.2 * scale, &probes);
            check(cloud(n, d, -0.5, 4) * scale, &probes);
        }
        let mut rows = cloud(n, d, 0.0, 5);
        rows.column_mut(d - 1).fill(1e9);
        rows[(0, 0)] = f64::MAX;
        check(rows, &probes);
    }
    let hostile = prop::sample::select(vec![
        0.0,
        -0.0,
        1.0,
        1e300,
        f64::MAX,
        f64::MIN,
        1e-300,
        5e-324,
        1e150,
        1e9,
        1e9 + 1.0,
    ]);
    let values = vec(prop_oneof![-10.0..10.0f64, hostile], 3 * 4..3 * 100);
    proptest!(ProptestConfig::with_cases(32), |(values in values)| {
        let n = values.len() / 3;
        let rows = Array2::from_shape_vec((n, 3), values[..3 * n].to_vec()).expect("a matrix");
        check(rows.clone(), &rows);
    });
}

/// An update is a fit on the union while the past rows are all rows seen, and later on a sample of the union of the expected
/// size.
pub(in crate::detector) fn learns_more<D: Tested>(params: D::Params) {
    let (old, new) = (cloud(300, 3, 0.0, 1), cloud(200, 3, 0.3, 2));
    let model = fit::<D>(&params, &old).expect("a model").detector;
    let update = |seen, new: &Array2<f64>| {
        let past = PastRows {
            seen_by_class: None,
            rows: old.view(),
            labels: None,
            seen,
        };
        model.update(past, Sample::complete(new.view()), &Context::new())
    };
    let union = concatenate![Axis(0), old, new];
    let whole = fit::<D>(&params, &union).expect("a model");
    assert_eq!(update(300, &new).expect("a model"), whole);

    let part = update(1500, &new).expect("a model");
    assert_eq!(update(1500, &new).expect("a model"), part);
    let scores = calibration(&part);
    assert_eq!(scores.len(), 500);
    // a point is 3 coordinates and a number of copies; a row that was not drawn is scored as an unseen one
    let size = |detector: &D| bytes(detector).len() as f64;
    let ratio = size(&part.detector) / size(&whole.detector);
    assert!((ratio - 340.0 / 500.0).abs() < 0.02, "{ratio}");
    let as_new = score(&part.detector, new.view());
    let n_new = as_new.iter().zip(&scores[300..]).filter(|(a, b)| a == b);
    assert_eq!(n_new.count(), 160);

    let reversed = new.slice(s![..;-1, ..]).to_owned();
    let other = update(1500, &reversed).expect("a model");
    assert_eq!(other.detector, part.detector);

    let few = new.slice(s![..2, ..]).to_owned();
    let scores = update(1_000_000, &few).expect("a model");
    assert_eq!(calibration(&scores).len(), 302);
    let nothing = model
        .update(
            PastRows::none(),
            Sample::complete(new.view()),
            &Context::new(),
        )
        .expect("a model");
    assert_eq!(nothing, fit::<D>(&params, &new).expect("a model"));
    let error = update(300, &cloud(5, 2, 0.0, 1)).expect_err("refused");
    assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
}

/// A cancelled context gives no model, and one row is too few.
pub(in crate::detector) fn refuses<D: Tested>(params: D::Params) {
    stops_when_cancelled::<D>(&params, &cloud(300, 3, 0.0, 1));
    for shape in [(1, 3), (0, 3), (3, 0)] {
        let error = fit::<D>(&params, &Array2::zeros(shape)).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
}
