use linfa::traits::Fit as _;
use ndarray::{Axis, array, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

fn fit_with(ridge: f64, rows: &Array2<f64>) -> Result<Gaussian> {
    let params = GaussianParams { ridge };
    params
        .check_ref()
        .and_then(|params| params.fit_rows(sample(rows), &Context::new()))
}

fn fit(rows: &Array2<f64>) -> Gaussian {
    fit_with(DEFAULT_RIDGE, rows).expect("a model")
}

fn score(model: &Gaussian, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    model.score_block(rows, &mut scores);
    scores
}

/// Rows with correlated columns, at an offset.
fn table(n: usize, d: usize, offset: f64, seed: u64) -> Array2<f64> {
    let mut state = seed;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut rows = Array2::zeros((n, d));
    for mut row in rows.rows_mut() {
        let common = uniform();
        row.mapv_inplace(|_: f64| offset + common + 2.0 * uniform());
    }
    rows
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
fn parameters_are_checked() {
    for ridge in [-1e-9, 1.1, f64::NAN, f64::INFINITY] {
        let error = GaussianParams { ridge }.check().expect_err("refused");
        assert_eq!(error.reason(), Reason::InvalidParameter);
        assert_eq!(error.field_path(), Some("ridge"));
    }
}

#[test]
fn linfa_fits_it() {
    let rows = table(50, 3, 0.0, 1);
    let dataset = linfa::DatasetBase::from(rows.clone());
    let model = GaussianParams::default().fit(&dataset).expect("a model");
    assert_eq!(model, fit(&rows));
}

#[test]
fn two_complete_rows_are_needed() {
    let rows = array![[1.0, 2.0], [2.0, f64::NAN], [f64::NAN, 1.0]];
    let error = fit_with(1e-6, &rows).expect_err("refused");
    assert_eq!(error.reason(), Reason::UnusableRows);
}

#[test]
fn dependent_columns_need_a_ridge() {
    let rows = array![[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]];
    let error = fit_with(0.0, &rows).expect_err("refused");
    assert_eq!(error.reason(), Reason::UnusableRows);
    assert!(error.message().contains("gaussian.ridge"), "{error}");
    let scores = score(&fit(&rows), array![[2.0, 4.0], [2.0, 5.0]].view());
    assert!(scores[0] < 1e-6 && scores[1] > 100.0, "{scores:?}");
}

#[test]
fn a_deviation_from_a_constant_is_very_anomalous() {
    let mut rows = table(100, 2, 0.0, 3);
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
    let rows = table(20, 1000, 5.0, 4);
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
    let model = fit(&table(10, 3, 0.0, 5));
    let other = table(10, 2, 0.0, 5);
    let error = model
        .update(History::none(), sample(&other), &Context::new())
        .expect_err("refused");
    assert_eq!(error.reason(), Reason::SchemaMismatch);
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(10, 3, 0.0, 6));
    good.validate().expect("valid");
    let damages: [fn(&mut Gaussian); 7] = [
        |m| m.std.truncate(2),
        |m| m.std[0] = 0.0,
        |m| m.factor.truncate(5),
        |m| m.factor[2] = -1.0,
        |m| m.factor[1] = f64::NAN,
        |m| m.params.ridge = 2.0,
        |m| m.moments = Moments::new(3),
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), Reason::DamagedArtifact);
    }
}

#[test]
fn a_hostile_factor_that_passes_scores_finitely() {
    let mut hostile = fit(&table(10, 3, 0.0, 7));
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

fn assert_close(found: &[f64], expected: &[f64]) -> Result<(), TestCaseError> {
    for (a, b) in found.iter().zip(expected) {
        prop_assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-3), "{a} {b}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_update_is_a_fit_on_the_union(
        seed: u64,
        n in 20..1500usize,
        m in 1..1500usize,
        d in 1..6usize,
        offset in prop_oneof![Just(0.0), Just(1e9), Just(-3e5)],
    ) {
        let rows = table(n + m, d, offset, seed);
        let (first, second) = rows.view().split_at(Axis(0), n);
        let (first, second) = (first.to_owned(), second.to_owned());
        let updated = fit(&first).update(History::none(), sample(&second), &Context::new()).expect("a model").detector;
        let whole = fit(&rows);
        assert_close(&score(&updated, rows.view()), &score(&whole, rows.view()))?;
        assert_close(updated.std.as_slice(), whole.std.as_slice())?;
        let covariances = |m: &Gaussian| m.moments().covariance().into_raw_vec_and_offset().0;
        assert_close(&covariances(&updated), &covariances(&whole))?;
    }

    #[test]
    fn a_row_scores_the_same_alone_and_in_any_batch(seed: u64, n in 20..60usize, d in 1..9usize, from in 0..20usize) {
        let rows = table(n, d, 0.0, seed);
        let model = fit(&rows);
        let together = score(&model, rows.view());
        prop_assert_eq!(&score(&model, rows.slice(s![from.., ..])), &together[from..]);
        for (row, expected) in rows.rows().into_iter().zip(&together) {
            let alone = score(&model, row.insert_axis(Axis(0)));
            prop_assert_eq!(alone[0].to_bits(), expected.to_bits());
            prop_assert_eq!(model.explain(&row.to_vec()).mahalanobis.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn rows_with_missing_values_are_not_learned_from(seed: u64) {
        let rows = table(50, 3, 0.0, seed);
        let mut gap = rows.slice(s![..5, ..]).to_owned();
        gap.column_mut(1).fill(f64::NAN);
        let observed = concatenate![Axis(0), gap, rows];
        prop_assert_eq!(fit(&observed), fit(&rows));
    }

    #[test]
    fn a_stored_model_is_the_same(seed: u64, d in 1..5usize) {
        let model = fit(&table(30, d, 1e9, seed));
        let bytes = rmp_serde::to_vec_named(&model).expect("bytes");
        let read: Gaussian = rmp_serde::from_slice(&bytes).expect("a model");
        read.validate().expect("valid");
        prop_assert_eq!(read, model);
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        rows in vec(vec(hostile(), 3), 2..8),
        probes in vec(vec(hostile(), 3), 1..20),
    ) {
        let rows = matrix(&rows);
        match fit_with(1e-6, &rows) {
            Ok(model) => {
                model.validate().expect("valid");
                for probe in &probes {
                    let found = model.explain(probe);
                    prop_assert!(found.mahalanobis.is_finite() && found.mahalanobis >= 0.0, "{found:?}");
                    prop_assert!(found.log_density.is_finite() && !found.density.is_nan(), "{found:?}");
                    prop_assert!((0.0..=1.0).contains(&found.normalized_density), "{found:?}");
                    prop_assert!(model.z_scores(probe).expect("has them").iter().all(|z| z.is_finite()));
                }
                prop_assert!(score(&model, matrix(&probes).view()).iter().all(|s| s.is_finite()));
            }
            Err(error) => prop_assert_eq!(error.reason(), Reason::UnusableRows),
        }
    }
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).expect("a matrix")
}

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, 1e300, -1e300, f64::MAX, f64::MIN, 1e-300, 5e-324, 1e150, -1e150, 1e9, 1e9 + 1.0,
        ]),
    ]
}

#[test]
fn more_columns_than_their_covariance_has_room_for_are_refused() {
    // the covariance of so many would take 2 TB
    let error = fit_with(DEFAULT_RIDGE, &Array2::zeros((2, 500_000))).expect_err("too wide");
    assert_eq!(error.reason(), Reason::UnusableRows);
    assert!(error.message().contains("at most 2048"), "{error}");
}
