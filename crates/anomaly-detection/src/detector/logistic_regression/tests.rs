use linfa::ParamGuard;
use linfa::traits::Fit as _;
use ndarray::{Array1, Array2, Axis, array, concatenate, s};

use super::*;
use crate::detector::ClassWeight;
use crate::detector::contract::rows::uniforms;
use crate::detector::contract::{
    assert_within, bytes, refuses_damages, score, threads_change_nothing,
};

mod properties;
mod shapes;

fn sample<'a>(rows: &'a Array2<f64>, labels: &'a [bool]) -> Sample<'a> {
    Sample {
        labels: Some(labels),
        ..Sample::complete(rows.view())
    }
}

fn fit_with(
    params: &LogisticRegressionParams,
    rows: &Array2<f64>,
    labels: &[bool],
) -> Result<LogisticRegression> {
    let params = params.check_ref()?;
    <LogisticRegression as Method>::fit(params, &sample(rows, labels), &Context::new())
        .map(|learned| learned.detector)
}

fn fit(rows: &Array2<f64>, labels: &[bool]) -> LogisticRegression {
    fit_with(&LogisticRegressionParams::default(), rows, labels).expect("a model")
}

/// Rows with labels that follow from the first column and some noise.
fn table(n: usize, d: usize, offset: f64, seed: u64) -> (Array2<f64>, Vec<bool>) {
    let mut uniform = uniforms(seed);
    let rows = Array2::from_shape_simple_fn((n, d), || offset + 2.0 * uniform() - 1.0);
    let mut labels: Vec<bool> = rows
        .column(0)
        .iter()
        .map(|x| x - offset + 0.8 * uniform() > 0.9)
        .collect();
    // both classes in any case
    labels[0] = false;
    labels[n - 1] = true;
    (rows, labels)
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_within(found, expected, |x| tolerance * x.abs().max(1.0));
}

#[test]
fn agrees_with_scikit_learn() {
    // LogisticRegression(solver="newton-cholesky", tol=1e-14) on these rows
    let rows = array![
        [0.5, 1.0],
        [1.5, -0.5],
        [-1.0, 0.3],
        [2.0, 0.2],
        [0.1, -1.4],
        [-0.7, 2.0],
        [1.2, 1.1],
    ];
    let labels = [true, true, false, true, false, false, false];
    let cases = [
        (1.0, ClassWeight::Uniform, KNOWN_UNIFORM),
        (10.0, ClassWeight::Balanced, KNOWN_BALANCED),
        (
            0.5,
            ClassWeight::Given {
                normal: 1.0,
                anomaly: 3.0,
            },
            KNOWN_GIVEN,
        ),
    ];
    for (c, class_weight, expected) in cases {
        let params = LogisticRegressionParams::new()
            .with_c(c)
            .with_class_weight(class_weight);
        let model = fit_with(&params, &rows, &labels).expect("a model");
        assert!(model.converged());
        let [first, second, intercept, probability] = expected;
        let odds = model.intercept() + 0.3 * model.coefficients()[0] - model.coefficients()[1];
        assert_close(model.coefficients(), &[first, second], 1e-8);
        assert_close(&[model.intercept()], &[intercept], 1e-8);
        let scores = score(&model, array![[0.3, -1.0]].view());
        assert_close(&scores, &[probability], 1e-8);
        assert_close(&scores, &[1.0 / (1.0 + (-odds).exp())], 1e-14);
    }
}

const KNOWN_UNIFORM: [f64; 4] = [
    0.9254217581678511,
    -0.05036395485458909,
    -0.8184368886603023,
    0.379788411367377,
];
const KNOWN_BALANCED: [f64; 4] = [
    1.7674445064345612,
    0.05000524683959428,
    -1.1872144207957556,
    0.3302650958958668,
];
const KNOWN_GIVEN: [f64; 4] = [
    0.8827504118722282,
    -0.01336992001243991,
    0.14411779438493608,
    0.6040365589990144,
];

#[test]
fn parameters_are_checked() {
    let good = LogisticRegressionParams::default();
    type Change = fn(&mut LogisticRegressionParams);
    let wrong: [(Change, &str); 6] = [
        (|p| *p = p.clone().with_c(0.0), "c"),
        (|p| *p = p.clone().with_c(f64::INFINITY), "c"),
        (|p| *p = p.clone().with_tol(0.0), "tol"),
        (|p| *p = p.clone().with_tol(f64::NAN), "tol"),
        (|p| *p = p.clone().with_max_iter(0), "max_iter"),
        (
            |p| {
                *p = p.clone().with_class_weight(ClassWeight::Given {
                    normal: 0.0,
                    anomaly: 1.0,
                })
            },
            "class_weight.normal",
        ),
    ];
    for (change, field) in wrong {
        let mut params = good.clone();
        change(&mut params);
        let error = params.check().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(field));
    }
}

