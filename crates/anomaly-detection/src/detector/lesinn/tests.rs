use ndarray::{Array2, array, concatenate, s};
use proptest::prelude::*;

use super::*;
use crate::detector::contract::{
    fit_plain, fits_through_linfa, other_rows_change_nothing, refuses_another_width,
    refuses_damages, score, stops_when_cancelled, storing_changes_nothing, threads_change_nothing,
    update_plain,
};
use crate::detector::simd::Portable;

fn fit_with(params: LesinnParams, rows: &Array2<f64>) -> Result<Lesinn> {
    let model: Lesinn = fit_plain(&params, rows)?;
    model.validate()?;
    Ok(model)
}

fn fit(rows: &Array2<f64>) -> Lesinn {
    fit_with(LesinnParams::default(), rows).expect("a model")
}

fn update(model: &Lesinn, rows: &Array2<f64>) -> Lesinn {
    let model = update_plain(model, rows).expect("a model");
    model.validate().expect("sound");
    model
}

/// Rows with a column of a long tail every third, and another scale in each.
fn table(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut state = random::stream_state(seed, 0);
    let mut stream = random::Stream(&mut state);
    Array2::from_shape_fn((n, d), |(_, column)| {
        let x = stream.unit() + stream.unit() - stream.unit();
        let x = if column % 3 == 2 { (4.0 * x).exp() } else { x };
        10f64.powi(column as i32 % 7 - 3) * x + column as f64
    })
}

/// The score by its definition, where each sample holds all rows.
fn expected(model: &Lesinn, rows: &Array2<f64>, row: &[f64]) -> f64 {
    let coordinates = |row: ndarray::ArrayView1<'_, f64>| {
        let mut out = vec![0.0; row.len()];
        model.frame.coordinates(row, |i, x| out[i] = x);
        out
    };
    let x = coordinates(row.into());
    let mut distances: Vec<f64> = rows
        .outer_iter()
        .map(|member| {
            let differences = coordinates(member);
            let differences = differences.iter().zip(&x).map(|(a, b)| a - b);
            match model.params.metric() {
                LesinnMetric::Manhattan => differences.map(f64::abs).sum(),
                LesinnMetric::Euclidean => differences.map(|x| x * x).sum::<f64>().sqrt(),
            }
        })
        .collect();
    distances.sort_by(f64::total_cmp);
    if distances[0] == 0.0 {
        distances.remove(0);
    }
    let k = model.params.n_neighbors().min(rows.nrows() - 1);
    distances[..k].iter().sum::<f64>() / k as f64
}

#[test]
fn scores_are_those_of_the_definition() {
    for metric in [LesinnMetric::Manhattan, LesinnMetric::Euclidean] {
        for (n, d, n_neighbors) in [
            (2, 1, 1),
            (3, 2, 3),
            (20, 3, 3),
            (31, 10, 5),
            (32, 300, 3),
            (29, 7, 1),
        ] {
            let rows = table(n, d, 1);
            let params = LesinnParams::new()
                .with_n_estimators(11)
                .with_n_neighbors(n_neighbors)
                .with_metric(metric);
            let model = fit_with(params, &rows).expect("a model");
            let probes = concatenate![Axis(0), rows, table(13, d, 2)];
            for (row, found) in probes.outer_iter().zip(score(&model, probes.view())) {
                let truth = expected(&model, &rows, &row.to_vec());
                assert!(
                    (found - truth).abs() <= 1e-4 * truth,
                    "{n} {d} {metric:?}: {found} {truth}"
                );
            }
        }
    }
}

#[test]
fn the_scale_is_halfway_between_robust_and_standard() {
    // numpy: x = arange(101.0) ** 2; percentile, clip(percentile 1, percentile 99).std(), sqrt of the product
    let rows = Array2::from_shape_fn((101, 1), |(i, _)| (i * i) as f64);
    let model = fit_with(LesinnParams::new().with_n_estimators(1), &rows).expect("a model");
    let x = array![2500.0 + NUMPY_SCALE];
    model
        .frame
        .coordinates(x.view(), |_, z| assert!((z - 1.0).abs() < 1e-9, "{z}"));
}

/// See the test above.
const NUMPY_SCALE: f64 = 3339.3698947149724;

