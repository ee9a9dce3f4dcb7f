use ndarray::{Array2, array};

use super::*;
use crate::detector::contract::neighbors::{
    eight_rows, is_finite, is_one_and_the_same, learns_more, refuses,
};
use crate::detector::contract::{fit, fits_through_linfa, refuses_damages, score};

type Lof = LocalOutlierFactor;

fn params(n_neighbors: usize) -> LocalOutlierFactorParams {
    LocalOutlierFactorParams::new().with_n_neighbors(n_neighbors)
}

#[test]
fn agrees_with_scikit_learn() {
    // LocalOutlierFactor(novelty=True) of these rows: -negative_outlier_factor_, and -score_samples of three new ones; 20
    // neighbours are 7
    let new = array![[1.0, 0.5], [5.0, 5.1], [0.2, 0.2]];
    let expected = [
        (
            3,
            [
                1.2454818686670086,
                0.935256753288879,
                1.1948048414879413,
                1.9241159233716705,
                1.1511839909554167,
                9.034799773114882,
                0.9352567532888791,
                0.935256753288879,
            ],
            [0.9352567532888791, 4.291805798749451, 0.979071238915498],
        ),
        (
            20,
            [
                0.9825746110256459,
                0.998728990506163,
                1.004266819376917,
                1.0286389702181997,
                0.9969023375814162,
                0.9825746110256446,
                1.0089206075740673,
                0.998728990506163,
            ],
            [0.9825746110256457, 0.9825746110256455, 0.9825746110256458],
        ),
    ];
    for (n_neighbors, old, found) in expected {
        let learned = fit::<Lof>(&params(n_neighbors), &eight_rows()).expect("a model");
        let scores = learned.calibration_scores.expect("scores");
        assert_eq!(scores.len(), 8);
        let scores = scores.into_iter().zip(old);
        let new = score(&learned.detector, new.view());
        for (a, b) in scores.chain(new.into_iter().zip(found)) {
            assert!((a - b).abs() <= 1e-12 * b, "{n_neighbors}: {a} {b}");
        }
    }
}

#[test]
fn equal_rows_are_as_dense_as_each_other() {
    // as scikit-learn's: 1, and far off it 1e10 times the distance
    let learned = fit::<Lof>(&params(20), &Array2::zeros((30, 2))).expect("a model");
    assert_eq!(learned.calibration_scores, Some(vec![1.0; 30]));
    let scores = score(&learned.detector, array![[0.0, 0.0], [1.0, 0.0]].view());
    assert_eq!(scores[0], 1.0);
    assert!((scores[1] - 10_000_000_001.0).abs() < 1e-3, "{scores:?}");
}

#[test]
fn two_rows_are_enough() {
    let learned = fit::<Lof>(&params(20), &array![[0.0], [3.0]]).expect("a model");
    assert_eq!(learned.calibration_scores, Some(vec![1.0, 1.0]));
}

#[test]
fn parameters_are_checked() {
    for n_neighbors in [0, 10_001, usize::MAX] {
        let error = params(n_neighbors).check().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some("n_neighbors"));
    }
}

#[test]
fn too_many_neighbours_for_the_memory_are_refused() {
    let error = neighbor_lists(1_000_000, 10_000).expect_err("160 GB");
    assert_eq!(error.reason(), reason::INVALID_PARAMETER);
    assert!(error.message().contains("lower n_neighbors"), "{error}");
}

#[test]
fn linfa_fits_it() {
    fits_through_linfa::<Lof>(&LocalOutlierFactorParams::default(), &eight_rows());
}

#[test]
fn damaged_models_are_refused() {
    let good = fit::<Lof>(&params(3), &eight_rows())
        .expect("a model")
        .detector;
    refuses_damages(
        &good,
        &[
            |m| m.params = m.params.clone().with_n_neighbors(0),
            |m| m.k_distances.truncate(2),
            |m| m.densities.truncate(2),
            |m| m.densities.push(1.0),
            |m| m.k_distances[0] = f64::NAN,
            |m| m.k_distances[0] = -1.0,
            |m| m.densities[1] = f64::INFINITY,
            |m| m.densities[1] = -1.0,
        ],
    );
}

#[test]
fn a_hostile_model_that_passes_scores_finitely() {
    let mut hostile = fit::<Lof>(&params(3), &eight_rows())
        .expect("a model")
        .detector;
    hostile.densities.fill(*DENSITIES.end());
    hostile.k_distances.fill(*DISTANCES.end());
    hostile.validate().expect("valid");
    let scores = score(&hostile, array![[0.0, 0.0], [f64::MAX, f64::MIN]].view());
    assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
}

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Lof>(params(20));
    is_one_and_the_same::<Lof>(params(90));
}

#[test]
fn scores_are_finite() {
    is_finite::<Lof>(params(20));
    is_finite::<Lof>(params(1));
}

#[test]
fn an_update_learns_the_union() {
    learns_more::<Lof>(LocalOutlierFactorParams::default());
}

#[test]
fn unusable_rows_are_refused() {
    refuses::<Lof>(LocalOutlierFactorParams::default());
}
