//! Time series: the roles of columns, engineered features, and `like_version`.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::{Detector, Policy};
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::{
    Auto, ColumnRole, Columns, FeatureEngineering, FeaturePolicy, Gaussian, Model, NumberValues,
    Records, Scaler, TimeValues, TrainRequest, TrainingSpec, TypedColumn,
};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tonic::Code;

use crate::grpc::harness::{
    all_scores, by, get_model, in_form, normal_rows, number, predict, refusal, rows, server, spec,
    stream_scores, train_as, train_request, trained, update,
};

/// Readings of one sensor, or of two that take turns: minutes since the start, the sensor and the value.
fn readings(n: usize, n_sensors: usize, seed: u64) -> Vec<(usize, String, f64)> {
    let noise = normal_rows(n, seed);
    (0..n)
        .map(|i| {
            let sensor = i % n_sensors;
            let value = (i as f64 / 20.0).sin() * 10.0 + 100.0 * sensor as f64 + noise[2 * i];
            (i, format!("s{sensor}"), value)
        })
        .collect()
}

fn as_readings(readings: &[(usize, String, f64)]) -> Records {
    let row = |(minute, sensor, value): &(usize, String, f64)| {
        let when = format!(
            "2024-03-{:02}T{:02}:{:02}:00Z",
            1 + minute / 1440,
            minute / 60 % 24,
            minute % 60
        );
        json!({"when": when, "sensor": sensor, "value": value})
    };
    rows(Value::Array(readings.iter().map(row).collect()))
}

/// A spec with features engineered from the value of each sensor.
fn engineered() -> TrainingSpec {
    TrainingSpec {
        target_column: "value".to_owned(),
        series_column: "sensor".to_owned(),
        feature_engineering: Some(FeatureEngineering::default()),
        ..TrainingSpec::default()
    }
}

#[tokio::test]
async fn a_row_gets_the_same_features_in_a_batch_and_along_a_stream() {
    let (server, mut client, _folder) = server().await;
    let all = readings(700, 2, 7);
    let (training, new) = all.split_at(600);
    // training sorts rows by their times
    let mut shuffled = training.to_vec();
    shuffled.reverse();
    let model = trained(
        &mut client,
        train_as("run", as_readings(&shuffled), engineered()),
    )
    .await;
    let roles: Vec<_> = model
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.role()))
        .collect();
    let expected = [
        ("sensor", ColumnRole::Series),
        ("value", ColumnRole::Target),
        ("when", ColumnRole::Time),
    ];
    assert_eq!(roles, expected);
    assert_eq!(model.columns[2].time_format, "ISO 8601");
    assert_eq!(model.feature_names, ["value"]);
    for name in [
        "value",
        "value_lag_7",
        "value_rolling_z_score_24",
        "hour_sin",
        "month_cos",
    ] {
        assert!(model.detector_features.contains(&name.to_owned()), "{name}");
    }
    let again = trained(
        &mut client,
        train_as("sorted", as_readings(training), engineered()),
    )
    .await;
    assert_eq!(
        again.threshold, model.threshold,
        "the order of rows changes nothing"
    );

    let batch = all_scores(&mut client, "run", as_readings(new)).await;
    for n_rows in [1, 33] {
        let messages = new.chunks(n_rows).map(as_readings);
        assert_eq!(stream_scores(&mut client, "run", messages).await, batch);
    }
    // unary requests start from the history of the model, and leave it as it is
    let first = all_scores(&mut client, "run", as_readings(&new[..1])).await;
    assert_eq!(first, batch[..1]);
    assert_eq!(
        all_scores(&mut client, "run", as_readings(&new[..1])).await,
        first
    );
    // the other sensor has its own history
    let other: Vec<_> = new
        .iter()
        .filter(|(_, sensor, _)| sensor == "s1")
        .cloned()
        .collect();
    let alone = all_scores(&mut client, "run", as_readings(&other)).await;
    let among: Vec<f64> = batch.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(alone, among);

    // an update continues where the training ended
    update(&mut client, "run", as_readings(new))
        .await
        .expect("updates");
    let later = readings(720, 2, 7);
    let model = get_model(&mut client, "run").await.expect("there");
    assert_eq!(model.n_rows, 700);
    assert_eq!(
        all_scores(&mut client, "run", as_readings(&later[700..]))
            .await
            .len(),
        20
    );
    server.stop().await;
}

