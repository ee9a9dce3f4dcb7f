use ndarray::{Array2, array, s};

use super::*;
use crate::detector::contract::ranks::{
    fit, is_finite, is_one_and_the_same, learns_exactly, learns_what_is_there, refuses,
};
use crate::detector::contract::rows::mixed;
use crate::detector::contract::{assert_close, fit_plain, refuses_damages, score, update_plain};

#[test]
fn only_the_rows_matter() {
    is_one_and_the_same::<Hbos>();
}

#[test]
fn scores_are_finite() {
    is_finite::<Hbos>();
}

#[test]
fn missing_values_are_not_learned_from() {
    learns_what_is_there::<Hbos>(|model| &model.ranks);
}

#[test]
fn unusable_rows_are_refused() {
    refuses::<Hbos>();
}

fn params(n_bins: NBins, alpha: f64, tol: f64) -> HbosParams {
    HbosParams::new()
        .with_n_bins(n_bins)
        .with_alpha(alpha)
        .with_tol(tol)
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
    let model = fit_plain::<Hbos>(&params(NBins::Count(4), 0.1, 0.5), &rows).expect("a model");
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
    let model = fit_plain::<Hbos>(&params(NBins::Count(4), 0.5, 0.1), &rows).expect("a model");
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
    let model = fit_plain::<Hbos>(&params(NBins::Auto, 0.1, 0.5), &rows).expect("a model");
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
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(field));
    }
}

#[test]
fn a_deviation_from_a_constant_is_anomalous() {
    for constant in [0.0, 7.0, 1e9, -1e12] {
        let mut rows = mixed(50, 2, 0.0, 12);
        rows.column_mut(0).fill(constant);
        let usual = rows[(0, 1)];
        let model = fit::<Hbos>(&rows);
        let other = if constant == 0.0 { 1.0 } else { -constant };
        let scores = score(&model, array![[constant, usual], [other, usual]].view());
        assert!(scores[0] < scores[1], "{constant}: {scores:?}");
    }
}

#[test]
fn too_many_bins_for_the_memory_are_refused() {
    let params = params(NBins::Count(4096), 0.1, 0.5);
    let error = fit_plain::<Hbos>(&params, &Array2::zeros((2, 20_000))).expect_err("too many");
    assert_eq!(error.reason(), reason::INVALID_PARAMETER);
    assert_eq!(error.field_path(), Some("n_bins"));
}

#[test]
fn a_fit_is_exact_for_any_number_of_distinct_values_and_an_update_nearly() {
    let rows = mixed(40_000, 2, 0.0, 11);
    let model = fit::<Hbos>(&rows);
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
    let mut updated = fit::<Hbos>(&rows.slice(s![..10_000, ..]).to_owned());
    for first in (10_000..40_000).step_by(5000) {
        let batch = rows.slice(s![first..first + 5000, ..]).to_owned();
        updated = update_plain(&updated, &batch).expect("a model");
    }
    assert_eq!(updated.edges, model.edges);
    assert_close(&updated.scores, &model.scores, 0.05);
}

#[test]
fn damaged_models_are_refused() {
    let good = fit::<Hbos>(&mixed(10, 3, 0.0, 6));
    refuses_damages(
        &good,
        &[
            |m| m.scores.truncate(2),
            |m| m.scores[0] = f64::NAN,
            |m| m.scores[0] = f64::INFINITY,
            |m| m.edges[0] = f64::NEG_INFINITY,
            |m| m.edges[1] = m.edges[0],
            |m| m.edges.truncate(11),
            |m| m.n_bins[0] = 0,
            |m| m.n_bins[0] = u32::MAX,
            |m| m.n_bins.truncate(2),
            |m| m.params = m.params.clone().with_alpha(-1.0),
            |m| m.ranks.truncate(2),
            |m| m.ranks[1] = RankSummary::default(),
        ],
    );
}

#[test]
fn an_update_is_a_fit_on_the_union() {
    for n_bins in [NBins::Auto, NBins::Count(7)] {
        learns_exactly::<Hbos>(&params(n_bins, 0.1, 0.5), |updated, whole| {
            assert_eq!(updated, whole);
        });
    }
}