#[test]
fn linfa_fits_it() {
    let (rows, labels) = table(50, 3, 0.0, 1);
    let dataset = linfa::DatasetBase::new(rows.clone(), Array1::from(labels.clone()));
    let params = LogisticRegressionParams::default();
    let model = params.fit(&dataset).expect("a model");
    assert_eq!(model, fit(&rows, &labels));
}

#[test]
fn labels_of_both_classes_are_needed() {
    let (rows, labels) = table(10, 2, 0.0, 1);
    for labels in [
        vec![true; 10],
        vec![false; 10],
        Vec::new(),
        labels[..9].to_vec(),
    ] {
        let error = fit_with(&LogisticRegressionParams::default(), &rows, &labels);
        assert_eq!(error.expect_err("refused").reason(), reason::UNUSABLE_ROWS);
    }
    let params = LogisticRegressionParams::default().check().expect("valid");
    let unlabelled = Sample::complete(rows.view());
    let error = <LogisticRegression as Method>::fit(&params, &unlabelled, &Context::new());
    assert_eq!(error.expect_err("refused").reason(), reason::UNUSABLE_ROWS);
    let none = Array2::zeros((10, 0));
    let error = fit_with(&LogisticRegressionParams::default(), &none, &labels);
    assert_eq!(error.expect_err("refused").reason(), reason::UNUSABLE_ROWS);
}

#[test]
fn separable_classes_converge() {
    let rows = Array2::from_shape_fn((40, 2), |(i, j)| if j == 0 { i as f64 / 10.0 } else { 1.0 });
    let labels: Vec<bool> = (0..40).map(|i| i >= 20).collect();
    for c in [1e-3, 1.0, 1e3, 1e9, 1e300] {
        let params = LogisticRegressionParams::new().with_c(c);
        let model = fit_with(&params, &rows, &labels).expect("a model");
        assert!(model.coefficients()[0] > 0.0 && model.coefficients()[1] == 0.0);
        let scores = score(&model, rows.view());
        assert!(scores.is_sorted(), "{c} {scores:?}");
        assert!(scores.iter().all(|p| *p > 0.0 && *p < 1.0), "{scores:?}");
        assert!(c > 1e9 || model.converged(), "{c}");
    }
}

#[test]
fn too_few_iterations_still_give_a_model() {
    let (rows, labels) = table(300, 3, 0.0, 1);
    let params = LogisticRegressionParams::new().with_max_iter(1);
    let model = fit_with(&params, &rows, &labels).expect("a model");
    assert!(!model.converged() && model.n_iter() == 1);
    assert!(model.coefficients()[0] > 0.1);
}

#[test]
fn all_kinds_of_steps_find_the_same_minimum() {
    let (mut rows, labels) = table(200, newton::MAX_DENSE, 1.0, 5);
    for correlated in [false, true] {
        if correlated {
            // conjugate gradients are slow here, so that a factor takes over
            let common = rows.slice(s![.., 1..2]).to_owned();
            rows = rows * 1e-2 + common;
        }
        let zeros = Array2::zeros((200, 3));
        let wider = concatenate![Axis(1), rows, zeros];
        let (narrow, wide) = (fit(&rows, &labels), fit(&wider, &labels));
        assert!(narrow.converged() && wide.converged());
        let found = &wide.coefficients()[..newton::MAX_DENSE];
        assert_close(found, narrow.coefficients(), 1e-6);
        assert_eq!(wide.coefficients()[newton::MAX_DENSE..], [0.0; 3]);
        assert_close(&[wide.intercept()], &[narrow.intercept()], 1e-6);

        // features that are 0 change the kind of steps, but not the minimum
        let few = rows.slice(s![.., ..60]).to_owned();
        let padded = concatenate![Axis(1), few, Array2::zeros((200, 400))];
        let (dense, padded) = (fit(&few, &labels), fit(&padded, &labels));
        assert_close(&padded.coefficients()[..60], dense.coefficients(), 1e-6);
    }
}

#[test]
fn a_start_from_fewer_rows_does_not_change_the_minimum() {
    let (rows, labels) = table(20_000, 3, 0.5, 7);
    let params = LogisticRegressionParams::default().check().expect("valid");
    let sources = [source(rows.view(), Some(&labels), [1.0; 2]).expect("labels")];
    let design = Design::new(&sources, &params, &Context::new()).expect("a design");
    let thinned = design.thinned().expect("enough rows");
    let stop = Stop {
        tol: 1e-4,
        max_iter: 100,
    };
    let minimum = |problem, start: &[f64]| {
        newton::minimize(problem, &[start.to_vec()], stop, &Context::new()).expect("a minimum")
    };
    let near = minimum(&thinned, &[0.0; 4]);
    let whole = minimum(&design.problem(), &[0.0; 4]);
    assert!(near.converged && whole.converged);
    assert_close(&near.point, &whole.point, 0.2);
    let model = fit(&rows, &labels);
    assert!(model.converged() && model.n_iter() < whole.n_iter);
    let units = design.units.iter();
    let found: Vec<f64> = model
        .coefficients()
        .iter()
        .zip(units)
        .map(|(x, unit)| x * unit)
        .collect();
    assert_close(&found, &whole.point[..3], 1e-9);
}

