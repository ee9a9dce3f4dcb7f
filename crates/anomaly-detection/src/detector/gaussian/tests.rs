use ndarray::{Axis, array, concatenate, s};
use proptest::prelude::*;

use super::*;
use crate::detector::contract::moments::{
    is_finite, is_one_and_the_same, learns_exactly, refuses_too_many_columns,
};
use crate::detector::contract::rows::correlated;
use crate::detector::contract::{fit_plain, refuses_another_width, refuses_damages, score};

fn fit_with(ridge: f64, rows: &Array2<f64>) -> Result<Gaussian> {
    fit_plain(&GaussianParams::new().with_ridge(ridge), rows)
}

fn fit(rows: &Array2<f64>) -> Gaussian {
    fit_with(DEFAULT_RIDGE, rows).expect("a model")
}

#[test]
fn agrees_with_scipy() {
    // scipy.stats.multivariate_normal with numpy.mean and numpy.cov of these rows
    let rows = array![[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 3.0], [6.0, 8.0]];
    let model = fit_with(0.0, &rows).expect("a model");
    let found = model.explain(&[2.0, 7.0]);
    assert!((found.mahalanobis - 3.28271899).abs() < 1e-8, "{found:?}");
    assert!(
        (found.log_density - -8.252258998835309).abs() < 1e-12,
        "{found:?}"
    );
    assert!(
        (found.density - 0.00026066904063443656).abs() < 1e-15,
        "{found:?}"
    );
    assert!(
        (found.normalized_density - 0.00457055).abs() < 1e-8,
        "{found:?}"
    );
    assert_eq!(
        score(&model, array![[2.0, 7.0]].view()),
        [found.mahalanobis]
    );
    let mean = model.explain(&[3.2, 3.8]);
    assert!(
        mean.mahalanobis < 1e-12 && mean.normalized_density == 1.0,
        "{mean:?}"
    );
    let z = model.z_scores(&[2.0, 7.0]).expect("has them");
    assert!((z[0] - -1.2 / 3.7f64.sqrt()).abs() < 1e-12, "{z:?}");
}

#[test]
fn far_from_0_the_variance_keeps_its_digits() {
    for offset in [1e8, 1e9] {
        // 0 and 1, half each
        let rows = Array2::from_shape_fn((1000, 1), |(i, _)| offset + (i % 2) as f64);
        let model = fit_with(0.0, &rows).expect("a model");
        let exact = 0.25 * 1000.0 / 999.0;
        let variance = model.moments().covariance()[(0, 0)];
        assert!((variance / exact - 1.0).abs() < 1e-6, "{variance}");
        let distance = model.explain(&[offset + 3.5]).mahalanobis;
        assert!(
            (distance * exact.sqrt() / 3.0 - 1.0).abs() < 1e-6,
            "{distance}"
        );
    }
}

#[test]
fn parameters_are_checked() {
    for ridge in [-1e-9, 1.1, f64::NAN, f64::INFINITY] {
        let error = GaussianParams::new()
            .with_ridge(ridge)
            .check()
            .expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some("ridge"));
    }
}

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Gaussian>(&GaussianParams::default(), |model, row, score| {
        assert_eq!(model.explain(row).mahalanobis.to_bits(), score.to_bits());
    });
}

#[test]
fn two_complete_rows_are_needed() {
    let rows = array![[1.0, 2.0], [2.0, f64::NAN], [f64::NAN, 1.0]];
    let error = fit_with(1e-6, &rows).expect_err("refused");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
}

#[test]
fn dependent_columns_need_a_ridge() {
    let rows = array![[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]];
    let error = fit_with(0.0, &rows).expect_err("refused");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("gaussian.ridge"), "{error}");
    let scores = score(&fit(&rows), array![[2.0, 4.0], [2.0, 5.0]].view());
    assert!(scores[0] < 1e-6 && scores[1] > 100.0, "{scores:?}");
}

#[test]
fn a_deviation_from_a_constant_is_very_anomalous() {
    let mut rows = correlated(100, 2, 0.0, 3);
    for constant in [0.0, 0.1, 1e9] {
        rows.column_mut(1).fill(constant);
        let model = fit(&rows);
        let usual = rows[(0, 0)];
        let scores = score(
            &model,
            array![[usual, constant], [usual, constant + 1.0]].view(),
        );
        assert!(scores[0] < 10.0, "{scores:?}");
        assert!(scores[1] > 100.0 && scores[1].is_finite(), "{scores:?}");
    }
}

#[test]
fn more_columns_than_rows_work() {
    let rows = correlated(20, 1000, 5.0, 4);
    let model = fit(&rows);
    assert!(
        score(&model, rows.view())
            .iter()
            .all(|s| s.is_finite() && *s < 100.0)
    );
    assert!(score(&model, Array2::from_elem((1, 1000), 1e300).view())[0].is_finite());
}

#[test]
fn updates_of_another_width_are_refused() {
    refuses_another_width(&fit(&correlated(10, 3, 0.0, 5)));
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&correlated(10, 3, 0.0, 6));
    refuses_damages(
        &good,
        &[
            |m| m.std.truncate(2),
            |m| m.std[0] = 0.0,
            |m| m.factor.truncate(5),
            |m| m.factor[2] = -1.0,
            |m| m.factor[1] = f64::NAN,
            |m| m.params = m.params.clone().with_ridge(2.0),
            |m| m.moments = Moments::new(3),
        ],
    );
}

#[test]
fn a_hostile_factor_that_passes_scores_finitely() {
    let mut hostile = fit(&correlated(10, 3, 0.0, 7));
    hostile.factor = vec![
        f64::MIN_POSITIVE,
        f64::MAX,
        1e-300,
        -f64::MAX,
        f64::MAX,
        1e-300,
    ];
    hostile.validate().expect("valid");
    let scores = score(&hostile, array![[1e300, -1e300, 1e300], [0.0; 3]].view());
    assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_with_missing_values_are_not_learned_from(seed: u64) {
        let rows = correlated(50, 3, 0.0, seed);
        let mut gap = rows.slice(s![..5, ..]).to_owned();
        gap.column_mut(1).fill(f64::NAN);
        let observed = concatenate![Axis(0), gap, rows];
        prop_assert_eq!(fit(&observed), fit(&rows));
    }
}

#[test]
fn an_update_is_a_fit_on_the_union() {
    learns_exactly::<Gaussian>(&GaussianParams::default(), Gaussian::moments, |m| &m.std);
}

#[test]
fn hostile_finite_rows_never_give_nan() {
    is_finite::<Gaussian>(&GaussianParams::new().with_ridge(1e-6), |model, probe| {
        let found = model.explain(probe);
        assert!(
            found.mahalanobis.is_finite() && found.mahalanobis >= 0.0,
            "{found:?}"
        );
        assert!(
            found.log_density.is_finite() && !found.density.is_nan(),
            "{found:?}"
        );
        assert!((0.0..=1.0).contains(&found.normalized_density), "{found:?}");
        let z = model.z_scores(probe).expect("has them");
        assert!(z.iter().all(|z| z.is_finite()), "{z:?}");
    });
}

#[test]
fn too_many_columns_for_a_covariance_are_refused() {
    refuses_too_many_columns::<Gaussian>(&GaussianParams::default());
}