#[tokio::test]
async fn a_jump_to_an_ordinary_value_is_found_by_its_past() {
    let (server, mut client, _folder) = server().await;
    let mut all = readings(900, 1, 3);
    // a value that is ordinary elsewhere on the curve
    all[850].2 = -all[850].2;
    let columns = |readings: &[(usize, String, f64)]| {
        let time = |minute: usize| Timestamp {
            seconds: 1_709_251_200 + 60 * minute as i64,
            nanos: 0,
        };
        let times = readings.iter().map(|(minute, ..)| time(*minute)).collect();
        let values = readings.iter().map(|(.., value)| *value).collect();
        let named = |name: &str, values| TypedColumn {
            name: name.to_owned(),
            values: Some(values),
            missing_rows: Vec::new(),
        };
        let columns = vec![
            named("timestamp", Values::Times(TimeValues { values: times })),
            named("value", Values::Numbers(NumberValues { values })),
        ];
        in_form(Form::Columns(Columns { columns }))
    };
    let request = train_as(
        "run",
        columns(&all[..800]),
        TrainingSpec {
            feature_engineering: Some(FeatureEngineering::default()),
            ..TrainingSpec::default()
        },
    );
    let model = trained(&mut client, request).await;
    assert_eq!(model.columns[0].time_format, "timestamp");
    let scores = all_scores(&mut client, "run", columns(&all[800..])).await;
    let highest = scores[..50].iter().copied().fold(0.0, f64::max);
    assert!(scores[50] > 4.0 * highest, "{scores:?}");
    server.stop().await;
}