#[test]
fn exactly_one_neighbour_at_distance_0_is_skipped() {
    // the scale: median 0.5, quarter points 0 and 1, so that the distance between 0 and 1 is known up to it
    let rows = array![[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]];
    let params = LesinnParams::new().with_n_estimators(1).with_n_neighbors(3);
    let model = fit_with(params, &rows).expect("a model");
    let scores = score(&model, array![[0.0], [0.5]].view());
    let mut unit = 0.0;
    model.frame.coordinates(array![1.5].view(), |_, z| unit = z);
    // of 0: two zeros are left, and one distance of 1
    assert!(
        (scores[0] / unit - 1.0 / 3.0).abs() < 1e-6,
        "{scores:?} {unit}"
    );
    assert!((scores[1] / unit - 0.5).abs() < 1e-6, "{scores:?} {unit}");
}

#[test]
fn parameters_are_checked() {
    let default = LesinnParams::default;
    let wrong = [
        ("n_estimators", default().with_n_estimators(0)),
        ("n_estimators", default().with_n_estimators(10_001)),
        (
            "max_samples",
            default().with_max_samples(1).with_n_neighbors(1),
        ),
        ("max_samples", default().with_max_samples(65_537)),
        ("n_neighbors", default().with_n_neighbors(0)),
        ("n_neighbors", default().with_n_neighbors(32)),
    ];
    for (field, params) in wrong {
        let error = params.check().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(field));
    }
}

#[test]
fn linfa_fits_it() {
    fits_through_linfa::<Lesinn>(&LesinnParams::default(), &table(50, 3, 1));
}

#[test]
fn too_small_and_too_large_problems_are_refused() {
    for rows in [
        Array2::zeros((1, 3)),
        Array2::zeros((3, 0)),
        Array2::zeros((0, 0)),
    ] {
        let error = fit_with(LesinnParams::default(), &rows).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
    let params = LesinnParams::new()
        .with_n_estimators(256)
        .with_max_samples(65_536)
        .with_n_neighbors(1);
    let error = fit_with(params.clone(), &Array2::zeros((40_000, 30))).expect_err("1.2 GB");
    assert_eq!(error.reason(), reason::INVALID_PARAMETER);
    assert!(error.message().contains("lower n_estimators"), "{error}");
    let small = fit_with(params, &Array2::zeros((2, 30))).expect("a model");
    let more = Array2::zeros((40_000, 30));
    let error = small.update(
        PastRows::none(),
        Sample::complete(more.view()),
        &Context::new(),
    );
    assert_eq!(
        error.expect_err("1.6 GB").reason(),
        reason::INVALID_PARAMETER
    );
}

#[test]
fn updates_of_another_width_are_refused() {
    refuses_another_width(&fit(&table(10, 3, 5)));
}

#[test]
fn cancellation_stops_a_fit_and_an_update() {
    stops_when_cancelled::<Lesinn>(&LesinnParams::default(), &table(1000, 3, 1));
}

#[test]
fn the_number_of_threads_changes_nothing_and_the_seed_does() {
    let rows = table(3000, 9, 1);
    threads_change_nothing(|| update(&fit(&rows), &rows));
    let other = LesinnParams::new().with_random_state(1);
    assert_ne!(
        fit_with(other, &rows).expect("a model").references,
        fit(&rows).references
    );
}

#[test]
fn outliers_score_highest_and_order_by_how_far_out_they_are() {
    let rows = table(2000, 4, 3);
    let model = fit(&rows);
    let largest = score(&model, rows.view()).into_iter().fold(0.0, f64::max);
    let far = |by: f64| rows.row(0).mapv(|x| x + by).insert_axis(Axis(0));
    let scores: Vec<f64> = [1e3, 1e4, 1e6, 1e9]
        .map(|by| score(&model, far(by).view())[0])
        .into();
    assert!(
        scores[0] > largest && scores.is_sorted_by(|a, b| a < b),
        "{scores:?} {largest}"
    );
}

#[test]
fn a_large_offset_hides_nothing() {
    let near = table(500, 2, 4);
    let rows = near.mapv(|x| 1e9 + (x * 1024.0).round());
    let plain = near.mapv(|x| (x * 1024.0).round());
    for (a, b) in score(&fit(&rows), rows.view())
        .iter()
        .zip(score(&fit(&plain), plain.view()))
    {
        assert!((a - b).abs() <= 1e-5 * b, "{a} {b}");
    }
}

#[test]
fn a_sentinel_among_the_values_leaves_the_scale_alone() {
    let mut rows = table(1000, 1, 5);
    rows[(500, 0)] = 3.4e38;
    let scores = score(&fit(&rows), array![[0.5], [5.0], [3.4e38]].view());
    assert!(
        scores[1] > 10.0 * scores[0] && scores[2] > scores[1],
        "{scores:?}"
    );
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(100, 3, 6));
    refuses_damages(
        &good,
        &[
            |m| m.params = m.params.clone().with_n_neighbors(32),
            |m| m.params = m.params.clone().with_n_estimators(65),
            |m| m.params = m.params.clone().with_max_samples(31),
            |m| m.references = References::new(64, 3),
            |m| m.references.groups_mut()[7].set(7, 31, 2, f32::NAN),
            |m| m.references.groups_mut()[0].set(0, 0, 0, 2e15),
            |m| m.reservoirs = Reservoirs::new(64, 32, 0),
            |m| m.reservoirs = Reservoirs::new(8, 32, 0),
            |m| m.frame = fit(&table(100, 2, 6)).frame,
        ],
    );
}

