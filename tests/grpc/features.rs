//! Columns of texts, and columns that come and go.

use anomalyd::proto::v1::named_column::Values;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    CategoryEncoding, Columns, FeaturePolicy, File, FileFormat, Imputation, NamedColumn, Numbers,
    Records, Texts, TrainRequest,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{
    all_scores, normal_rows, predict, refusal, rows, server, train_request, trained,
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

    // postal codes are texts where they were so at training
    let codes = file("zip,x\nA1,1\nB2,2\nA1,3\n", FileFormat::Csv);
    trained(&mut client, train_request("zip", codes)).await;
    let digits = file("zip,x\n01234,1\n", FileFormat::Csv);
    assert_eq!(all_scores(&mut client, "zip", digits).await.len(), 1);
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
        assert_eq!(answer.scores, all_scores(&mut client, run_id, filled).await);
        let nothing = refusal(predict(&mut client, run_id, rows(json!([{"z": 1}]))).await);
        assert_eq!(nothing.reason, "SCHEMA_MISMATCH");
    }
    server.stop().await;
}
