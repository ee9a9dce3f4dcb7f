//! Columns of texts and times, the roles of columns, features that are made of them, and columns that come and go.

use anomalyd::proto::v1::named_column::Values;
use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    CategoryEncoding, ColumnRole, Columns, Detail, FeatureEngineering, FeaturePolicy, File,
    FileFormat, Imputation, Model, NamedColumn, Numbers, PredictRequest, PredictStreamHeader,
    Records, Texts, Times, TrainRequest,
};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{
    self, Client, end, get_model, header, normal_rows, part, predict, refusal, rows, server,
    train_request, update,
};

/// The scores of any number of rows.
async fn scores(client: &mut Client, run_id: &str, records: Records) -> Vec<f64> {
    let request = PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        detail: Detail::Scores.into(),
        version: 0,
    };
    client
        .predict(request)
        .await
        .expect("predicts")
        .into_inner()
        .scores
}

async fn trained(client: &mut Client, request: TrainRequest) -> Model {
    let response = client.train(request).await.expect("trains");
    harness::model(response.into_inner().model)
}

/// Purchases: an amount, and one of three shops that sells at prices of its own.
fn purchases(n: usize, seed: u64) -> Vec<(f64, &'static str)> {
    let noise = normal_rows(n, seed);
    let shops = [("bakery", 10.0), ("kiosk", 20.0), ("tailor", 300.0)];
    noise
        .chunks(2)
        .enumerate()
        .map(|(i, noise)| (shops[i % 3].1 + noise[0], shops[i % 3].0))
        .collect()
}

fn as_rows(purchases: &[(f64, &str)]) -> Records {
    let row = |(amount, shop): &(f64, &str)| json!({"amount": amount, "shop": shop});
    rows(Value::Array(purchases.iter().map(row).collect()))
}

fn file(content: impl Into<Vec<u8>>, format: FileFormat) -> Records {
    Records {
        form: Some(Form::File(File {
            content: content.into().into(),
            format: format.into(),
            csv: None,
        })),
    }
}

fn as_csv(purchases: &[(f64, &str)]) -> String {
    let lines = purchases
        .iter()
        .map(|(amount, shop)| format!("{amount},{shop}\n"));
    format!("amount,shop\n{}", lines.collect::<String>())
}

#[tokio::test]
async fn texts_become_categories_in_every_form_alike() {
    let (server, mut client, _folder) = server().await;
    let bought = purchases(600, 1);
    let probes = [
        (10.0, "bakery"),
        (300.0, "bakery"),
        (20.0, "airport"),
        (300.0, "tailor"),
    ];
    let lines = |bought: &[(f64, &str)]| {
        let line =
            |(amount, shop): &(f64, &str)| format!("{}\n", json!({"shop": shop, "amount": amount}));
        bought.iter().map(line).collect::<String>()
    };
    let columns = |bought: &[(f64, &str)]| {
        let named = |name: &str, values| NamedColumn {
            name: name.to_owned(),
            values: Some(values),
            missing_rows: Vec::new(),
        };
        let amounts = bought.iter().map(|(amount, _)| *amount).collect();
        let shops = bought.iter().map(|(_, shop)| (*shop).to_owned()).collect();
        let columns = vec![
            named("amount", Values::Numbers(Numbers { values: amounts })),
            named("shop", Values::Texts(Texts { values: shops })),
        ];
        Records {
            form: Some(Form::Columns(Columns { columns })),
        }
    };
    let forms: [(&str, Records, Records); 4] = [
        ("rows", as_rows(&bought), as_rows(&probes)),
        (
            "csv",
            file(as_csv(&bought), FileFormat::Csv),
            file(as_csv(&probes), FileFormat::Unspecified),
        ),
        (
            "lines",
            file(lines(&bought), FileFormat::Unspecified),
            file(lines(&probes), FileFormat::JsonLines),
        ),
        ("columns", columns(&bought), columns(&probes)),
    ];
    let mut answers = Vec::new();
    for (name, training, probes) in forms {
        let model = trained(&mut client, train_request(name, training)).await;
        let shop = &model.columns[1];
        assert_eq!(
            (shop.name.as_str(), shop.n_categories),
            ("shop", Some(3)),
            "{name}"
        );
        assert_eq!(shop.encoding(), CategoryEncoding::OneHot);
        assert_eq!(model.feature_names, ["amount", "shop"]);
        let names = [
            "amount",
            "shop=bakery",
            "shop=kiosk",
            "shop=tailor",
            "shop=<unknown>",
        ];
        assert_eq!(model.detector_features, names);
        assert_eq!(model.n_features, 5);
        answers.push(scores(&mut client, name, probes).await);
    }
    assert!(
        answers.iter().all(|scores| *scores == answers[0]),
        "{answers:?}"
    );
    let [usual, dear, unknown, dear_but_usual] = answers[0][..] else {
        panic!("a score for each row");
    };
    assert!(
        dear > usual && dear > dear_but_usual && unknown > usual,
        "{answers:?}"
    );

    // postal codes are texts where they were so at training
    let codes = file("zip,x\nA1,1\nB2,2\nA1,3\n", FileFormat::Csv);
    trained(&mut client, train_request("zip", codes)).await;
    let digits = file("zip,x\n01234,1\n", FileFormat::Csv);
    assert_eq!(scores(&mut client, "zip", digits).await.len(), 1);
    server.stop().await;
}

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