#[test]
fn wide_and_constant_and_equal_rows_score_finitely() {
    for rows in [
        table(40, 1000, 1),
        table(2, 1, 1),
        Array2::from_elem((50, 3), 0.1),
        Array2::from_elem((2, 2), f64::MAX),
        Array2::from_shape_fn(
            (30, 2),
            |(i, _)| if i % 2 == 0 { f64::MAX } else { f64::MIN },
        ),
        Array2::from_shape_fn((30, 2), |(i, _)| 1e-300 * i as f64),
        Array2::from_shape_fn((30, 2), |(i, _)| 5e-324 * i as f64),
    ] {
        let d = rows.ncols();
        for metric in [LesinnMetric::Manhattan, LesinnMetric::Euclidean] {
            let model = fit_with(LesinnParams::new().with_metric(metric), &rows).expect("a model");
            let probes = array![[f64::MAX], [f64::MIN], [0.0], [5e-324], [1e150]];
            let probes = Array2::from_shape_fn((5, d), |(i, _)| probes[(i, 0)]);
            let scores = score(&model, concatenate![Axis(0), rows, probes].view());
            assert!(
                scores.iter().all(|s| s.is_finite() && *s >= 0.0),
                "{scores:?}"
            );
        }
    }
    let equal = Array2::from_elem((50, 3), 0.1);
    assert_eq!(score(&fit(&equal), equal.slice(s![..3, ..])), [0.0; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_row_scores_the_same_alone_and_in_any_batch_and_on_any_processor(
        seed: u64,
        n in 2..90usize,
        d in 1..12usize,
        from in 0..70usize,
        n_neighbors in 1..5usize,
        euclidean: bool,
    ) {
        let rows = table(n, d, seed);
        let metric = if euclidean { LesinnMetric::Euclidean } else { LesinnMetric::Manhattan };
        let params = LesinnParams::new().with_n_estimators(13).with_max_samples(19).with_n_neighbors(n_neighbors).with_metric(metric).with_random_state(seed);
        let model = fit_with(params, &rows).expect("a model");
        let probes = concatenate![Axis(0), rows, table(75, d, !seed)];
        let together = other_rows_change_nothing(&model, probes.view(), from);
        let mut scratch = Scratch::default();
        model.prepare(probes.view(), &mut scratch.coordinates);
        let mut portable = vec![0.0; probes.nrows()];
        model.grouped_samples().score_with(Portable, &mut scratch, &mut portable);
        prop_assert_eq!(portable, together);
    }

    #[test]
    fn updates_give_the_samples_of_one_fit_on_all_rows(
        seed: u64,
        n in 2..60usize,
        parts in proptest::collection::vec(1..200usize, 1..4),
    ) {
        let whole = table(n + parts.iter().sum::<usize>(), 3, seed);
        let mut model = fit(&whole.slice(s![..n, ..]).to_owned());
        let mut once = model.clone();
        let mut start = n;
        for part in parts {
            model = update(&model, &whole.slice(s![start..start + part, ..]).to_owned());
            start += part;
        }
        once.reservoirs = Reservoirs::new(64, 32, 0);
        once.references = References::new(64, 3);
        once.learn(whole.view(), &Context::new()).expect("learns");
        prop_assert_eq!(model, once);
    }

    #[test]
    fn a_model_survives_its_round_trip(seed: u64, n in 2..60usize, d in 1..5usize) {
        storing_changes_nothing(&fit(&table(n, d, seed)));
    }
}
