use ndarray::{Array2, Axis, array, concatenate};
use proptest::prelude::*;

use super::*;
use crate::detector::contract::rows::{hostile_rows, uniforms};
use crate::detector::contract::{
    fit_plain, fits_through_linfa, other_rows_change_nothing, refuses_another_width,
    refuses_damages, score, stops_when_cancelled, storing_changes_nothing, threads_change_nothing,
};

mod kernels;
mod parity;
mod solver;

fn fit(params: &OneClassSvmParams, rows: &Array2<f64>) -> OneClassSvm {
    try_fit(params, rows).expect("a model")
}

fn try_fit(params: &OneClassSvmParams, rows: &Array2<f64>) -> Result<OneClassSvm> {
    fit_plain(params, rows)
}

/// Rows from a few clusters, on a grid where `grid` says so.
fn table(n: usize, d: usize, seed: u64, grid: bool) -> Array2<f64> {
    let mut uniform = uniforms(seed);
    Array2::from_shape_simple_fn((n, d), || {
        let value = uniform() + uniform() + 3.0 * uniform().round();
        if grid { (2.0 * value).round() } else { value }
    })
}

fn kernels() -> impl Iterator<Item = OneClassSvmParams> {
    [
        SvmKernel::Rbf,
        SvmKernel::Linear,
        SvmKernel::Poly,
        SvmKernel::Sigmoid,
    ]
    .into_iter()
    .flat_map(|kernel| {
        [0.05, 0.5, 1.0].map(|nu| {
            OneClassSvmParams::new()
                .with_nu(nu)
                .with_kernel(kernel)
                .with_coef0(0.5)
        })
    })
}

#[test]
fn parameters_are_checked() {
    let base = OneClassSvmParams::default;
    let nu = |nu| base().with_nu(nu);
    let tol = |tol| base().with_tol(tol);
    let coef0 = |coef0| base().with_coef0(coef0);
    let degree = |degree| base().with_degree(degree);
    let gamma = |gamma| base().with_gamma(SvmGamma::Value(gamma));
    let mut refused = Vec::new();
    refused.extend([0.0, -0.1, 1.1, f64::NAN].map(|x| ("nu", nu(x))));
    refused.extend([0.0, -1.0, f64::NAN, f64::INFINITY].map(|x| ("tol", tol(x))));
    refused.extend([f64::NAN, f64::INFINITY].map(|x| ("coef0", coef0(x))));
    refused.extend([0, MAX_DEGREE + 1].map(|x| ("degree", degree(x))));
    refused.extend([0.0, -1.0, f64::NAN, f64::INFINITY].map(|x| ("gamma", gamma(x))));
    for (field, params) in refused {
        let error = params.check_ref().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(field));
    }
    base().check().expect("the defaults");
}

#[test]
fn linfa_fits_it() {
    fits_through_linfa::<OneClassSvm>(&OneClassSvmParams::default(), &table(50, 3, 1, false));
}

#[test]
fn too_few_and_too_many_rows_are_refused() {
    for (n, d) in [(0, 3), (1, 3), (3, 0)] {
        let error = try_fit(&OneClassSvmParams::default(), &Array2::zeros((n, d)));
        assert_eq!(
            error.expect_err("refused").reason(),
            reason::UNUSABLE_ROWS,
            "{n} {d}"
        );
    }
    let one = Array2::zeros((1, 1));
    let many = one.broadcast((1 << 14, 1 << 16)).expect("a view");
    let params = OneClassSvmParams::default();
    let params = params.check_ref().expect("valid");
    let error = <OneClassSvm as Method>::fit(params, &Sample::complete(many), &Context::new())
        .expect_err("refused");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("16384 rows of 65536"), "{error}");
}

#[test]
fn an_update_is_a_fit_on_the_union_with_gamma_as_it_was() {
    let rows = table(60, 3, 3, true);
    let (old, new) = rows.view().split_at(Axis(0), 40);
    for params in kernels() {
        let first = fit(&params, &old.to_owned());
        let past = PastRows {
            seen_by_class: None,
            rows: old,
            labels: None,
            seen: 120,
        };
        let sample = Sample::complete(new);
        let updated = first.update(past, sample, &Context::new());
        let updated = updated.expect("a model").detector;
        // each row seen before represents three
        let union = concatenate![Axis(0), new, old, old, old];
        let whole = params.clone().with_gamma(SvmGamma::Value(first.gamma));
        let whole = OneClassSvm {
            params: params.clone(),
            ..fit(&whole, &union)
        };
        assert_eq!(updated, whole, "{params:?}");
    }
    refuses_another_width(&fit(&OneClassSvmParams::default(), &rows));
}

#[test]
fn copies_count_as_weights() {
    // by hand from two rows with kernel c: one of weight 3 and one of weight 1, sum of coefficients 2
    let rows = array![[0.0], [0.0], [0.0], [1.0]];
    let params = OneClassSvmParams::new()
        .with_gamma(SvmGamma::Value(1.0))
        .with_tol(1e-12);
    let model = fit(&params, &rows);
    let c = (-1.0_f64).exp();
    let scores = score(&model, array![[0.0], [1.0]].view());
    // without the caps both coefficients would be 1, which the caps allow
    assert!(scores.iter().all(|s| s.abs() < 1e-6), "{scores:?}");
    assert!((model.rho - (1.0 + c)).abs() < 1e-6, "{model:?}");
    assert_eq!(model.support.n_rows(), 2);
}

