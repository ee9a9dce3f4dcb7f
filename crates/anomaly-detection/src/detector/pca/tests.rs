use ndarray::{Axis, array, concatenate};
use proptest::prelude::*;

use super::*;
use crate::detector::contract::moments::{
    assert_nearly, is_finite, is_one_and_the_same, learns_exactly, refuses_too_many_columns,
};
use crate::detector::contract::rows::correlated;
use crate::detector::contract::{
    fit_plain, order_changes_nothing, refuses_another_width, refuses_damages, score,
    stops_when_cancelled, threads_change_nothing,
};
use crate::detector::{Gaussian, GaussianParams};

fn fit_with(n_components: Option<usize>, rows: &Array2<f64>) -> Result<Pca> {
    fit_plain(&PcaParams::new().with_n_components(n_components), rows)
}

fn fit(rows: &Array2<f64>) -> Pca {
    fit_with(None, rows).expect("a model")
}

#[test]
fn agrees_with_numpy() {
    // numpy.linalg.eigh of numpy.cov of these rows
    let rows = array![
        [1.0, 2.0, 0.5],
        [2.0, 1.0, 0.1],
        [3.0, 5.0, 0.7],
        [4.0, 3.0, 0.2],
        [6.0, 8.0, 0.9]
    ];
    let model = fit(&rows);
    assert_nearly(
        model.eigenvalues(),
        &[
            10.740907631191739,
            0.7700949703792983,
            0.0009973984289664262,
        ],
    );
    let probe = array![[2.0, 7.0, 0.3]];
    assert_nearly(&score(&model, probe.view()), &[941.7303030302141]);
    let two = fit_with(Some(2), &rows).expect("a model");
    assert_nearly(&score(&two, probe.view()), &[9.14969017896966]);
}

#[test]
fn all_components_give_the_squared_mahalanobis_distance() {
    let rows = correlated(500, 7, 1e9, 2);
    let params = GaussianParams::new().with_ridge(0.0);
    let gaussian: Gaussian = fit_plain(&params, &rows).expect("a model");
    let squared: Vec<f64> = rows
        .rows()
        .into_iter()
        .map(|row| gaussian.explain(&row.to_vec()).mahalanobis.powi(2))
        .collect();
    assert_nearly(&score(&fit(&rows), rows.view()), &squared);
}

#[test]
fn constant_and_one_hot_columns_hide_no_outlier() {
    let numbers = correlated(300, 2, 5.0, 6);
    // a constant, two columns of which exactly one is 1, and two numbers
    let mut rows = Array2::from_shape_fn((300, 5), |(i, j)| match j {
        0 => 7.5,
        1 => (i % 3 == 0) as u8 as f64,
        2 => (i % 3 != 0) as u8 as f64,
        j => numbers[[i, j - 3]],
    });
    rows[[17, 3]] += 40.0;
    rows[[101, 4]] -= 40.0;
    let scores = score(&fit(&rows), rows.view());
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    let mut order: Vec<usize> = (0..300).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(2);
    order.sort_unstable();
    assert_eq!(order, [17, 101]);
}

#[test]
fn parameters_are_checked() {
    let error = fit_with(Some(0), &correlated(10, 3, 0.0, 1)).expect_err("refused");
    assert_eq!(error.reason(), reason::INVALID_PARAMETER);
    assert_eq!(error.field_path(), Some("n_components"));
    let error = fit_with(Some(4), &correlated(10, 3, 0.0, 1)).expect_err("refused");
    assert_eq!(error.reason(), reason::INVALID_PARAMETER);
    assert_eq!(error.field_path(), Some("n_components"));
    assert!(error.message().contains("is 4") && error.message().contains("only 3"));
}

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Pca>(&PcaParams::default(), |_, _, _| ());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for rows in [correlated(9000, 12, 3.0, 8), correlated(100, 300, 3.0, 8)] {
        threads_change_nothing(|| fit(&rows));
    }
}

#[test]
fn fewer_rows_than_columns_work() {
    let rows = correlated(20, 1000, 5.0, 4);
    let model = fit(&rows);
    assert_eq!(model.eigenvalues().len(), 19);
    // each of n rows has a distance of (n - 1)^2 / n from their mean
    assert_nearly(&score(&model, rows.view()), &[361.0 / 20.0; 20]);
    assert!(score(&model, Array2::from_elem((1, 1000), 1e300).view())[0].is_finite());
}

