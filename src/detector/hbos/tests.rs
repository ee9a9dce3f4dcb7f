use linfa::ParamGuard as _;
use linfa::traits::Fit as _;
use ndarray::{Array2, Axis, array, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn fit_with(params: &HbosParams, rows: &Array2<f64>) -> Result<Hbos> {
    Hbos::fit(params.check_ref()?, sample(rows), &Context::new()).map(|learned| learned.detector)
}

fn try_fit(rows: &Array2<f64>) -> Result<Hbos> {
    fit_with(&HbosParams::default(), rows)
}

fn fit(rows: &Array2<f64>) -> Hbos {
    try_fit(rows).expect("a model")
}

fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

fn score(model: &Hbos, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    model.score_block(rows, &mut scores);
    scores
}

fn update(model: &Hbos, rows: &Array2<f64>) -> Result<Hbos> {
    let learned = model.update(History::none(), sample(rows), &Context::new())?;
    assert_eq!(learned.calibration_scores, None);
    Ok(learned.detector)
}

/// Rows of few and of many distinct values, with an offset.
fn table(n: usize, d: usize, offset: f64, seed: u64) -> Array2<f64> {
    let mut state = seed;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    Array2::from_shape_fn((n, d), |(_, j)| {
        let x = uniform();
        let x = if j % 3 == 2 { (9.0 * x).floor() } else { x * x };
        offset + x
    })
}

fn assert_close(found: &[f64], expected: &[f64], error: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= error, "{a} {b}");
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
fn linfa_fits_it() {
    let rows = table(50, 3, 0.0, 1);
    let dataset = linfa::DatasetBase::from(rows.clone());
    let params = HbosParams::default().check().expect("valid");
    assert_eq!(params.fit(&dataset).expect("a model"), fit(&rows));
}

#[test]
fn too_few_rows_and_columns_without_values_are_refused() {
    let few = table(1, 2, 0.0, 2);
    let mut gap = table(10, 3, 0.0, 2);
    gap.column_mut(1).fill(f64::NAN);
    for rows in [few, gap] {
        let error = try_fit(&rows).expect_err("refused");
        assert_eq!(error.reason(), Reason::UnusableRows);
    }
}

#[test]
fn missing_values_are_not_learned_from() {
    let rows = table(60, 3, 0.0, 3);
    let mut gaps = table(5, 3, 0.0, 4);
    gaps.fill(f64::NAN);
    let observed = concatenate![Axis(0), gaps, rows, gaps];
    assert_eq!(fit(&observed), fit(&rows));
    // an update with a column that holds nothing
    let mut more = table(5, 3, 0.0, 5);
    let complete = fit(&concatenate![Axis(0), rows, more]);
    more.column_mut(1).fill(f64::NAN);
    let partly = update(&fit(&rows), &more).expect("a model");
    assert_eq!(partly.ranks[0], complete.ranks[0]);
    assert_eq!(partly.ranks[1], fit(&rows).ranks[1]);
}

#[test]
fn updates_of_another_width_are_refused() {
    let error = update(&fit(&table(10, 3, 0.0, 5)), &table(10, 2, 0.0, 5)).expect_err("refused");
    assert_eq!(error.reason(), Reason::SchemaMismatch);
}

#[test]
fn work_stops_when_no_one_waits() {
    let context = Context::new();
    context.cancel();
    let rows = table(10, 3, 0.0, 6);
    let params = HbosParams::default().check().expect("valid");
    let error = Hbos::fit(&params, sample(&rows), &context).expect_err("cancelled");
    assert_eq!(error.reason(), Reason::Cancelled);
    let error = fit(&rows)
        .update(History::none(), sample(&rows), &context)
        .expect_err("cancelled");
    assert_eq!(error.reason(), Reason::Cancelled);
}

#[test]
fn neither_threads_nor_the_order_of_the_rows_change_a_model() {
    for (n, d) in [(20_000, 2), (50, 700)] {
        let rows = table(n, d, 0.0, 7);
        let model = fit(&rows);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            assert_eq!(pool.install(|| fit(&rows)), model);
        }
        let reverse = rows.slice(s![..;-1, ..]).to_owned();
        assert_eq!(
            rmp_serde::to_vec(&fit(&reverse)).expect("bytes"),
            rmp_serde::to_vec(&model).expect("bytes")
        );
    }
}

