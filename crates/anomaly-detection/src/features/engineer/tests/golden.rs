//! Engineered features compared with independently computed values.

use super::*;
use crate::features::engineer::layout::Z_LIMIT;

const NAN: f64 = f64::NAN;

const VALUES: [f64; 12] = [
    3.0,
    1.5,
    NAN,
    1.5,
    1.5,
    1e9,
    1e9 + 1.0,
    1e9 + 2.0,
    -2.25,
    0.1,
    0.2,
    0.30000000000000004,
];

fn feature(engineer: &Engineer, made: &Array2<f64>, name: &str) -> Vec<f64> {
    let names = engineer.names();
    let column = names
        .iter()
        .position(|other| other == name)
        .expect("a feature");
    made.column(column).to_vec()
}

fn assert_close(made: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(made.len(), expected.len());
    for (row, (made, expected)) in made.iter().zip(expected).enumerate() {
        let same = made.is_nan() && expected.is_nan();
        let close = (made - expected).abs() <= tolerance * expected.abs();
        assert!(same || close, "row {row}: {made:?} is not {expected:?}");
    }
}

#[test]
fn names_have_a_fixed_order() {
    let names = engineer(&[1, 3], &[7], &["a", "b"], true).names();
    let expected = [
        "a_lag_1",
        "a_lag_3",
        "a_rolling_mean_7",
        "a_rolling_std_7",
        "a_rolling_z_score_7",
        "a_difference_1",
        "b_lag_1",
        "b_lag_3",
        "b_rolling_mean_7",
        "b_rolling_std_7",
        "b_rolling_z_score_7",
        "b_difference_1",
        "hour_sin",
        "hour_cos",
        "day_of_week_sin",
        "day_of_week_cos",
        "month_sin",
        "month_cos",
    ];
    assert_eq!(names, expected);
    let params = EngineeringParams {
        rolling_mean: false,
        rolling_z_score: false,
        difference: false,
        ..EngineeringParams::default()
    };
    let plan = Engineer::new(params, vec!["value".to_owned()], false).expect("valid");
    let expected = [
        "value_lag_1",
        "value_lag_2",
        "value_lag_3",
        "value_lag_7",
        "value_rolling_std_7",
        "value_rolling_std_24",
    ];
    assert_eq!(plan.names(), expected);
    assert_eq!(plan.n_features(), 6);
    assert_eq!(plan.depth(), 24);
}

/// The values are from exact rational arithmetic in Python, with which pandas 3.1 `shift(1).rolling(w, min_periods=1 or 2)`
/// agrees to 3e-16.
#[test]
fn rolling_statistics_agree_with_pandas() {
    let plan = engineer(&[1, 2], &[3, 5], &["x"], false);
    let made = one_column(&VALUES, &plan);
    let of = |name| feature(&plan, &made, name);
    let mean_3 = [
        NAN,
        3.0,
        2.25,
        2.25,
        1.5,
        1.5,
        333333334.3333333,
        666666667.5,
        1000000001.0,
        666666666.9166666,
        333333333.28333336,
        -0.65,
    ];
    let std_3 = [
        NAN,
        NAN,
        1.0606601717798212,
        1.0606601717798212,
        0.0,
        0.0,
        577350268.3236004,
        577350268.6122755,
        1.0,
        577350271.3546892,
        577350270.9649779,
        1.3865424623862048,
    ];
    let mean_5 = [
        NAN,
        3.0,
        2.25,
        2.25,
        2.0,
        1.875,
        250000001.125,
        500000001.0,
        600000001.2,
        600000000.45,
        600000000.17,
        400000000.21,
    ];
    let std_5 = [
        NAN,
        NAN,
        1.0606601717798212,
        1.0606601717798212,
        0.8660254037844386,
        0.75,
        499999999.25,
        577350268.6122755,
        547722557.2313049,
        547722558.2582847,
        547722558.6416904,
        547722558.6827697,
    ];
    assert_close(&of("x_rolling_mean_3"), &mean_3, 1e-15);
    assert_close(&of("x_rolling_std_3"), &std_3, 1e-15);
    assert_close(&of("x_rolling_mean_5"), &mean_5, 1e-15);
    assert_close(&of("x_rolling_std_5"), &std_5, 1e-15);
    // the fourth row is 1.5 after 3 and 1.5; the sixth is 1e9 after only 1.5
    let z_score: Vec<f64> = (0..VALUES.len())
        .map(|row| match row {
            4 => 0.0,
            5 => Z_LIMIT,
            8 => -Z_LIMIT,
            row => (VALUES[row] - mean_3[row]) / std_3[row],
        })
        .collect();
    assert_close(&of("x_rolling_z_score_3"), &z_score, 1e-14);
    assert_close(&of("x_lag_1")[1..], &VALUES[..11], 0.0);
    assert_close(&of("x_lag_2")[2..], &VALUES[..10], 0.0);
    assert!(of("x_lag_1")[0].is_nan() && of("x_lag_2")[1].is_nan());
    let difference = [
        NAN,
        -1.5,
        NAN,
        NAN,
        0.0,
        1e9 - 1.5,
        1.0,
        1.0,
        -1000000004.25,
        2.35,
        0.1,
        0.1,
    ];
    assert_close(&of("x_difference_1"), &difference, 1e-15);
}

