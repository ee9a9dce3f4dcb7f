use ndarray::array;

use super::*;
use crate::detector::contract::neighbors::{
    eight_rows, is_finite, is_one_and_the_same, learns_more, refuses,
};
use crate::detector::contract::{fit, fits_through_linfa, refuses_damages, score};
use crate::error::reason;

fn params(n_neighbors: usize, method: KnnMethod) -> KnnParams {
    KnnParams::new()
        .with_n_neighbors(n_neighbors)
        .with_method(method)
}

#[test]
fn agrees_with_pyod() {
    // pyod.models.knn.KNN of these rows: decision_scores_ of the first three, decision_function of three new ones
    let new = array![[1.0, 0.5], [5.0, 5.1], [0.2, 0.2]];
    let expected = [
        (
            params(3, KnnMethod::Largest),
            [1.118033988749895, 0.806225774829855, 1.3892443989449805],
            [0.7211102550927979, 5.445181356024793, 0.8544003745317532],
        ),
        (
            params(3, KnnMethod::Mean),
            [1.0736512525598, 0.5091120099742176, 1.0299657882582505],
            [0.24037008503093263, 4.717341394843886, 0.621751358644808],
        ),
        (
            params(3, KnnMethod::Median),
            [1.118033988749895, 0.7211102550927979, 0.8944271909999159],
            [0.0, 4.534313619501853, 0.7280109889280517],
        ),
        (
            params(4, KnnMethod::Median),
            [1.118033988749895, 0.7636680149613264, 1.1418357949724482],
            [0.3605551275463989, 4.9897474877633226, 0.7912056817299025],
        ),
    ];
    for (params, old, found) in expected {
        let learned = fit::<Knn>(&params, &eight_rows()).expect("a model");
        let scores = learned.calibration_scores.expect("scores");
        assert_eq!(scores.len(), 8);
        let scores = scores.into_iter().zip(old);
        let new = score(&learned.detector, new.view());
        for (a, b) in scores.chain(new.into_iter().zip(found)) {
            assert!((a - b).abs() <= 1e-12, "{params:?}: {a} {b}");
        }
    }
}

#[test]
fn no_more_neighbours_than_other_rows() {
    let few = fit::<Knn>(&params(7, KnnMethod::Mean), &eight_rows()).expect("a model");
    let many = fit::<Knn>(&params(100, KnnMethod::Mean), &eight_rows()).expect("a model");
    assert_eq!(few.calibration_scores, many.calibration_scores);
    let two = fit::<Knn>(&KnnParams::default(), &array![[0.0], [3.0]]).expect("a model");
    assert_eq!(two.calibration_scores, Some(vec![3.0, 3.0]));
    assert_eq!(
        score(&two.detector, array![[1.0], [3.0]].view()),
        [1.0, 0.0]
    );
}

#[test]
fn parameters_are_checked() {
    for n_neighbors in [0, 10_001, usize::MAX] {
        let error = params(n_neighbors, KnnMethod::Mean)
            .check()
            .expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some("n_neighbors"));
    }
    assert!(params(10_000, KnnMethod::Mean).check().is_ok());
}

#[test]
fn linfa_fits_it() {
    fits_through_linfa::<Knn>(&KnnParams::default(), &eight_rows());
}

#[test]
fn damaged_models_are_refused() {
    let good = fit::<Knn>(&KnnParams::default(), &eight_rows());
    refuses_damages(
        &good.expect("a model").detector,
        &[|m| m.params = m.params.clone().with_n_neighbors(0)],
    );
}

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Knn>(params(20, KnnMethod::Mean));
    is_one_and_the_same::<Knn>(params(90, KnnMethod::Median));
}

#[test]
fn scores_are_finite() {
    for method in [KnnMethod::Largest, KnnMethod::Mean, KnnMethod::Median] {
        is_finite::<Knn>(params(5, method));
    }
}

#[test]
fn an_update_learns_the_union() {
    learns_more::<Knn>(KnnParams::default());
}

#[test]
fn unusable_rows_are_refused() {
    refuses::<Knn>(KnnParams::default());
}
