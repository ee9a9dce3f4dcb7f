use linfa::traits::Fit as _;
use ndarray::{Array2, Axis, array, concatenate, s};
use proptest::prelude::*;

use super::super::lesinn::random::Stream;
use super::*;
use crate::detector::contract::{
    fit_plain, other_rows_change_nothing, refuses_damages, score, stops_when_cancelled,
    storing_changes_nothing, threads_change_nothing,
};

fn fit(rows: &Array2<f64>) -> Auto {
    let model: Auto = fit_plain(&AutoParams::default(), rows).expect("a model");
    model.validate().expect("sound");
    model
}

fn update(model: &Auto, past: PastRows<'_>, rows: &Array2<f64>) -> Auto {
    let sample = Sample::complete(rows.view());
    let learned = model.update(past, sample, &Context::new());
    let model = learned.expect("a model").detector;
    model.validate().expect("sound");
    model
}

/// Rows with correlated neighbouring columns, and a long tail in every third column.
fn table(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut state = stream_state(seed, 0);
    let mut stream = Stream(&mut state);
    let mut rows = Array2::zeros((n, d));
    for mut row in rows.rows_mut() {
        let common = stream.unit();
        for (column, x) in row.iter_mut().enumerate() {
            *x = common + stream.unit() + stream.unit();
            if column % 3 == 2 {
                *x = (3.0 * *x).exp();
            }
        }
    }
    rows
}

#[test]
fn every_kind_of_outlier_is_found_and_scores_never_saturate() {
    let rows = table(3000, 6, 1);
    let model = fit(&rows);
    assert!(model.covariance.is_some());
    let largest = score(&model, rows.view()).into_iter().fold(0.0, f64::max);
    let usual = rows.row(0).to_owned();
    let far = |column: usize, x: f64| {
        let mut row = usual.clone();
        row[column] = x;
        score(&model, row.insert_axis(Axis(0)).view())[0]
    };
    for column in 0..6 {
        let scores = [1e5, 1e6, 1e9, 1e12].map(|x| far(column, x));
        assert!(
            scores[0] > largest && scores.is_sorted_by(|a, b| a < b),
            "{column} {scores:?} {largest}"
        );
    }
    // usual in each column, but against the correlation
    let odd = array![[0.4, 2.6, 100.0, 0.4, 2.6, 100.0]];
    let scores = score(&model, rows.view());
    let above = scores
        .iter()
        .filter(|&&s| s > score(&model, odd.view())[0])
        .count();
    assert!(above < 300, "{above}");
}

#[test]
fn the_mean_surprisal_of_the_training_rows_is_1_for_each_view() {
    let rows = table(5000, 4, 2);
    let model = fit(&rows);
    // the mean of -ln P over the rows that P was learned from is 1 for each view
    let scores = score(&model, rows.view());
    let mean = scores.iter().sum::<f64>() / 5000.0;
    assert!((mean - 3.0).abs() < 0.05, "{mean}");
}

#[test]
fn few_or_wide_rows_have_no_covariance() {
    assert!(fit(&table(29, 6, 1)).covariance.is_none());
    assert!(fit(&table(30, 6, 1)).covariance.is_some());
    let wide = table(1400, 257, 1);
    let model = fit(&wide);
    assert!(model.covariance.is_none());
    assert!(
        score(&model, wide.slice(s![..9, ..]))
            .iter()
            .all(|s| s.is_finite())
    );
}

#[test]
fn the_covariance_is_that_of_the_bulk() {
    let mut state = stream_state(3, 0);
    let mut stream = Stream(&mut state);
    let mut rows = Vec::new();
    for row in 0..4000 {
        let (x, y) = (stream.unit() - 0.5, stream.unit() - 0.5);
        if row % 5 == 0 {
            rows.extend([50.0 + x, -50.0 + y]);
        } else {
            rows.extend([x + y, x - y + 1.0]);
        }
    }
    let covariance = Covariance::fit(&rows, 2, &Context::new()).expect("fits");
    let mut distances = [0.0; 3];
    covariance.distances(&[0.0, 1.0, 0.5, 1.5, 50.0, -50.0], &mut distances);
    // the ridge is a share of the variance of all rows, and the bulk is 3.75 times 0.01 * 500 narrower
    assert!(
        distances[0] < 0.1 && distances[1] < 1.0 && distances[2] > 10.0,
        "{distances:?}"
    );
}

#[test]
fn constant_and_dependent_and_extreme_columns_score_finitely() {
    let mut rows = table(500, 5, 4);
    rows.column_mut(0).fill(7.0);
    let copy = rows.column(1).to_owned();
    rows.column_mut(3).assign(&copy);
    rows.column_mut(4).fill(0.0);
    rows[(3, 4)] = f64::MAX;
    for rows in [
        rows,
        Array2::from_elem((100, 3), 0.1),
        Array2::from_elem((2, 1), 1e-300),
        array![[0.0], [1.0]],
        Array2::from_shape_fn(
            (40, 2),
            |(i, _)| if i % 2 == 0 { f64::MAX } else { f64::MIN },
        ),
        Array2::from_shape_fn((40, 2), |(i, _)| 5e-324 * i as f64),
        table(40, 1000, 1),
    ] {
        let d = rows.ncols();
        let model = fit(&rows);
        let probes = [f64::MAX, f64::MIN, 0.0, 5e-324, 1e150, 8.0];
        let probes = Array2::from_shape_fn((6, d), |(i, _)| probes[i]);
        let scores = score(&model, concatenate![Axis(0), rows, probes].view());
        assert!(
            scores.iter().all(|s| s.is_finite() && *s >= 0.0),
            "{scores:?}"
        );
        let updated = update(
            &model,
            PastRows {
                seen_by_class: None,
                rows: rows.view(),
                labels: None,
                seen: 10_000,
            },
            &probes,
        );
        let scores = score(&updated, probes.view());
        assert!(
            scores.iter().all(|s| s.is_finite() && *s >= 0.0),
            "{scores:?}"
        );
    }
}