#[test]
fn wide_and_narrow_rows_score() {
    for (n, d) in [(2, 1), (2, 1000), (3000, 1), (5, 3)] {
        let rows = table(n, d, 1e9, 8);
        let model = fit(&rows);
        model.validate().expect("valid");
        assert_eq!(model.n_features(), d);
        assert!(model.size_bytes() > 8 * d);
        let found = score(&model, rows.view());
        assert!(found.iter().all(|x| x.is_finite()));
        for (row, expected) in rows.rows().into_iter().zip(&found).take(40) {
            assert_eq!(score(&model, row.insert_axis(Axis(0))), [*expected]);
        }
    }
    score(&fit(&table(2, 0, 0.0, 0)), table(3, 0, 0.0, 0).view());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

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
    fn a_stored_model_is_the_same(seed: u64, n in 2..40usize, d in 1..5usize) {
        let model = fit(&table(n, d, 1e9, seed));
        let bytes = rmp_serde::to_vec_named(&model).expect("bytes");
        let read: Hbos = rmp_serde::from_slice(&bytes).expect("a model");
        read.validate().expect("valid");
        prop_assert_eq!(read, model);
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        rows in vec(vec(hostile(), 3), 2..8),
        more in vec(vec(hostile(), 3), 1..8),
        probes in vec(vec(hostile(), 3), 1..20),
    ) {
        let model = fit(&matrix(&rows));
        let updated = update(&model, &matrix(&more)).expect("a model");
        for model in [model, updated] {
            model.validate().expect("valid");
            let scores = score(&model, matrix(&probes).view());
            prop_assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
        }
    }
}

fn params(n_bins: NBins, alpha: f64, tol: f64) -> HbosParams {
    HbosParams { n_bins, alpha, tol }
}

#[test]
fn agrees_with_pyod() {
    let rows = array![
        [1.0, 2.0],
        [2.0, 1.0],
        [3.0, 5.0],
        [3.0, 3.0],
        [6.0, 8.0],
        [2.0, 2.0],
        [40.0, -3.0]
    ];
    // pyod.models.hbos.HBOS(n_bins=4).fit(rows).decision_scores_
    let model = fit_with(&params(NBins::Count(4), 0.1, 0.5), &rows).expect("a model");
    let expected = [
        4.378533036326048,
        4.378533036326048,
        4.705964106890797,
        4.705964106890797,
        5.13022013619902,
        4.378533036326048,
        5.843016304873456,
    ];
    assert_close(&score(&model, rows.view()), &expected, 1e-12);
    // the same one's decision_function: near and far outside on either side, and on an edge
    let probes = array![
        [-3.0, 2.0],
        [-4.0, 2.0],
        [41.0, 2.0],
        [50.0, 2.0],
        [10.75, 3.0]
    ];
    let expected = [
        4.378533036326048,
        5.28859091101325,
        5.091329205000484,
        5.28859091101325,
        4.705964106890797,
    ];
    assert_close(&score(&model, probes.view()), &expected, 1e-12);
    // HBOS(n_bins=4, alpha=0.5, tol=0.1)
    let model = fit_with(&params(NBins::Count(4), 0.5, 0.1), &rows).expect("a model");
    let probes = array![
        [0.0, 2.0],
        [-4.0, 2.0],
        [40.5, 2.0],
        [50.0, 2.0],
        [10.75, 3.0]
    ];
    let expected = [
        1.6085750579431064,
        1.6085750579431064,
        1.5669058786420331,
        1.6085750579431064,
        1.4939553833844192,
    ];
    assert_close(&score(&model, probes.view()), &expected, 1e-12);
    // HBOS(n_bins="auto")
    let rows = Array2::from_shape_fn((65, 1), |(i, _)| ((i as f64 - 5.0).powi(2)) / 10.0);
    let model = fit_with(&params(NBins::Auto, 0.1, 0.5), &rows).expect("a model");
    let found = score(&model, rows.view());
    assert_eq!(model.n_bins, [2]);
    assert_close(
        &[found[0], found[10], found[30], found[64]],
        &[
            3.2632040208604733,
            3.2632040208604733,
            3.2632040208604733,
            3.299154718910631,
        ],
        1e-12,
    );
}

