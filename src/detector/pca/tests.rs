use linfa::traits::Fit as _;
use ndarray::{Axis, array, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

fn fit_with(n_components: Option<usize>, rows: &Array2<f64>) -> Result<Pca> {
    let params = PcaParams { n_components };
    params
        .check_ref()
        .and_then(|params| params.fit_rows(sample(rows), &Context::new()))
}

fn fit(rows: &Array2<f64>) -> Pca {
    fit_with(None, rows).expect("a model")
}

fn score(model: &Pca, rows: ArrayView2<'_, f64>) -> Vec<f64> {
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

fn bytes(model: &Pca) -> Vec<u8> {
    rmp_serde::to_vec_named(model).expect("bytes")
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-3), "{a} {b}");
    }
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
    assert_close(
        model.eigenvalues(),
        &[
            10.740907631191739,
            0.7700949703792983,
            0.0009973984289664262,
        ],
    );
    let probe = array![[2.0, 7.0, 0.3]];
    assert_close(&score(&model, probe.view()), &[941.7303030302141]);
    let two = fit_with(Some(2), &rows).expect("a model");
    assert_close(&score(&two, probe.view()), &[9.14969017896966]);
}

#[test]
fn all_components_give_the_squared_mahalanobis_distance() {
    let rows = table(500, 7, 1e9, 2);
    let gaussian = super::super::GaussianParams { ridge: 0.0 }
        .check()
        .and_then(|params| params.fit_rows(sample(&rows), &Context::new()))
        .expect("a model");
    let squared: Vec<f64> = rows
        .rows()
        .into_iter()
        .map(|row| gaussian.explain(&row.to_vec()).mahalanobis.powi(2))
        .collect();
    assert_close(&score(&fit(&rows), rows.view()), &squared);
}

#[test]
fn parameters_are_checked() {
    let error = fit_with(Some(0), &table(10, 3, 0.0, 1)).expect_err("refused");
    assert_eq!(error.reason(), Reason::InvalidParameter);
    assert_eq!(error.field_path(), Some("n_components"));
    let error = fit_with(Some(4), &table(10, 3, 0.0, 1)).expect_err("refused");
    assert_eq!(error.reason(), Reason::InvalidParameter);
    assert_eq!(error.field_path(), Some("n_components"));
    assert!(error.message().contains("is 4") && error.message().contains("only 3"));
}

#[test]
fn linfa_fits_it() {
    let rows = table(50, 3, 0.0, 1);
    let dataset = linfa::DatasetBase::from(rows.clone());
    let model = PcaParams::default().fit(&dataset).expect("a model");
    assert_eq!(model, fit(&rows));
}

#[test]
fn threads_change_nothing() {
    let rows = table(9000, 12, 3.0, 8);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("a pool").install(|| bytes(&fit(&rows)))
    };
    assert_eq!(on(1), on(3));
    let wide = table(100, 300, 3.0, 8);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("a pool").install(|| bytes(&fit(&wide)))
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn fewer_rows_than_columns_work() {
    let rows = table(20, 1000, 5.0, 4);
    let model = fit(&rows);
    assert_eq!(model.eigenvalues().len(), 19);
    // a row of n lies (n - 1)^2 / n from the mean of which it is a part
    assert_close(&score(&model, rows.view()), &[361.0 / 20.0; 20]);
    assert!(score(&model, Array2::from_elem((1, 1000), 1e300).view())[0].is_finite());
}

#[test]
fn columns_that_depend_on_each_other_or_are_constant_are_left_out() {
    let base = table(200, 2, 0.0, 4);
    let sum = base.sum_axis(Axis(1)).insert_axis(Axis(1));
    let constant = Array2::from_elem((200, 1), 7.0);
    let rows = concatenate![Axis(1), base, sum, constant];
    let model = fit(&rows);
    assert_eq!(model.eigenvalues().len(), 2);
    assert_close(
        &score(&model, rows.view()),
        &score(&fit(&base), base.view()),
    );
}

