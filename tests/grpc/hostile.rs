//! Bad input gets a clear answer that names the place; nothing is stored, nothing is lost, nothing panics.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::train_request::Detector;
use anomalyd::proto::v1::{
    Baseline, File, Gaussian, IsolationForest, ListModelsRequest, Matrix, PredictRequest, Records,
    TrainRequest, ZScore,
};
use serde_json::json;
use tonic::Code;

use crate::harness::{
    Client, get_model, matrix, normal_rows, predict, refusal, rows, server, train, train_request,
    xy,
};

fn raw(names: &[&str], n_columns: u32, values: &[f64], bytes: &'static [u8]) -> Records {
    Records {
        form: Some(Form::Matrix(Matrix {
            feature_names: names.iter().map(|&name| name.to_owned()).collect(),
            n_columns,
            values: values.to_vec(),
            values_f64le: bytes.into(),
            labels: Vec::new(),
        })),
    }
}

fn csv(content: &'static [u8]) -> Records {
    Records {
        form: Some(Form::File(File {
            content: content.into(),
            format: 0,
            csv: None,
        })),
    }
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[tokio::test]
async fn records_that_cannot_be_learned_from_are_refused_and_nothing_is_stored() {
    let (server, mut client, folder) = server().await;
    let cases: Vec<(&str, Records, &str, &str, &str)> = vec![
        (
            "no form",
            Records { form: None },
            "INVALID_FIELD",
            "records",
            "missing",
        ),
        (
            "no rows",
            rows(json!([])),
            "INVALID_RECORDS",
            "records.rows",
            "no rows",
        ),
        (
            "empty matrix",
            raw(&["x"], 0, &[], b""),
            "INVALID_RECORDS",
            "records.matrix",
            "no rows",
        ),
        (
            "no columns",
            raw(&[], 0, &[1.0], b""),
            "INVALID_RECORDS",
            "records.matrix.n_columns",
            "n_columns is needed",
        ),
        (
            "columns disagree",
            raw(&["x"], 2, &[1.0, 2.0], b""),
            "INVALID_RECORDS",
            "records.matrix.n_columns",
            "1 feature_names",
        ),
        (
            "both values",
            raw(&["x"], 0, &[1.0], &[0; 8]),
            "INVALID_RECORDS",
            "records.matrix.values_f64le",
            "exclude",
        ),
        (
            "not divisible",
            raw(&["x", "y"], 0, &[1.0, 2.0, 3.0], b""),
            "INVALID_RECORDS",
            "records.matrix",
            "3 values do not divide",
        ),
        (
            "bytes not divisible",
            raw(&["x"], 0, &[], &[0; 9]),
            "INVALID_RECORDS",
            "records.matrix.values_f64le",
            "9 bytes",
        ),
        (
            "ragged arrays",
            rows(json!([[1, 2], [3]])),
            "INVALID_RECORDS",
            "records.rows[1]",
            "1 values",
        ),
        (
            "mixed rows",
            rows(json!([[1, 2], {"x": 3}])),
            "INVALID_RECORDS",
            "records.rows[1]",
            "not an array",
        ),
        (
            "text",
            rows(json!([{"x": 1}, {"x": "a shop"}])),
            "TEXT_VALUE",
            "records.rows[1].x",
            "\"a shop\"",
        ),
        (
            "numeric text",
            rows(json!([["12"], [13]])),
            "TEXT_VALUE",
            "records.rows[1][0]",
            "13 is a number, and the rows before have text",
        ),
        (
            "nested",
            rows(json!([{"x": {"y": 1}}])),
            "TEXT_VALUE",
            "records.rows[0].x",
            "an object",
        ),
        (
            "one row",
            xy(vec![1.0, 2.0]),
            "UNUSABLE_ROWS",
            "records",
            "at least 2 rows, got 1",
        ),
        (
            "all missing",
            xy(vec![1.0, NAN, 2.0, INF, 3.0, -INF]),
            "UNUSABLE_ROWS",
            "records",
            "\"y\"",
        ),
        (
            "duplicate names",
            matrix(&["x", "x"], vec![1.0; 4]),
            "INVALID_RECORDS",
            "records",
            "columns 0 and 1 are both named \"x\"",
        ),
        (
            "empty name",
            matrix(&["x", ""], vec![1.0; 4]),
            "INVALID_RECORDS",
            "records",
            "column 1 has an empty name",
        ),
        (
            "csv: broken quote",
            csv(b"x,y\n1,2\n3,\"4\n"),
            "INVALID_RECORDS",
            "records.file",
            "line 3: a quote",
        ),
        (
            "csv: column count",
            csv(b"x,y\n1,2\n3\n"),
            "INVALID_RECORDS",
            "records.file",
            "line 3: 1 cell",
        ),
        (
            "csv: not utf-8",
            csv(b"x,y\n1,2\n3,\xff\n"),
            "INVALID_RECORDS",
            "records.file",
            "line 3, column \"y\"",
        ),
        (
            "csv: text",
            csv(b"x,y\n1,2\n3,shop\n"),
            "TEXT_VALUE",
            "records.file",
            "line 3, column \"y\": \"shop\"",
        ),
        (
            "csv: empty",
            csv(b""),
            "INVALID_RECORDS",
            "records.file",
            "first line",
        ),
        (
            "csv: header only",
            csv(b"x,y\n"),
            "INVALID_RECORDS",
            "records.file",
            "no rows",
        ),
    ];
    for (what, records, reason, field, message) in cases {
        let refused = refusal(client.train(train_request("bad", records)).await);
        assert_eq!(refused.code, Code::InvalidArgument, "{what}: {refused:?}");
        assert_eq!(
            (refused.reason.as_str(), refused.field.as_str()),
            (reason, field),
            "{what}: {refused:?}"
        );
        assert!(refused.message.contains(message), "{what}: {refused:?}");
    }
    nothing_is_stored(&mut client, folder.path()).await;
    server.stop().await;
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_and_named() {
    let (server, mut client, folder) = server().await;
    let forest = |change: fn(&mut IsolationForest)| {
        let mut forest = IsolationForest::default();
        change(&mut forest);
        Detector::IsolationForest(forest)
    };
    let baseline = |feature: &str, mean, std| Baseline {
        feature: feature.to_owned(),
        mean,
        std,
    };
    let baselines = |baselines| {
        Detector::ZScore(ZScore {
            multiplier: None,
            baselines,
        })
    };
    let cases: Vec<(Detector, &str)> = vec![
        (
            forest(|f| f.n_estimators = Some(0)),
            "isolation_forest.n_estimators",
        ),
        (
            forest(|f| f.n_estimators = Some(10_001)),
            "isolation_forest.n_estimators",
        ),
        (
            forest(|f| f.max_samples = Some(0.0)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_samples = Some(1.5)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_samples = Some(NAN)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_features = Some(3.0)),
            "isolation_forest.max_features",
        ),
        (
            forest(|f| f.max_features = Some(-1.0)),
            "isolation_forest.max_features",
        ),
        (forest(|f| f.ndim = Some(0)), "isolation_forest.ndim"),
        (forest(|f| f.ndim = Some(3)), "isolation_forest.ndim"),
        (
            Detector::Gaussian(Gaussian { ridge: Some(-0.1) }),
            "gaussian.ridge",
        ),
        (
            Detector::Gaussian(Gaussian { ridge: Some(NAN) }),
            "gaussian.ridge",
        ),
        (
            Detector::ZScore(ZScore {
                multiplier: Some(0.0),
                baselines: vec![],
            }),
            "z_score.multiplier",
        ),
        (
            Detector::ZScore(ZScore {
                multiplier: Some(INF),
                baselines: vec![],
            }),
            "z_score.multiplier",
        ),
        (
            baselines(vec![baseline("x", None, Some(1.0))]),
            "z_score.baselines[0].mean",
        ),
        (
            baselines(vec![baseline("x", Some(0.0), Some(0.0))]),
            "z_score.baselines[0].std",
        ),
        (
            baselines(vec![baseline("", Some(0.0), Some(1.0))]),
            "z_score.baselines[0].feature",
        ),
        (
            baselines(vec![
                baseline("x", Some(0.0), Some(1.0)),
                baseline("x", Some(0.0), Some(1.0)),
            ]),
            "z_score.baselines[1].feature",
        ),
    ];
    for (detector, field) in cases {
        let request = TrainRequest {
            detector: Some(detector),
            ..train_request("bad", xy(normal_rows(20, 1)))
        };
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field),
            "{refused:?}"
        );
    }
    for contamination in [0.0, -0.1, 0.51, 1.0, NAN, INF] {
        let request = TrainRequest {
            contamination: Some(contamination),
            ..train_request("bad", xy(normal_rows(20, 1)))
        };
        assert_eq!(refusal(client.train(request).await).field, "contamination");
    }
    for (change, field) in [
        (
            (|r| r.threshold = Some(NAN)) as fn(&mut TrainRequest),
            "threshold",
        ),
        (|r| r.scaler = 9, "scaler"),
        (|r| r.label_column = "z".to_owned(), "label_column"),
        (|r| r.run_id = String::new(), "run_id"),
        (|r| r.run_id = "x".repeat(129), "run_id"),
        (|r| r.run_id = "a\nb".to_owned(), "run_id"),
        (|r| r.request_id = "x".repeat(129), "request_id"),
    ] {
        let mut request = train_request("bad", xy(normal_rows(20, 1)));
        change(&mut request);
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field),
            "{refused:?}"
        );
    }
    nothing_is_stored(&mut client, folder.path()).await;
    server.stop().await;
}

