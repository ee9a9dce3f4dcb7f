use linfa::ParamGuard as _;
use linfa::traits::Fit as _;
use ndarray::{Array2, Axis, array, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn try_fit(rows: &Array2<f64>) -> Result<Ecod> {
    let params = EcodParams::default();
    Ecod::fit(params.check_ref()?, sample(rows), &Context::new()).map(|learned| learned.detector)
}

fn fit(rows: &Array2<f64>) -> Ecod {
    try_fit(rows).expect("a model")
}

fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

fn score(model: &Ecod, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    model.score_block(rows, &mut scores);
    scores
}

fn update(model: &Ecod, rows: &Array2<f64>) -> Result<Ecod> {
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
    let params = EcodParams::default().check().expect("valid");
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
    let params = EcodParams::default().check().expect("valid");
    let error = Ecod::fit(&params, sample(&rows), &context).expect_err("cancelled");
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
        let read: Ecod = rmp_serde::from_slice(&bytes).expect("a model");
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

#[test]
fn agrees_with_pyod() {
    // pyod.models.ecod.ECOD().fit(rows).decision_scores_
    let rows = array![
        [1.0, 2.0],
        [2.0, 1.0],
        [3.0, 5.0],
        [3.0, 3.0],
        [6.0, 8.0],
        [2.0, 2.0],
        [40.0, -3.0]
    ];
    let expected = [
        2.505525936990736,
        2.1000608288825715,
        1.8123787564307907,
        1.4069136483226263,
        3.1986731175506815,
        1.4069136483226263,
        3.891820298110627,
    ];
    assert_close(&score(&fit(&rows), rows.view()), &expected, 1e-14);
    // a constant, and a feature that leans to neither side
    let rows = array![[7.0, 1.0], [7.0, 2.0], [7.0, 3.0]];
    let expected = [1.0986122886681098, 0.8109302162163285, 1.0986122886681098];
    assert_close(&score(&fit(&rows), rows.view()), &expected, 1e-14);
}

#[test]
fn a_new_value_counts_as_if_it_had_been_added() {
    let rows = array![[1.0], [2.0], [4.0], [5.0], [5.0], [9.0]];
    let model = fit(&rows);
    let probes = array![[0.0], [1.5], [3.0], [4.5], [6.0], [10.0], [5.0]];
    let tails = [
        1.0 / 7.0,
        2.0 / 7.0,
        3.0 / 7.0,
        4.0 / 7.0,
        2.0 / 7.0,
        1.0 / 7.0,
        3.0 / 6.0,
    ];
    let expected: Vec<f64> = tails.iter().map(|tail: &f64| -tail.ln()).collect();
    assert_close(&score(&model, probes.view()), &expected, 1e-14);
}

#[test]
fn a_value_beyond_the_range_is_the_most_anomalous() {
    for (n, d) in [(7, 2), (500, 3), (30_000, 3)] {
        let rows = table(n, d, 0.0, 9);
        let model = fit(&rows);
        let inside = score(&model, rows.view()).into_iter().fold(0.0, f64::max);
        let beyond = |x: f64| score(&model, Array2::from_elem((1, d), x).view())[0];
        for x in [-1e-9, -1.0, -f64::MAX, 9.5, 1e300, f64::MAX] {
            assert!(beyond(x) > inside && beyond(x).is_finite(), "{x}");
        }
        assert_eq!(beyond(-1.0), beyond(-f64::MAX));
    }
}

#[test]
fn many_distinct_values_keep_the_scores_within_the_error() {
    let rows = table(40_000, 3, 0.0, 10);
    let model = fit(&rows);
    let mut expected = vec![0.0; 40_000];
    let mut error = 1e-9;
    for (column, ranks) in rows.columns().into_iter().zip(&model.ranks) {
        error -= (1.0 - ranks.error() - 1.0 / 40_000.0 / (1.0 - ranks.error())).ln();
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        for (x, sum) in column.iter().zip(&mut expected) {
            let left = sorted.partition_point(|value| value <= x) as f64;
            let right = 40_000.0 - sorted.partition_point(|value| value < x) as f64;
            *sum -= (left.min(right) / 40_000.0).ln();
        }
    }
    assert!(error < 0.01, "{error}");
    assert_close(&score(&model, rows.view()), &expected, error);
    assert!(model.size_bytes() < 3 * 4096 * 48);
}

#[test]
fn updates_of_many_distinct_values_stay_within_the_error() {
    let rows = table(40_000, 2, 0.0, 11);
    let mut model = fit(&rows.slice(s![..10_000, ..]).to_owned());
    for first in (10_000..40_000).step_by(5000) {
        let batch = rows.slice(s![first..first + 5000, ..]).to_owned();
        model = update(&model, &batch).expect("a model");
    }
    assert!(model.ranks.iter().all(|ranks| ranks.n() == 40_000));
    assert_close(
        &score(&model, rows.view()),
        &score(&fit(&rows), rows.view()),
        0.02,
    );
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(10, 3, 0.0, 6));
    good.validate().expect("valid");
    let damages: [fn(&mut Ecod); 7] = [
        |m| m.scores.truncate(2),
        |m| m.scores.push(0.0),
        |m| m.scores[0] = f64::NAN,
        |m| m.scores[1] = -1.0,
        |m| m.moments = ThirdMoments::default(),
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
    ) {
        let rows = table(n + m, d, offset, seed);
        let (first, second) = rows.view().split_at(Axis(0), n);
        let updated = update(&fit(&first.to_owned()), &second.to_owned()).expect("a model");
        let whole = fit(&rows);
        prop_assert_eq!(&updated.ranks, &whole.ranks);
        prop_assert_eq!(&updated.scores, &whole.scores);
        for j in 0..d {
            let skewness = |model: &Ecod| model.moments.feature(j).skewness();
            prop_assert!((skewness(&updated) - skewness(&whole)).abs() <= 1e-9);
        }
    }
}