#[tokio::test]
async fn impossible_roles_and_engineering_are_refused() {
    let (server, mut client, _folder) = server().await;
    let training = || as_readings(&readings(50, 2, 1));
    let cases: [(&str, TrainingSpec); 6] = [
        (
            "target_column",
            TrainingSpec {
                target_column: "valeu".to_owned(),
                ..TrainingSpec::default()
            },
        ),
        (
            "feature_columns",
            TrainingSpec {
                feature_columns: vec!["nothing".to_owned()],
                ..TrainingSpec::default()
            },
        ),
        (
            "time_column",
            TrainingSpec {
                time_column: "value".to_owned(),
                ..TrainingSpec::default()
            },
        ),
        (
            "feature_engineering.lags[1]",
            TrainingSpec {
                feature_engineering: Some(FeatureEngineering {
                    lags: vec![1, 20_000],
                    ..Default::default()
                }),
                ..engineered()
            },
        ),
        (
            "feature_engineering.columns",
            TrainingSpec {
                feature_engineering: Some(FeatureEngineering {
                    columns: vec!["when".to_owned()],
                    ..Default::default()
                }),
                ..engineered()
            },
        ),
        (
            "max_one_hot_categories",
            TrainingSpec {
                max_one_hot_categories: Some(257),
                ..TrainingSpec::default()
            },
        ),
    ];
    for (field, spec) in cases {
        let request = train_as("bad", training(), spec);
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field),
            (Code::InvalidArgument, format!("spec.{field}")),
            "{}",
            refused.message
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn like_version_trains_on_other_rows_with_the_same_spec() {
    let (server, mut client, _folder) = server().await;
    let first = TrainingSpec {
        detector: Some(Detector::Gaussian(Gaussian { ridge: Some(1e-3) })),
        policy: Some(Policy::Contamination(0.02)),
        scaler: Scaler::Robust.into(),
        feature_policy: FeaturePolicy::Flexible.into(),
        max_one_hot_categories: Some(2),
        ..engineered()
    };
    let first = train_as("run", as_readings(&readings(400, 2, 1)), first);
    let first = trained(&mut client, first).await;
    let alike = |spec: Option<TrainingSpec>| TrainRequest {
        like_version: number(1),
        spec,
        ..train_request("run", as_readings(&readings(500, 2, 2)))
    };
    let second = trained(&mut client, alike(None)).await;
    assert_eq!((second.version, second.n_rows), (2, 500));
    assert_eq!(second.detector_features, first.detector_features);
    let configuration = |model: &Model| (spec(model), model.columns.clone());
    assert_eq!(configuration(&second), configuration(&first));
    // only a part of each message is changed
    let parts = TrainingSpec {
        detector: Some(Detector::Gaussian(Gaussian { ridge: None })),
        feature_engineering: Some(FeatureEngineering {
            hour: Some(false),
            ..FeatureEngineering::default()
        }),
        ..TrainingSpec::default()
    };
    let parts = spec(&trained(&mut client, alike(Some(parts))).await);
    let engineering = parts.feature_engineering.expect("engineered");
    let before = spec(&first).feature_engineering.expect("engineered");
    assert_eq!(parts.detector, spec(&first).detector);
    assert_eq!(
        engineering,
        FeatureEngineering {
            hour: Some(false),
            ..before
        }
    );
    let changed = TrainingSpec {
        policy: Some(Policy::Contamination(0.3)),
        ..by(Detector::Auto(Auto::default()))
    };
    let third = trained(&mut client, alike(Some(changed))).await;
    assert_eq!(
        (third.detector_name.as_str(), spec(&third).policy),
        ("auto", Some(Policy::Contamination(0.3)))
    );
    assert_eq!(spec(&third).scaler(), Scaler::None, "auto refuses another");
    assert_eq!(third.detector_features, first.detector_features);
    let gone = TrainRequest {
        like_version: number(9),
        ..train_request("run", as_readings(&readings(50, 2, 1)))
    };
    assert_eq!(
        refusal(client.train(gone).await).reason,
        "VERSION_NOT_FOUND"
    );
    server.stop().await;
}

#[tokio::test]
async fn features_whose_history_is_missing_or_too_large_are_refused() {
    let (server, mut client, _folder) = server().await;
    let with = |lags: &[u32], rows| {
        let spec = TrainingSpec {
            feature_engineering: Some(FeatureEngineering {
                lags: lags.to_vec(),
                ..Default::default()
            }),
            ..engineered()
        };
        train_as("run", rows, spec)
    };
    // so many series with so long a lag would take too much memory
    let many: Vec<_> = (0..3400)
        .map(|i| (i, format!("s{}", i % 1700), i as f64))
        .collect();
    let refused = refusal(client.train(with(&[1, 10_000], as_readings(&many))).await);
    assert_eq!(refused.code, Code::InvalidArgument);
    assert!(
        refused.message.contains("more series than the 1677"),
        "{refused:?}"
    );

    let few = as_readings(&readings(8, 2, 1));
    let refused = refusal(client.train(with(&[1, 7], few)).await);
    assert!(
        refused
            .message
            .contains("engineered feature \"value_lag_7\""),
        "{refused:?}"
    );

    let named_alike = rows(json!([
        {"when": "2024-03-01", "sensor": "a", "value": 1, "value_lag_1": 2},
        {"when": "2024-03-02", "sensor": "a", "value": 3, "value_lag_1": 4},
    ]));
    let refused = refusal(client.train(with(&[1], named_alike)).await);
    assert_eq!(refused.field, "spec.feature_engineering");

    // no policy replaces a missing series or time
    let flexible = TrainingSpec {
        feature_policy: FeaturePolicy::Flexible.into(),
        ..engineered()
    };
    let flexible = train_as("run", as_readings(&readings(200, 2, 1)), flexible);
    trained(&mut client, flexible).await;
    // the first row of a series has no past and is learned from all the same
    let first = rows(json!([{"when": "2024-03-02", "sensor": "new", "value": 1}]));
    update(&mut client, "run", first).await.expect("updates");
    for (row, lacks) in [
        (json!({"when": "2024-03-02", "value": 1}), "sensor"),
        (json!({"sensor": "s0", "value": 1}), "when"),
    ] {
        let lacking = rows(json!([row]));
        let refused = refusal(predict(&mut client, "run", lacking.clone()).await);
        assert_eq!(refused.code, Code::InvalidArgument);
        assert!(refused.message.contains(lacks), "{refused:?}");
        let refused = refusal(update(&mut client, "run", lacking).await);
        assert!(refused.message.contains(lacks), "{refused:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_column_named_like_an_engineered_feature_is_not_adopted() {
    let (server, mut client, _folder) = server().await;
    let adaptive = TrainingSpec {
        feature_policy: FeaturePolicy::Adaptive.into(),
        ..engineered()
    };
    let adaptive = train_as("run", as_readings(&readings(200, 2, 1)), adaptive);
    let before = trained(&mut client, adaptive).await.detector_features;
    let row = |day: u32, value: f64| json!({"when": format!("2024-03-{day:02}"), "sensor": "s0", "value": value, "value_lag_1": 1, "new": value});
    let more: Vec<Value> = (2..12).map(|day| row(day, f64::from(day * day))).collect();
    let updated = update(&mut client, "run", rows(Value::Array(more))).await;
    let mut after = updated.expect("updates").detector_features;
    assert!(after.contains(&"new".to_owned()), "{after:?}");
    after.retain(|name| name != "new");
    assert_eq!(after, before);
    server.stop().await;
}