fn engineered(run_id: &str, records: Records) -> TrainRequest {
    TrainRequest {
        target_column: "value".to_owned(),
        series_column: "sensor".to_owned(),
        feature_engineering: Some(FeatureEngineering::default()),
        ..train_request(run_id, records)
    }
}

async fn streamed(client: &mut Client, run_id: &str, messages: Vec<Records>) -> Vec<f64> {
    let header = PredictStreamHeader {
        detail: Detail::Scores.into(),
        ..header(run_id)
    };
    let mut parts = vec![part(Part::Header(header))];
    parts.extend(
        messages
            .into_iter()
            .map(|records| part(Part::Records(records))),
    );
    parts.push(end(None));
    let answer = client.predict_stream(tokio_stream::iter(parts)).await;
    answer.expect("streams").into_inner().scores
}

#[tokio::test]
async fn a_row_gets_the_same_features_in_a_batch_and_along_a_stream() {
    let (server, mut client, _folder) = server().await;
    let all = readings(700, 2, 7);
    let (training, new) = all.split_at(600);
    // rows are learned from in the order of their times
    let mut shuffled = training.to_vec();
    shuffled.reverse();
    let model = trained(&mut client, engineered("run", as_readings(&shuffled))).await;
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
    let again = trained(&mut client, engineered("sorted", as_readings(training))).await;
    assert_eq!(
        again.threshold, model.threshold,
        "the order of rows changes nothing"
    );

    let batch = scores(&mut client, "run", as_readings(new)).await;
    let singly = new.chunks(1).map(as_readings).collect();
    assert_eq!(streamed(&mut client, "run", singly).await, batch);
    let in_pieces = new.chunks(33).map(as_readings).collect();
    assert_eq!(streamed(&mut client, "run", in_pieces).await, batch);
    // unary requests start from the history of the model, and leave it as it is
    let first = scores(&mut client, "run", as_readings(&new[..1])).await;
    assert_eq!(first, batch[..1]);
    assert_eq!(
        scores(&mut client, "run", as_readings(&new[..1])).await,
        first
    );
    // the rows of the other sensor are another history
    let other: Vec<_> = new
        .iter()
        .filter(|(_, sensor, _)| sensor == "s1")
        .cloned()
        .collect();
    let alone = scores(&mut client, "run", as_readings(&other)).await;
    let among: Vec<f64> = batch.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(alone, among);

    // an update goes on where the training ended
    update(&mut client, "run", as_readings(new))
        .await
        .expect("updates");
    let later = readings(720, 2, 7);
    let model = get_model(&mut client, "run").await.expect("there");
    assert_eq!(model.n_rows, 700);
    assert_eq!(
        scores(&mut client, "run", as_readings(&later[700..]))
            .await
            .len(),
        20
    );
    server.stop().await;
}

