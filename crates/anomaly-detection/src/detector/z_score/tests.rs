use linfa::traits::Fit as _;
use ndarray::{Array2, Axis, array};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::detector::contract::{refuses_damages, sample, score};

fn try_fit(rows: &Array2<f64>) -> Result<ZScore> {
    ZScoreParams::default()
        .check_ref()
        .and_then(|params| params.fit_rows(&sample(rows), &Context::new()))
}

fn fit(rows: &Array2<f64>) -> ZScore {
    try_fit(rows).expect("a model")
}

fn baseline(feature: &str, mean: f64, std: f64) -> Baseline {
    Baseline {
        feature: feature.into(),
        mean,
        std,
    }
}

fn given(baselines: Vec<Baseline>) -> ZScoreParams {
    ZScoreParams::new()
        .with_multiplier(Some(DEFAULT_MULTIPLIER))
        .with_baselines(baselines)
}

#[test]
fn the_score_is_the_largest_absolute_z_score() {
    let rows = array![[1.0, 10.0], [2.0, f64::NAN], [3.0, 30.0]];
    let model = fit(&rows);
    assert_eq!(model.z_scores(&[5.0, 20.0]), Some(vec![3.0, 0.0]));
    assert_eq!(
        score(
            &model,
            array![[5.0, 20.0], [-5.0, 20.0], [2.0, 20.0]].view()
        ),
        [3.0, 7.0, 0.0]
    );
}

#[test]
fn given_baselines_need_no_rows_and_learn_nothing() {
    let params = given(vec![baseline("a", 100.0, 10.0), baseline("b", 0.0, 1.0)]);
    let model = ZScore::from_baselines(params.check_ref().expect("valid")).expect("a model");
    assert_eq!(score(&model, array![[150.0, 1.0]].view()), [5.0]);
    assert_eq!(model.params(), &params);
    model.validate().expect("valid");
    let rows = array![[1.0, 2.0], [3.0, 4.0]];
    let error = model
        .update(PastRows::none(), sample(&rows), &Context::new())
        .expect_err("refused");
    assert_eq!(error.reason(), reason::UPDATE_REFUSED);
    let checked = params.check().expect("valid");
    let error = checked
        .fit_rows(&sample(&rows), &Context::new())
        .expect_err("refused");
    assert_eq!(error.field_path(), Some("baselines"));
    let none = ZScoreParams::default().check().expect("valid");
    assert_eq!(ZScore::from_baselines(&none), None);
}

#[test]
fn parameters_are_checked() {
    let good = || baseline("a", 0.0, 1.0);
    let cases = [
        (given(vec![good(), good()]), "baselines[1].feature"),
        (
            given(vec![good(), baseline("", 0.0, 1.0)]),
            "baselines[1].feature",
        ),
        (
            given(vec![baseline("b", f64::NAN, 1.0)]),
            "baselines[0].mean",
        ),
        (
            given(vec![
                good(),
                baseline("b", 0.0, 1.0),
                baseline("c", 0.0, 0.0),
            ]),
            "baselines[2].std",
        ),
        (
            given(vec![baseline("b", 0.0, f64::INFINITY)]),
            "baselines[0].std",
        ),
        (
            ZScoreParams::new()
                .with_multiplier(Some(0.0))
                .with_baselines(vec![]),
            "multiplier",
        ),
        (
            ZScoreParams::new()
                .with_multiplier(Some(f64::NAN))
                .with_baselines(vec![]),
            "multiplier",
        ),
    ];
    for (params, field) in cases {
        let error = params.check_ref().expect_err("refused");
        assert_eq!(error.reason(), reason::INVALID_PARAMETER);
        assert_eq!(error.field_path(), Some(field));
        let error = super::super::DetectorParams::ZScore(params)
            .check()
            .expect_err("refused");
        assert_eq!(
            error.field_path(),
            Some(format!("z_score.{field}").as_str())
        );
    }
}

