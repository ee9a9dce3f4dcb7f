//! Columns of texts, and columns that appear and disappear.

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::{
    Auto, CategoryEncoding, Columns, DeleteRunRequest, FeaturePolicy, FileContent, FileFormat,
    Gaussian, Imputation, IsolationForest, NumberValues, Records, TrainingSpec, TypedColumn,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::grpc::harness::{
    Client, Server, all_scores, by, end, header, in_form, model_request, normal_rows, part,
    predict, refusal, rows, server, spec, train_as, train_request, trained, update, xy,
};

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
    in_form(Form::File(FileContent {
        content: content.into().into(),
        format: format.into(),
        csv: None,
    }))
}

fn as_csv(purchases: &[(f64, &str)]) -> String {
    let lines = purchases
        .iter()
        .map(|(amount, shop)| format!("{amount},{shop}\n"));
    format!("amount,shop\n{}", lines.collect::<String>())
}

#[tokio::test]
async fn texts_become_the_same_categories_in_every_form() {
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
        let named = |name: &str, values| TypedColumn {
            name: name.to_owned(),
            values: Some(values),
            missing_rows: Vec::new(),
        };
        let amounts = bought.iter().map(|(amount, _)| *amount).collect();
        let shops = bought.iter().map(|(_, shop)| *shop).collect();
        let columns = vec![
            named("amount", Values::Numbers(NumberValues { values: amounts })),
            named("shop", Values::Texts(shops)),
        ];
        in_form(Form::Columns(Columns { columns }))
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
        answers.push(all_scores(&mut client, name, probes).await);
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

    // postal codes are texts if they were texts at training
    let codes = file("zip,x\nA1,1\nB2,2\nA1,3\n", FileFormat::Csv);
    trained(&mut client, train_request("zip", codes)).await;
    let digits = file("zip,x\n01234,1\n", FileFormat::Csv);
    assert_eq!(all_scores(&mut client, "zip", digits).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_flexible_model_accepts_missing_and_unknown_columns() {
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
        let request = train_as(
            run_id,
            training(),
            TrainingSpec {
                feature_policy: FeaturePolicy::Flexible.into(),
                imputation: imputation.into(),
                ..TrainingSpec::default()
            },
        );
        let model = trained(&mut client, request).await;
        assert_eq!(spec(&model).feature_policy(), FeaturePolicy::Flexible);
        let statistics = model.statistics.expect("has statistics");
        let y = y.unwrap_or_else(|| statistics.features[1].median.expect("a median"));
        let answer = predict(&mut client, run_id, probe()).await.expect("scores");
        let summary = answer.summary.expect("a summary");
        assert_eq!(summary.missing_features, ["y"]);
        assert_eq!(summary.unknown_features, ["z"]);
        assert_eq!(summary.n_missing_values, Some(2));
        let filled = rows(json!([{"x": 0.5, "y": y}, {"x": 0.1, "y": y}]));
        assert_eq!(answer.scores, all_scores(&mut client, run_id, filled).await);
        let nothing = refusal(predict(&mut client, run_id, rows(json!([{"z": 1}]))).await);
        assert_eq!(nothing.reason, "SCHEMA_MISMATCH");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_adaptive_model_remembers_unknown_features_and_an_update_adopts_them() {
    let (server, mut client, folder) = server().await;
    let row = |point: &[f64], shift: f64| json!({"x": point[0], "y": point[1] + shift});
    let table = |seed: u64, shift: f64| {
        let points = normal_rows(400, seed);
        rows(Value::Array(
            points.chunks(2).map(|point| row(point, shift)).collect(),
        ))
    };
    for (name, detector) in [
        (
            "isolation_forest",
            Detector::IsolationForest(IsolationForest::default()),
        ),
        ("gaussian", Detector::Gaussian(Gaussian::default())),
        ("auto", Detector::Auto(Auto::default())),
    ] {
        let request = train_as(
            name,
            table(1, 0.0),
            TrainingSpec {
                feature_policy: FeaturePolicy::Adaptive.into(),
                ..by(detector)
            },
        );
        trained(&mut client, request).await;
        let with_z = |z: Value| rows(json!([{"x": 0.1, "y": 0.2, "z": z, "shop": "kiosk"}]));
        for z in [json!(4.0), json!(6.0), json!(null)] {
            all_scores(&mut client, name, with_z(z)).await;
        }
        let get = model_request(name);
        let described = client
            .get_model(get.clone())
            .await
            .expect("there")
            .into_inner();
        let [shop, z] = &described.unknown_features[..] else {
            panic!("two features: {described:?}");
        };
        assert_eq!(
            (shop.name.as_str(), shop.n_rows, shop.mean),
            ("shop", 3, None)
        );
        assert_eq!((z.name.as_str(), z.n_rows, z.n_missing), ("z", 3, Some(1)));
        assert_eq!((z.mean, z.min, z.max), (Some(5.0), Some(4.0), Some(6.0)));
        let seconds = |time: Option<prost_types::Timestamp>| time.map(|time| time.seconds);
        assert!(seconds(z.first_seen_time) > Some(1_700_000_000));
        assert!(seconds(z.last_seen_time) >= seconds(z.first_seen_time));

        let points = normal_rows(300, 2);
        let new = points
            .chunks(2)
            .map(|p| json!({"x": p[0], "y": p[1], "z": p[0] + 5.0, "shop": "kiosk"}));
        let model = update(&mut client, name, rows(Value::Array(new.collect())))
            .await
            .expect("updates");
        assert_eq!(model.feature_names, ["x", "y", "shop", "z"], "{name}");
        assert_eq!((model.version, model.n_rows), (2, 700));
        let described = client.get_model(get).await.expect("there").into_inner();
        assert!(described.unknown_features.is_empty(), "they are known now");
        let probe = |z: f64| json!({"x": 0.1, "y": 0.2, "z": z, "shop": "kiosk"});
        let scores = all_scores(&mut client, name, rows(json!([probe(5.1), probe(90.0)]))).await;
        assert!(scores[1] > scores[0], "{name}: {scores:?}");
        // the next update starts from there
        let model = update(&mut client, name, with_z(json!(5.0)))
            .await
            .expect("updates");
        assert_eq!((model.version, model.n_rows), (3, 701));
    }
    all_scores(
        &mut client,
        "auto",
        rows(json!([{"x": 1, "y": 1, "z": 1, "shop": "a", "w": 7}])),
    )
    .await;
    server.stop().await;

    // what was remembered survives a restart and is deleted with its run
    let server = Server::start(folder.path()).await;
    let mut client = server.client("alice").await;
    let get = model_request("auto");
    let described = client
        .get_model(get.clone())
        .await
        .expect("there")
        .into_inner();
    let names: Vec<_> = described
        .unknown_features
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(names, ["w"]);
    let delete = DeleteRunRequest {
        run_id: "auto".to_owned(),
    };
    client.delete_run(delete).await.expect("deletes");
    let request = train_as(
        "auto",
        table(3, 0.0),
        TrainingSpec {
            feature_policy: FeaturePolicy::Adaptive.into(),
            ..TrainingSpec::default()
        },
    );
    trained(&mut client, request).await;
    let described = client.get_model(get).await.expect("there").into_inner();
    assert!(described.unknown_features.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn unknown_features_found_after_a_deletion_are_not_remembered_for_the_next_run() {
    let (server, mut client, _folder) = server().await;
    let request = || {
        train_as(
            "run",
            xy(normal_rows(300, 1)),
            TrainingSpec {
                feature_policy: FeaturePolicy::Adaptive.into(),
                ..TrainingSpec::default()
            },
        )
    };
    trained(&mut client, request()).await;
    let (messages, stream) = tokio::sync::mpsc::channel(4);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let answer = tokio::spawn({
        let mut client = client.clone();
        async move { client.predict_stream(stream).await }
    });
    let with_z = || part(Part::Records(rows(json!([{"x": 0.1, "y": 0.2, "z": 4}]))));
    for message in [part(Part::Header(header("run"))), with_z()] {
        messages.send(message).await.expect("open");
    }
    let unknown = async |client: &mut Client| {
        let get = model_request("run");
        let described = client.get_model(get).await.expect("there").into_inner();
        described.unknown_features.len()
    };
    while unknown(&mut client).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let delete = DeleteRunRequest {
        run_id: "run".to_owned(),
    };
    client.delete_run(delete).await.expect("deletes");
    trained(&mut client, request()).await;
    for message in [with_z(), end(Some(2))] {
        messages.send(message).await.expect("open");
    }
    drop(messages);
    let answer = answer.await.expect("joined").expect("the stream goes on");
    let predictions = answer.into_inner().predictions.expect("answered");
    let summary = predictions.summary.expect("summed up");
    assert_eq!(summary.n_rows, Some(2));
    assert_eq!(unknown(&mut client).await, 0);
    server.stop().await;
}