#[test]
fn rows_that_do_not_differ_are_refused() {
    for rows in [
        Array2::from_elem((10, 3), 5.0),
        table(1, 3, 0.0, 1),
        table(0, 3, 0.0, 1),
        table(5, 0, 0.0, 1),
        Array2::from_shape_fn((10, 2), |(i, j)| (i + j) as f64 * 1e-300),
    ] {
        let error = fit_with(None, &rows).expect_err("refused");
        assert_eq!(error.reason(), Reason::UnusableRows, "{rows}");
    }
}

#[test]
fn too_many_columns_are_refused() {
    let error = fit_with(None, &Array2::zeros((2, 500_000))).expect_err("too wide");
    assert_eq!(error.reason(), Reason::UnusableRows);
    assert!(error.message().contains("at most 2048"), "{error}");
}

#[test]
fn updates_of_another_width_are_refused() {
    let other = table(10, 2, 0.0, 5);
    let error = fit(&table(10, 3, 0.0, 5))
        .update(History::none(), sample(&other), &Context::new())
        .expect_err("refused");
    assert_eq!(error.reason(), Reason::SchemaMismatch);
}

#[test]
fn a_cancelled_fit_stops() {
    let context = Context::new();
    context.cancel();
    let matrix = Array2::eye(300);
    let error = eigen::eigen(matrix, &context).expect_err("cancelled");
    assert_eq!(error.reason(), Reason::Cancelled);
    let rows = table(100, 3, 0.0, 5);
    let params = PcaParams::default().check().expect("valid");
    let error = params
        .fit_rows(sample(&rows), &context)
        .expect_err("cancelled");
    assert_eq!(error.reason(), Reason::Cancelled);
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(10, 3, 0.0, 6));
    good.validate().expect("valid");
    let damages: [fn(&mut Pca); 10] = [
        |m| m.eigenvalues.truncate(2),
        |m| m.eigenvalues[2] = 0.0,
        |m| m.eigenvalues[2] = f64::NAN,
        |m| m.eigenvalues.reverse(),
        |m| m.weights.truncate(8),
        |m| m.weights[1] = f64::INFINITY,
        |m| m.params.n_components = Some(0),
        |m| m.params.n_components = Some(2),
        |m| m.moments = Moments::new(3),
        |m| {
            m.eigenvalues.clear();
            m.weights.clear();
        },
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), Reason::DamagedArtifact);
    }
}

#[test]
fn hostile_weights_that_pass_score_finitely() {
    let mut hostile = fit(&table(10, 3, 0.0, 7));
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
        let factors = table(rank, d, -1.5, d as u64);
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
        assert_close(&score(&updated, rows.view()), &score(&whole, rows.view()));
        assert_close(updated.eigenvalues(), whole.eigenvalues());
        let covariances = |m: &Pca| m.moments().covariance().into_raw_vec_and_offset().0;
        assert_close(&covariances(&updated), &covariances(&whole));
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
        }
    }

    #[test]
    fn the_order_of_the_rows_changes_nothing(seed: u64, n in 3..3000usize, d in 1..9usize) {
        let rows = table(n, d, 1e9, seed);
        let reversed = rows.slice(s![..;-1, ..]).to_owned();
        prop_assert_eq!(bytes(&fit(&rows)), bytes(&fit(&reversed)));
    }

    #[test]
    fn a_stored_model_is_the_same(seed: u64, d in 1..5usize) {
        let model = fit(&table(30, d, 1e9, seed));
        let read: Pca = rmp_serde::from_slice(&bytes(&model)).expect("a model");
        read.validate().expect("valid");
        prop_assert_eq!(read, model);
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        rows in vec(vec(hostile(), 3), 2..8),
        probes in vec(vec(hostile(), 3), 1..20),
    ) {
        let rows = matrix(&rows);
        match fit_with(None, &rows) {
            Ok(model) => {
                model.validate().expect("valid");
                let scores = score(&model, matrix(&probes).view());
                prop_assert!(scores.iter().all(|s| s.is_finite() && *s >= 0.0), "{scores:?}");
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