#[test]
fn unusable_rows_are_refused() {
    let error = try_fit(&array![[1.0, 2.0]]).expect_err("one row");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    for rows in [
        array![[1.0, f64::NAN], [2.0, f64::NAN]],
        array![[1.0, 1e300], [2.0, -1e300]],
    ] {
        let error = try_fit(&rows).expect_err("unusable");
        let error = crate::statistics::name_column(error, &["a".into(), "b".into()]);
        assert!(error.message().starts_with("column \"b\""), "{error}");
    }
}

#[test]
fn linfa_fits_it() {
    let rows = array![[1.0, 2.0], [3.0, 7.0], [4.0, 4.0]];
    let dataset = linfa::DatasetBase::from(rows.clone());
    let model = ZScoreParams::default().fit(&dataset).expect("a model");
    assert_eq!(model, fit(&rows));
}

#[test]
fn a_deviation_from_a_constant_is_very_anomalous() {
    for constant in [0.0, 0.1, 1e9] {
        let model = fit(&Array2::from_elem((10, 1), constant));
        let scores = score(
            &model,
            array![[constant], [constant + 1.0], [f64::MAX]].view(),
        );
        assert_eq!(scores[0], 0.0);
        assert!(scores[1] > 100.0 && scores[2].is_finite(), "{scores:?}");
    }
}

#[test]
fn damaged_models_are_refused() {
    let good = fit(&array![[1.0, 2.0], [3.0, 7.0]]);
    refuses_damages(
        &good,
        &[
            |m| m.std.truncate(1),
            |m| m.std[0] = 0.0,
            |m| m.mean[1] = f64::NAN,
            |m| m.moments = None,
            |m| {
                m.params = m
                    .params
                    .clone()
                    .with_baselines(vec![baseline("", 0.0, 1.0)])
            },
        ],
    );
}

fn any_finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        -10.0..10.0f64,
        any::<f64>().prop_filter("finite", |x| x.is_finite())
    ]
}

proptest! {
    #[test]
    fn an_update_is_a_fit_on_the_union(
        rows in vec([-10.0..10.0f64, 1e9..1e9 + 1.0], 4..100),
        cut in 2..4usize,
    ) {
        let rows = Array2::from(rows);
        let (first, second) = rows.view().split_at(Axis(0), cut);
        let (first, second) = (first.to_owned(), second.to_owned());
        let updated = fit(&first).update(PastRows::none(), sample(&second), &Context::new()).expect("a model").detector;
        let whole = fit(&rows);
        for (a, b) in score(&updated, rows.view()).iter().zip(score(&whole, rows.view())) {
            prop_assert!((a - b).abs() <= 1e-9 * b.max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn hostile_finite_values_never_give_nan(
        mean in any_finite(),
        std in any_finite().prop_map(f64::abs),
        x in any_finite(),
    ) {
        let params = given(vec![baseline("a", mean, std)]);
        if let Ok(params) = params.check() {
            let model = ZScore::from_baselines(&params).expect("a model");
            let found = score(&model, array![[x]].view());
            prop_assert!(found[0].is_finite() && found[0] >= 0.0, "{found:?}");
        }
        if let Ok(model) = try_fit(&array![[mean], [std], [0.0]]) {
            model.validate().expect("valid");
            prop_assert!(score(&model, array![[x]].view())[0].is_finite());
        }
    }

    #[test]
    fn a_model_survives_its_round_trip(rows in vec([any_finite()], 2..5), names in vec("[a-z]{1,8}", 0..3)) {
        let Ok(mut model) = try_fit(&Array2::from(rows)) else { return Ok(()) };
        model.params = model.params.clone().with_multiplier(Some(2.5));
        model.params = model.params.clone().with_baselines(names.iter().map(|name| baseline(name, 0.5, 2.0)).collect());
        let bytes = crate::messagepack::written(&model).expect("bytes");
        let read: ZScore = crate::messagepack::read(&bytes).expect("a model");
        prop_assert_eq!(read, model);
    }
}