#[tokio::test]
async fn a_jump_that_is_no_extreme_value_is_found_by_what_came_before() {
    let (server, mut client, _folder) = server().await;
    let mut all = readings(900, 1, 3);
    // a value that is usual elsewhere on the curve
    all[850].2 = -all[850].2;
    let columns = |readings: &[(usize, String, f64)]| {
        let time = |minute: usize| Timestamp {
            seconds: 1_709_251_200 + 60 * minute as i64,
            nanos: 0,
        };
        let times = readings.iter().map(|(minute, ..)| time(*minute)).collect();
        let values = readings.iter().map(|(.., value)| *value).collect();
        let named = |name: &str, values| NamedColumn {
            name: name.to_owned(),
            values: Some(values),
            missing_rows: Vec::new(),
        };
        let columns = vec![
            named("timestamp", Values::Times(Times { values: times })),
            named("value", Values::Numbers(Numbers { values })),
        ];
        Records {
            form: Some(Form::Columns(Columns { columns })),
        }
    };
    let request = TrainRequest {
        feature_engineering: Some(FeatureEngineering::default()),
        ..train_request("run", columns(&all[..800]))
    };
    let model = trained(&mut client, request).await;
    assert_eq!(model.columns[0].time_format, "timestamp");
    let scores = scores(&mut client, "run", columns(&all[800..])).await;
    let highest = scores[..50].iter().copied().fold(0.0, f64::max);
    assert!(scores[50] > 4.0 * highest, "{scores:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_flexible_model_takes_columns_that_come_and_go() {
    let (server, mut client, _folder) = server().await;
    let training = || {
        let row = |point: &[f64]| json!({"x": point[0], "y": point[1] + 5.0});
        rows(Value::Array(
            normal_rows(300, 5).chunks(2).map(row).collect(),
        ))
    };
    let probe = || rows(json!([{"x": 0.5, "z": 7}, {"x": 0.1, "z": 1}]));
    trained(&mut client, train_request("strict", training())).await;
    let refused = refusal(predict(&mut client, "strict", probe()).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "SCHEMA_MISMATCH")
    );
    assert!(
        refused
            .message
            .contains("missing feature \"y\"; unknown feature \"z\""),
        "{refused:?}"
    );
    for (run_id, imputation, y) in [
        ("median", Imputation::Median, None),
        ("zero", Imputation::Zero, Some(0.0)),
    ] {
        let request = TrainRequest {
            feature_policy: FeaturePolicy::Flexible.into(),
            imputation: imputation.into(),
            ..train_request(run_id, training())
        };
        let model = trained(&mut client, request).await;
        assert_eq!(model.feature_policy(), FeaturePolicy::Flexible);
        let statistics = model.statistics.expect("has statistics");
        let y = y.unwrap_or_else(|| statistics.features[1].median.expect("a median"));
        let answer = predict(&mut client, run_id, probe()).await.expect("scores");
        let summary = answer.summary.expect("a summary");
        assert_eq!(summary.missing_features, ["y"]);
        assert_eq!(summary.unknown_features, ["z"]);
        assert_eq!(summary.n_missing_values, Some(2));
        let filled = rows(json!([{"x": 0.5, "y": y}, {"x": 0.1, "y": y}]));
        assert_eq!(answer.scores, scores(&mut client, run_id, filled).await);
        let nothing = refusal(predict(&mut client, run_id, rows(json!([{"z": 1}]))).await);
        assert_eq!(nothing.reason, "SCHEMA_MISMATCH");
    }
    server.stop().await;
}

#[tokio::test]
async fn roles_and_engineering_that_cannot_be_are_refused() {
    let (server, mut client, _folder) = server().await;
    let training = || as_readings(&readings(50, 2, 1));
    let cases: [(&str, TrainRequest); 6] = [
        (
            "target_column",
            TrainRequest {
                target_column: "valeu".to_owned(),
                ..train_request("bad", training())
            },
        ),
        (
            "feature_columns",
            TrainRequest {
                feature_columns: vec!["nothing".to_owned()],
                ..train_request("bad", training())
            },
        ),
        (
            "time_column",
            TrainRequest {
                time_column: "value".to_owned(),
                ..train_request("bad", training())
            },
        ),
        (
            "feature_engineering.lags[1]",
            TrainRequest {
                feature_engineering: Some(FeatureEngineering {
                    lags: vec![1, 20_000],
                    ..Default::default()
                }),
                ..engineered("bad", training())
            },
        ),
        (
            "feature_engineering.columns",
            TrainRequest {
                feature_engineering: Some(FeatureEngineering {
                    columns: vec!["when".to_owned()],
                    ..Default::default()
                }),
                ..engineered("bad", training())
            },
        ),
        (
            "max_one_hot_categories",
            TrainRequest {
                max_one_hot_categories: Some(257),
                ..train_request("bad", training())
            },
        ),
    ];
    for (field, request) in cases {
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field),
            "{refused:?}"
        );
    }
    server.stop().await;
}