#[test]
fn parameters_are_checked() {
    use NBins::{Auto, Count};
    HbosParams::default()
        .check()
        .expect("the defaults are valid");
    params(Auto, 1.0, 0.0).check().expect("valid");
    let nan = f64::NAN;
    let wrong = [
        (params(Count(0), 0.1, 0.5), "n_bins"),
        (params(Count(1), 0.1, 0.5), "n_bins"),
        (params(Count(4097), 0.1, 0.5), "n_bins"),
        (params(Auto, 0.0, 0.5), "alpha"),
        (params(Auto, 1.1, 0.5), "alpha"),
        (params(Auto, nan, 0.5), "alpha"),
        (params(Auto, 0.1, -0.1), "tol"),
        (params(Auto, 0.1, 1.1), "tol"),
        (params(Auto, 0.1, nan), "tol"),
    ];
    for (params, field) in wrong {
        let error = params.check().expect_err("refused");
        assert_eq!(error.reason(), Reason::InvalidParameter);
        assert_eq!(error.field_path(), Some(field));
    }
}

#[test]
fn a_deviation_from_a_constant_is_anomalous() {
    for constant in [0.0, 7.0, 1e9, -1e12] {
        let mut rows = table(50, 2, 0.0, 12);
        rows.column_mut(0).fill(constant);
        let usual = rows[(0, 1)];
        let model = fit(&rows);
        let other = if constant == 0.0 { 1.0 } else { -constant };
        let scores = score(&model, array![[constant, usual], [other, usual]].view());
        assert!(scores[0] < scores[1], "{constant}: {scores:?}");
    }
}

#[test]
fn more_bins_than_there_is_room_for_are_refused() {
    let params = params(NBins::Count(4096), 0.1, 0.5);
    let error = fit_with(&params, &Array2::zeros((2, 20_000))).expect_err("too many");
    assert_eq!(error.reason(), Reason::InvalidParameter);
    assert_eq!(error.field_path(), Some("n_bins"));
}

#[test]
fn a_fit_is_exact_for_any_number_of_distinct_values_and_an_update_nearly() {
    let rows = table(40_000, 2, 0.0, 11);
    let model = fit(&rows);
    for (column, (edges, scores)) in rows
        .columns()
        .into_iter()
        .zip(model.edges.chunks(11).zip(model.scores.chunks(11)))
    {
        for bin in 0..9 {
            let is_in = |x: &&f64| edges[bin] <= **x && **x < edges[bin + 1];
            let density = column.iter().filter(is_in).count() as f64
                / 40_000.0
                / (edges[bin + 1] - edges[bin]);
            assert!((scores[bin] + (density + 0.1).log2()).abs() < 1e-9);
        }
    }
    let mut updated = fit(&rows.slice(s![..10_000, ..]).to_owned());
    for first in (10_000..40_000).step_by(5000) {
        let batch = rows.slice(s![first..first + 5000, ..]).to_owned();
        updated = update(&updated, &batch).expect("a model");
    }
    assert_eq!(updated.edges, model.edges);
    assert_close(&updated.scores, &model.scores, 0.05);
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(10, 3, 0.0, 6));
    good.validate().expect("valid");
    let damages: [fn(&mut Hbos); 12] = [
        |m| m.scores.truncate(2),
        |m| m.scores[0] = f64::NAN,
        |m| m.scores[0] = f64::INFINITY,
        |m| m.edges[0] = f64::NEG_INFINITY,
        |m| m.edges[1] = m.edges[0],
        |m| m.edges.truncate(11),
        |m| m.n_bins[0] = 0,
        |m| m.n_bins[0] = u32::MAX,
        |m| m.n_bins.truncate(2),
        |m| m.params.alpha = -1.0,
        |m| m.ranks.truncate(2),
        |m| m.ranks[1] = RankSummary::default(),
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), Reason::DamagedArtifact);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_update_is_a_fit_on_the_union(
        seed: u64,
        n in 2..500usize,
        m in 1..500usize,
        d in 1..6usize,
        offset in prop_oneof![Just(0.0), Just(1e9), Just(-3e5)],
        n_bins in prop_oneof![Just(NBins::Auto), Just(NBins::Count(7))],
    ) {
        let params = params(n_bins, 0.1, 0.5);
        let rows = table(n + m, d, offset, seed);
        let (first, second) = rows.view().split_at(Axis(0), n);
        let first = fit_with(&params, &first.to_owned()).expect("a model");
        let updated = update(&first, &second.to_owned()).expect("a model");
        prop_assert_eq!(updated, fit_with(&params, &rows).expect("a model"));
    }
}
