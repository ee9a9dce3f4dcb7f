use ndarray::{Array2, array, s};

use super::*;
use crate::detector::contract::ranks::{
    fit, is_finite, is_one_and_the_same, learns_exactly, learns_what_is_there, refuses,
};
use crate::detector::contract::rows::mixed;
use crate::detector::contract::{assert_close, refuses_damages, score, update_plain};

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Ecod>();
}

#[test]
fn scores_are_finite() {
    is_finite::<Ecod>();
}

#[test]
fn missing_values_are_not_learned_from() {
    learns_what_is_there::<Ecod>(|model| &model.ranks);
}

#[test]
fn unusable_rows_are_refused() {
    refuses::<Ecod>();
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
    assert_close(&score(&fit::<Ecod>(&rows), rows.view()), &expected, 1e-14);
    // a constant, and a feature that leans to neither side
    let rows = array![[7.0, 1.0], [7.0, 2.0], [7.0, 3.0]];
    let expected = [1.0986122886681098, 0.8109302162163285, 1.0986122886681098];
    assert_close(&score(&fit::<Ecod>(&rows), rows.view()), &expected, 1e-14);
}

#[test]
fn a_new_value_counts_as_if_it_had_been_added() {
    let rows = array![[1.0], [2.0], [4.0], [5.0], [5.0], [9.0]];
    let model = fit::<Ecod>(&rows);
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
        let rows = mixed(n, d, 0.0, 9);
        let model = fit::<Ecod>(&rows);
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
    let rows = mixed(40_000, 3, 0.0, 10);
    let model = fit::<Ecod>(&rows);
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
    let rows = mixed(40_000, 2, 0.0, 11);
    let mut model = fit::<Ecod>(&rows.slice(s![..10_000, ..]).to_owned());
    for first in (10_000..40_000).step_by(5000) {
        let batch = rows.slice(s![first..first + 5000, ..]).to_owned();
        model = update_plain(&model, &batch).expect("a model");
    }
    assert!(model.ranks.iter().all(|ranks| ranks.n() == 40_000));
    assert_close(
        &score(&model, rows.view()),
        &score(&fit::<Ecod>(&rows), rows.view()),
        0.02,
    );
}

#[test]
fn damaged_models_are_refused() {
    let good = fit::<Ecod>(&mixed(10, 3, 0.0, 6));
    refuses_damages(
        &good,
        &[
            |m| m.scores.truncate(2),
            |m| m.scores.push(0.0),
            |m| m.scores[0] = f64::NAN,
            |m| m.scores[1] = -1.0,
            |m| m.moments = ThirdMoments::default(),
            |m| m.ranks.truncate(2),
            |m| m.ranks[1] = RankSummary::default(),
        ],
    );
}

#[test]
fn an_update_is_a_fit_on_the_union() {
    learns_exactly::<Ecod>(&EcodParams::default(), |updated, whole| {
        assert_eq!(updated.ranks, whole.ranks);
        assert_eq!(updated.scores, whole.scores);
        let skewness = |model: &Ecod, j| model.moments.feature(j).skewness();
        for j in 0..whole.n_features() {
            let error = skewness(updated, j) - skewness(whole, j);
            assert!(error.abs() <= 1e-9, "{error}");
        }
    });
}