/// Compares long windows far from 0 with the two passes of the definition.
#[test]
fn long_windows_agree_with_the_definition() {
    let values: Vec<f64> = (0..25_000)
        .map(|i| 1e6 + f64::from(i * 7919 % 10_007) * 0.001)
        .collect();
    let plan = engineer(&[], &[10_000, 777], &["x"], false);
    let made = one_column(&values, &plan);
    for window in [10_000, 777] {
        let mean = feature(&plan, &made, &format!("x_rolling_mean_{window}"));
        let std = feature(&plan, &made, &format!("x_rolling_std_{window}"));
        for row in (2..values.len()).step_by(1499) {
            let past = &values[row.saturating_sub(window)..row];
            let n = past.len() as f64;
            let expected = 1e6 + past.iter().map(|value| value - 1e6).sum::<f64>() / n;
            let squares: f64 = past.iter().map(|value| (value - expected).powi(2)).sum();
            assert_close(&[mean[row]], &[expected], 1e-14);
            assert_close(&[std[row]], &[(squares / (n - 1.0)).sqrt()], 1e-9);
        }
    }
}

#[test]
fn far_from_0_rolling_variances_keep_their_digits() {
    // multiples of 1/1024, so that their exact variance is one of integers
    let steps: Vec<i64> = (0..3000).map(|i| i * 7919 % 2053).collect();
    for offset in [1e8, 1e9] {
        let values: Vec<f64> = steps
            .iter()
            .map(|&step| offset + step as f64 / 1024.0)
            .collect();
        let plan = engineer(&[], &[7, 1000], &["x"], false);
        let made = one_column(&values, &plan);
        for window in [7, 1000] {
            let std = feature(&plan, &made, &format!("x_rolling_std_{window}"));
            for row in 2..values.len() {
                let past = &steps[row.saturating_sub(window)..row];
                let (n, sum) = (past.len() as i64, past.iter().sum::<i64>());
                let squares: i64 = past.iter().map(|step| step * step).sum();
                let exact = (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64;
                assert_close(&[std[row].powi(2)], &[exact / 1024.0 / 1024.0], 1e-6);
            }
        }
    }
}

#[test]
fn undefined_features_are_missing_and_none_is_infinite() {
    let plan = engineer(&[1], &[2, 3], &["x"], true);
    let values = [
        f64::MAX,
        f64::MIN,
        f64::MAX,
        f64::INFINITY,
        1.0,
        NAN,
        NAN,
        NAN,
        2.0,
        1e200,
        1e200,
        1e200,
        -1e200,
    ];
    let rows = Rows {
        n_rows: values.len(),
        columns: &[&values],
        times: None,
        series: None,
    };
    let mut builder = Builder::new(&plan, Histories::default());
    let made = builder.apply(&rows, &Context::new()).expect("made");
    assert!(made.iter().all(|value| !value.is_infinite()));
    let mean = feature(&plan, &made, "x_rolling_mean_2");
    assert_eq!(mean[1], f64::MAX);
    assert!(mean[7].is_nan() && mean[8].is_nan());
    assert_eq!(mean[6], 1.0, "one value is present");
    // a window of equal values is constant however large they are, whatever came before it
    assert_eq!(feature(&plan, &made, "x_rolling_std_2")[11..], [0.0, 0.0]);
    assert_eq!(
        feature(&plan, &made, "x_rolling_z_score_2")[11..],
        [0.0, -Z_LIMIT]
    );
    assert!(feature(&plan, &made, "x_lag_1")[4].is_nan());
    assert!(
        feature(&plan, &made, "hour_sin")
            .iter()
            .all(|value| value.is_nan())
    );
}

#[test]
fn series_do_not_influence_each_other() {
    let plan = engineer(&[1], &[2], &["x"], false);
    let keys = ["a".to_owned(), "b".to_owned()];
    let rows = Rows {
        n_rows: 5,
        columns: &[&[1.0, 10.0, 2.0, 20.0, 4.0]],
        times: None,
        series: Some(SeriesOfRows {
            codes: &[1, 0, 1, 0, 1],
            keys: &keys,
        }),
    };
    let mut builder = Builder::new(&plan, Histories::default());
    let made = builder.apply(&rows, &Context::new()).expect("made");
    assert_close(
        &feature(&plan, &made, "x_lag_1"),
        &[NAN, NAN, 1.0, 10.0, 2.0],
        0.0,
    );
    assert_close(
        &feature(&plan, &made, "x_rolling_mean_2"),
        &[NAN, NAN, 1.0, 10.0, 1.5],
        0.0,
    );
}

#[test]
fn features_can_be_engineered_from_the_time_alone() {
    let plan = engineer(&[1], &[2], &[], true);
    assert_eq!(plan.n_features(), 6);
    let rows = Rows {
        n_rows: 2,
        columns: &[],
        times: Some(&[Some(6 * 3_600_000_000_000), None]),
        series: None,
    };
    let mut builder = Builder::new(&plan, Histories::default());
    let made = builder.apply(&rows, &Context::new()).expect("made");
    assert_eq!(made[[0, 0]], 1.0, "six hours are a quarter of the day");
    assert!(made.row(1).iter().all(|value| value.is_nan()));
    assert!(bits(&push_all(&mut builder, &rows)) == bits(&made));
    assert!(builder.into_histories().is_empty());
}