#[test]
fn too_few_rows_and_other_widths_are_refused() {
    let params = AutoParams::default().check().expect("right");
    for rows in [Array2::zeros((1, 3)), Array2::zeros((3, 0))] {
        let error = Auto::fit(&params, &Sample::complete(rows.view()), &Context::new());
        assert_eq!(error.expect_err("refused").reason(), reason::UNUSABLE_ROWS);
    }
    let (model, other) = (fit(&table(10, 3, 5)), table(10, 2, 5));
    let past = PastRows {
        seen_by_class: None,
        rows: other.view(),
        labels: None,
        seen: 10,
    };
    let error = model.update(past, Sample::complete(other.view()), &Context::new());
    assert_eq!(
        error.expect_err("refused").reason(),
        reason::SCHEMA_MISMATCH
    );
    let three = table(10, 3, 5);
    let error = model.update(past, Sample::complete(three.view()), &Context::new());
    assert_eq!(
        error.expect_err("refused").reason(),
        reason::SCHEMA_MISMATCH
    );
}

#[test]
fn cancellation_stops_a_fit_and_an_update() {
    let rows = table(1000, 3, 1);
    stops_when_cancelled::<Auto>(&AutoParams::default(), &rows);
    let context = Context::new();
    context.cancel();
    let error = Covariance::fit(&[1.0; 100], 2, &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
    let error = fit(&rows)
        .learn_ranks(&[(rows.view().into(), 1.0)], &context)
        .expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
}

#[test]
fn the_number_of_threads_changes_nothing_and_the_seed_does() {
    let rows = table(3000, 5, 1);
    let past = PastRows {
        seen_by_class: None,
        rows: rows.view(),
        labels: None,
        seen: 9000,
    };
    threads_change_nothing(|| update(&fit(&rows), past, &rows));
    let params = AutoParams::new().with_random_state(1);
    let params = params.check().expect("right");
    let dataset = linfa::DatasetBase::from(rows.clone());
    assert_ne!(params.fit(&dataset).expect("a model"), fit(&rows));
}

#[test]
fn an_update_is_nearly_a_fit_on_the_union() {
    let rows = table(8000, 4, 6);
    let (first, second) = rows.view().split_at(Axis(0), 4000);
    let past = PastRows {
        seen_by_class: None,
        rows: first.slice_move(s![..1000, ..]),
        labels: None,
        seen: 4000,
    };
    let model = fit(&first.to_owned());
    let updated = update(&model, past, &second.to_owned());
    let whole = fit(&rows);
    let probes = table(500, 4, 7);
    let (a, b) = (score(&updated, probes.view()), score(&whole, probes.view()));
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    assert!((mean_a - mean_b).abs() < 0.15, "{mean_a} {mean_b}");
    let together: f64 = a
        .iter()
        .zip(&b)
        .map(|(a, b)| (a - mean_a) * (b - mean_b))
        .sum();
    let spread = |scores: &[f64], mean| scores.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
    let correlation = together / (spread(&a, mean_a) * spread(&b, mean_b)).sqrt();
    assert!(correlation > 0.97, "{correlation}");
}

#[test]
fn rows_of_an_update_become_normal() {
    let rows = table(2000, 3, 8);
    let model = fit(&rows);
    let shifted = table(2000, 3, 9).mapv(|x| x + 10.0);
    let past = PastRows {
        seen_by_class: None,
        rows: rows.view(),
        labels: None,
        seen: 2000,
    };
    let updated = update(&model, past, &shifted);
    let mean = |model: &Auto| score(model, shifted.view()).iter().sum::<f64>() / 2000.0;
    assert!(
        mean(&updated) < 0.5 * mean(&model),
        "{} {}",
        mean(&updated),
        mean(&model)
    );
    // without past rows the samples learn, but the ranks stay
    assert_eq!(
        update(&model, PastRows::none(), &shifted).ranks,
        model.ranks
    );
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&table(100, 3, 6));
    refuses_damages(
        &good,
        &[
            |m| m.ranks.truncate(2),
            |m| m.covariance = None,
            |m| m.covariance = fit(&table(100, 2, 6)).covariance,
            |m| m.logarithmic = fit(&table(100, 2, 6)).logarithmic,
            |m| m.balanced = fit(&table(100, 2, 6)).balanced,
            |m| m.ranks.clear(),
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_row_scores_the_same_alone_and_in_any_batch(seed: u64, n in 2..90usize, d in 1..9usize, from in 0..70usize) {
        let rows = table(n, d, seed);
        let probes = concatenate![Axis(0), rows, table(200, d, !seed)];
        other_rows_change_nothing(&fit(&rows), probes.view(), from);
    }

    #[test]
    fn a_model_survives_its_round_trip(seed: u64, n in 2..60usize, d in 1..5usize) {
        storing_changes_nothing(&fit(&table(n, d, seed)));
    }
}