#[tokio::test]
async fn rows_that_do_not_fit_the_schema_are_refused() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "strict").await;
    for (records, field, message) in [
        (
            matrix(&["x"], vec![1.0]),
            "records",
            "missing feature \"y\"",
        ),
        (
            matrix(&["x", "y", "z"], vec![1.0; 3]),
            "records",
            "unknown feature \"z\"",
        ),
        (
            matrix(&["x", "Y"], vec![1.0; 2]),
            "records",
            "missing feature \"y\" (given: \"Y\"); unknown feature \"Y\" (nearest known: \"y\")",
        ),
        (matrix(&["x", "x"], vec![1.0; 2]), "records", "both named"),
        (
            raw(&[], 3, &[1.0; 3], b""),
            "records",
            "3 values, the model has 2 features",
        ),
        (
            rows(json!([{"x": 1, "y": 1}, {"x": 1}])),
            "records.rows[1]",
            "row 1 has no value for \"y\"; give null",
        ),
    ] {
        let refused = refusal(predict(&mut client, "strict", records).await);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (
                Code::InvalidArgument,
                if message == "both named" {
                    "INVALID_RECORDS"
                } else {
                    "SCHEMA_MISMATCH"
                }
            ),
            "{refused:?}"
        );
        assert!(
            refused.field == field && refused.message.contains(message),
            "{refused:?}"
        );
    }
    let request = PredictRequest {
        run_id: "strict".to_owned(),
        records: Some(xy(vec![1.0, 2.0])),
        detail: 9,
        version: 0,
    };
    assert_eq!(refusal(client.predict(request).await).field, "detail");
    assert_eq!(
        refusal(predict(&mut client, "", xy(vec![1.0, 2.0])).await).field,
        "run_id"
    );
    server.stop().await;
}

async fn nothing_is_stored(client: &mut Client, folder: &std::path::Path) {
    let listed = client
        .list_models(ListModelsRequest::default())
        .await
        .expect("lists")
        .into_inner();
    assert!(listed.models.is_empty());
    assert_eq!(refusal(get_model(client, "bad").await).code, Code::NotFound);
    assert_eq!(
        std::fs::read_dir(folder.join("blobs"))
            .expect("is there")
            .count(),
        0
    );
}