#[test]
fn offsets_and_units_cost_no_digits() {
    let (rows, labels) = table(500, 3, 0.0, 9);
    let params = LogisticRegressionParams::new().with_c(1e6);
    let plain = fit_with(&params, &rows, &labels).expect("a model");
    // whole numbers, so that the offset rounds nothing away
    let moved = rows.mapv(|x| (x * 1e6).round());
    let near = fit_with(&params, &moved.mapv(|x| x / 1e6), &labels).expect("a model");
    let far = fit_with(&params, &moved.mapv(|x| x + 1e15), &labels).expect("a model");
    let scores = score(&far, moved.mapv(|x| x + 1e15).view());
    assert_close(
        &score(&near, rows.view()),
        &score(&plain, rows.view()),
        1e-4,
    );
    assert_close(&scores, &score(&plain, rows.view()), 1e-4);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for (n, d) in [(5000, 7), (70, 700)] {
        let (rows, labels) = table(n, d, 3.0, 8);
        threads_change_nothing(|| fit(&rows, &labels));
    }
}

#[test]
fn an_update_is_a_fit_on_the_union() {
    let (rows, labels) = table(900, 4, 2.0, 3);
    let (first, second) = rows.view().split_at(Axis(0), 600);
    let model = fit(&first.to_owned(), &labels[..600]);
    let past = PastRows {
        seen_by_class: None,
        rows: first,
        labels: Some(&labels[..600]),
        seen: 600,
    };
    let (new, new_labels) = (second.to_owned(), &labels[600..]);
    let updated = model
        .update(past, sample(&new, new_labels), &Context::new())
        .expect("a model")
        .detector;
    let whole = fit(&rows, &labels);
    assert_close(updated.coefficients(), whole.coefficients(), 1e-7);
    assert_close(&[updated.intercept()], &[whole.intercept()], 1e-7);
    assert!(updated.converged());

    // past rows that stand for twice as many count double
    let half = PastRows {
        seen_by_class: None,
        rows: first.slice_move(s![..300, ..]),
        labels: Some(&labels[..300]),
        seen: 600,
    };
    let updated = model
        .update(half, sample(&new, new_labels), &Context::new())
        .expect("a model")
        .detector;
    let old = rows.slice(s![..300, ..]);
    let twice = concatenate![Axis(0), old, old, new];
    let twice_labels = [&labels[..300], &labels[..300], new_labels].concat();
    let whole = fit(&twice, &twice_labels);
    assert_close(updated.coefficients(), whole.coefficients(), 1e-7);

    // new rows of one class are enough
    let calm = vec![false; 300];
    model
        .update(past, sample(&new, &calm), &Context::new())
        .expect("a model");
    let error = model
        .update(past, Sample::complete(new.view()), &Context::new())
        .expect_err("no labels");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    let narrow = new.slice(s![.., ..2]).to_owned();
    let error = model
        .update(past, sample(&narrow, new_labels), &Context::new())
        .expect_err("another width");
    assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
}

#[test]
fn a_cancelled_fit_stops() {
    let (rows, labels) = table(100, 3, 0.0, 5);
    let context = Context::new();
    context.cancel();
    let params = LogisticRegressionParams::default().check().expect("valid");
    let error = <LogisticRegression as Method>::fit(&params, &sample(&rows, &labels), &context);
    assert_eq!(error.expect_err("cancelled").reason(), reason::CANCELLED);
}

#[test]
fn damaged_models_are_refused() {
    let (rows, labels) = table(30, 3, 0.0, 6);
    let good = fit(&rows, &labels);
    refuses_damages(
        &good,
        &[
            |m| m.coefficients.truncate(2),
            |m| m.centers.truncate(2),
            |m| m.coefficients[0] = f64::NAN,
            |m| m.centers[2] = f64::INFINITY,
            |m| m.log_odds = f64::NAN,
            |m| m.params = m.params.clone().with_c(-1.0),
            |m| {
                m.coefficients.clear();
                m.centers.clear();
            },
        ],
    );
}

#[test]
fn probabilities_stay_within_their_range() {
    for (odds, expected) in [
        (0.0, 0.5),
        (-700.0, (-700.0f64).exp()),
        (2.0, 1.0 / (1.0 + (-2.0f64).exp())),
    ] {
        assert_close(&[sigmoid(odds) / expected], &[1.0], 1e-15);
    }
    let odds = [
        -1e308, -746.0, -1.0, -1e-300, 0.0, 1.0, 36.0, 37.0, 40.0, 1e308,
    ];
    let found = odds.map(sigmoid);
    assert!(
        found.is_sorted() && found[0] > 0.0 && found[9] < 1.0,
        "{found:?}"
    );
}