#[test]
fn cancellation_stops_a_fit_and_an_update() {
    stops_when_cancelled::<OneClassSvm>(&OneClassSvmParams::default(), &table(500, 3, 3, false));
}

#[test]
fn a_far_row_is_anomalous_and_a_central_one_is_not() {
    let rows = table(300, 4, 9, false);
    let params = OneClassSvmParams::new().with_nu(0.1);
    let model = fit(&params, &rows);
    let scores = score(&model, rows.view());
    let outside = scores.iter().filter(|s| **s > 2e-3).count();
    assert!(outside <= 30, "{outside} of 300 outside with nu 0.1");
    assert!(
        model.support.n_rows() >= 30,
        "at least nu n support vectors: {}",
        model.support.n_rows()
    );
    let far = score(&model, array![[50.0, -50.0, 50.0, 50.0]].view())[0];
    assert!(
        far > 0.0 && scores.iter().all(|s| *s < far),
        "{far} {scores:?}"
    );
}

#[test]
fn offsets_do_not_blur_an_rbf_model() {
    let rows = table(100, 3, 4, true);
    let shifted = rows.mapv(|x| x + 1e9);
    let params = OneClassSvmParams::default();
    let (model, there) = (fit(&params, &rows), fit(&params, &shifted));
    for (a, b) in score(&model, rows.view())
        .iter()
        .zip(score(&there, shifted.view()))
    {
        assert!((a - b).abs() < 1e-2, "{a} {b}");
    }
}

#[test]
fn degenerate_rows_give_finite_scores() {
    let mut tables = vec![
        Array2::zeros((2, 1)),
        Array2::from_elem((50, 3), 7.5),
        Array2::from_elem((9, 2), f64::MAX),
        array![[1e-300], [2e-300], [-5e-324]],
        array![[f64::MAX, 1.0], [f64::MIN, 1.0], [0.0, 1.0]],
        array![[1e9], [1e9 + 1.0]],
        table(5, 1000, 1, false),
        table(40, 1, 2, true),
    ];
    let mut constant = table(30, 3, 5, false);
    constant.column_mut(1).fill(0.1);
    tables.push(constant);
    for rows in tables {
        for params in kernels() {
            let model = fit(&params, &rows);
            model.validate().expect("valid");
            let d = rows.ncols();
            let probes = concatenate![
                Axis(0),
                rows,
                Array2::from_elem((1, d), f64::MAX),
                Array2::from_elem((1, d), f64::MIN),
                Array2::from_elem((1, d), 1e-300)
            ];
            let scores = score(&model, probes.view());
            assert!(
                scores.iter().all(|s| s.is_finite()),
                "{params:?} {rows}: {scores:?}"
            );
        }
    }
}

#[test]
fn damaged_models_are_refused() {
    let params = OneClassSvmParams::new().with_kernel(SvmKernel::Poly);
    let good = fit(&params, &table(30, 3, 6, false));
    refuses_damages(
        &good,
        &[
            |m| m.params = m.params.clone().with_nu(2.0),
            |m| m.params = m.params.clone().with_kernel(SvmKernel::Rbf),
            |m| m.params = m.params.clone().with_degree(2),
            |m| m.gamma = f64::NAN,
            |m| m.coefficients.truncate(8),
            |m| m.coefficients[0] = f64::INFINITY,
            |m| *m.coefficients.last_mut().expect("some") = 1.0,
            |m| m.rho = f64::NAN,
            |m| m.support = Points::zeros(m.support.n_rows(), 2),
        ],
    );
    for (n, d, n_values) in [(usize::MAX, 3, 24), (30, usize::MAX, 96), (30, 3, 95)] {
        let bytes = serde_bytes::ByteBuf::from(vec![0; 4 * n_values]);
        let hostile = crate::messagepack::written(&(n, d, bytes)).expect("bytes");
        let hostile: Points = crate::messagepack::read(&hostile).expect("points");
        let mut bad = good.clone();
        bad.support = hostile;
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "{n} {d}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let rows = table(1500, 3, 8, false);
    threads_change_nothing(|| fit(&OneClassSvmParams::default(), &rows));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_of_the_rows_changes_nothing(seed: u64, n in 2..90usize, d in 1..4usize, which in 0..12usize, grid: bool) {
        let params = kernels().nth(which).expect("a kernel");
        let rows = table(n, d, seed, grid);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|i| (*i as u64 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        prop_assert_eq!(fit(&params, &rows), fit(&params, &rows.select(Axis(0), &order)));
    }

    #[test]
    fn a_row_scores_the_same_alone_and_in_any_batch(seed: u64, d in 1..12usize, from in 0..9usize, which in 0..12usize) {
        let params = kernels().nth(which).expect("a kernel");
        let rows = table(70, d, seed, false);
        other_rows_change_nothing(&fit(&params, &rows), rows.view(), from);
    }

    #[test]
    fn a_model_survives_its_round_trip(seed: u64, d in 1..5usize, which in 0..12usize) {
        let params = kernels().nth(which).expect("a kernel");
        storing_changes_nothing(&fit(&params, &table(30, d, seed, false)));
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        rows in hostile_rows(2..20),
        probes in hostile_rows(1..20),
        which in 0..12usize,
    ) {
        let model = fit(&kernels().nth(which).expect("a kernel"), &rows);
        model.validate().expect("valid");
        let scores = score(&model, concatenate![Axis(0), rows, probes].view());
        prop_assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
    }
}