#[test]
fn columns_that_depend_on_each_other_or_are_constant_are_left_out() {
    let base = correlated(200, 2, 0.0, 4);
    let sum = base.sum_axis(Axis(1)).insert_axis(Axis(1));
    let constant = Array2::from_elem((200, 1), 7.0);
    let rows = concatenate![Axis(1), base, sum, constant];
    let model = fit(&rows);
    assert_eq!(model.eigenvalues().len(), 2);
    assert_nearly(
        &score(&model, rows.view()),
        &score(&fit(&base), base.view()),
    );
}

#[test]
fn rows_that_do_not_differ_are_refused() {
    for rows in [
        Array2::from_elem((10, 3), 5.0),
        correlated(1, 3, 0.0, 1),
        correlated(0, 3, 0.0, 1),
        correlated(5, 0, 0.0, 1),
        Array2::from_shape_fn((10, 2), |(i, j)| (i + j) as f64 * 1e-300),
    ] {
        let error = fit_with(None, &rows).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS, "{rows}");
    }
}

#[test]
fn too_many_columns_are_refused() {
    refuses_too_many_columns::<Pca>(&PcaParams::default());
}

#[test]
fn updates_of_another_width_are_refused() {
    refuses_another_width(&fit(&correlated(10, 3, 0.0, 5)));
}

#[test]
fn a_cancelled_fit_stops() {
    let context = Context::new();
    context.cancel();
    let matrix = Array2::eye(300);
    let error = eigen::eigen(matrix, &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
    stops_when_cancelled::<Pca>(&PcaParams::default(), &correlated(100, 3, 0.0, 5));
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&correlated(10, 3, 0.0, 6));
    refuses_damages(
        &good,
        &[
            |m| m.eigenvalues.truncate(2),
            |m| m.eigenvalues[2] = 0.0,
            |m| m.eigenvalues[2] = f64::NAN,
            |m| m.eigenvalues.reverse(),
            |m| m.weights.truncate(8),
            |m| m.weights[1] = f64::INFINITY,
            |m| m.params = m.params.clone().with_n_components(Some(0)),
            |m| m.params = m.params.clone().with_n_components(Some(2)),
            |m| m.moments = Moments::new(3),
            |m| {
                m.eigenvalues.clear();
                m.weights.clear();
            },
        ],
    );
}

#[test]
fn hostile_weights_that_pass_score_finitely() {
    let mut hostile = fit(&correlated(10, 3, 0.0, 7));
    hostile.weights = vec![
        f64::MAX,
        -f64::MAX,
        f64::MAX,
        0.0,
        0.0,
        0.0,
        1.0,
        -1e300,
        1e300,
    ];
    hostile.eigenvalues = vec![5e-324; 3];
    hostile.validate().expect("valid");
    let scores = score(&hostile, array![[1e300, -1e300, 1e300], [0.0; 3]].view());
    assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
}

#[test]
fn eigenvectors_are_orthonormal_and_right() {
    for (d, rank) in [(1, 1), (2, 2), (17, 17), (90, 30), (300, 300), (260, 1)] {
        let factors = correlated(rank, d, -1.5, d as u64);
        let matrix = factors.t().dot(&factors);
        let matrix = &matrix / matrix[(0, 0)];
        let found = eigen::eigen(matrix.clone(), &Context::new()).expect("converges");
        let vectors = &found.vectors;
        assert!(found.values.is_sorted_by(|a, b| a >= b));
        let scale = found.values[0];
        let identity = vectors.dot(&vectors.t());
        let product = vectors.dot(&matrix);
        for i in 0..d {
            for j in 0..d {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((identity[(i, j)] - expected).abs() < 1e-12);
                let difference = product[(i, j)] - found.values[i] * vectors[(i, j)];
                assert!(difference.abs() < 1e-12 * scale, "{d} {difference}");
            }
        }
    }
}

#[test]
fn diagonal_and_equal_eigenvalues_work() {
    let mut matrix = Array2::eye(20);
    let found = eigen::eigen(matrix.clone(), &Context::new()).expect("converges");
    assert_eq!(found.values, vec![1.0; 20]);
    for i in 0..20 {
        matrix[(i, i)] = (i % 5) as f64 * 1e-150;
    }
    let found = eigen::eigen(matrix, &Context::new()).expect("converges");
    assert_eq!(found.values[0], 4e-150);
    assert!(found.values[16..].iter().all(|value| *value == 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_the_rows_changes_nothing(seed: u64, n in 3..3000usize, d in 1..9usize) {
        order_changes_nothing(fit, &correlated(n, d, 1e9, seed));
    }
}

#[test]
fn an_update_is_a_fit_on_the_union() {
    learns_exactly::<Pca>(&PcaParams::default(), Pca::moments, Pca::eigenvalues);
}

#[test]
fn hostile_finite_rows_never_give_nan() {
    is_finite::<Pca>(&PcaParams::default(), |_, _| ());
}
