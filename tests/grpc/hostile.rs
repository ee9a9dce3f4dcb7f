//! Bad input gets a clear error that names the place; nothing is stored or lost, and nothing
//! panics.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    AnswerOptions, FileContent, ListModelsRequest, Matrix, PredictRequest, PredictStreamHeader,
    Records,
};
use serde_json::json;
use tonic::Code;

use crate::grpc::harness::{
    Client, get_model, header, in_form, matrix, predict, predict_request, refusal, rows, server,
    stream, streamed, table, train, train_request, xy,
};

fn raw(names: &[&str], n_columns: u32, values: &[f64], bytes: &'static [u8]) -> Records {
    in_form(Form::Matrix(Matrix {
        feature_names: names.iter().map(|&name| name.to_owned()).collect(),
        n_columns,
        values: values.to_vec(),
        values_f64le: bytes.into(),
        ..Matrix::default()
    }))
}

/// A matrix of two columns that states its number of rows.
fn of_rows(n_rows: Option<u64>, values: &[f64], floats: &'static [u8]) -> Records {
    in_form(Form::Matrix(Matrix {
        n_columns: 2,
        n_rows,
        values: values.to_vec(),
        values_f32le: floats.into(),
        ..Matrix::default()
    }))
}

fn csv(content: &'static [u8]) -> Records {
    in_form(Form::File(FileContent {
        content: content.into(),
        format: 0,
        csv: None,
    }))
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[tokio::test]
async fn bad_training_records_are_refused_and_nothing_is_stored() {
    let (server, mut client, folder) = server().await;
    let cases: Vec<(&str, Records, &str, &str, &str)> = vec![
        (
            "no form",
            Records::default(),
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
            "mixed the other way",
            rows(json!([{"x": 3}, [1, 2]])),
            "INVALID_RECORDS",
            "records.rows[1]",
            "not an object",
        ),
        (
            "empty table",
            table(json!({})),
            "INVALID_RECORDS",
            "records.table",
            "no columns",
        ),
        (
            "table without rows",
            table(json!({"x": [], "y": []})),
            "INVALID_RECORDS",
            "records.table",
            "no rows",
        ),
        (
            "no column",
            table(json!({"x": [1, 2], "y": 3})),
            "INVALID_RECORDS",
            "records.table.y",
            "not an array",
        ),
        (
            "columns of unequal length",
            table(json!({"x": [1, 2], "y": [3, 4, 5]})),
            "INVALID_RECORDS",
            "records.table.y",
            "column \"y\" has 3 values, and column \"x\" has 2",
        ),
        (
            "text in a table",
            table(json!({"x": [1, 2, "a shop"]})),
            "TEXT_VALUE",
            "records.table.x[2]",
            "\"a shop\" is text",
        ),
        (
            "nested table",
            table(json!({"x": [1, [2]]})),
            "TEXT_VALUE",
            "records.table.x[1]",
            "an array",
        ),
        (
            "fewer rows than said",
            of_rows(Some(3), &[1.0, 2.0, 3.0, 4.0], b""),
            "INVALID_RECORDS",
            "records.matrix.n_rows",
            "n_rows is 3",
        ),
        (
            "more rows than said",
            of_rows(Some(1), &[1.0, 2.0, 3.0, 4.0], b""),
            "INVALID_RECORDS",
            "records.matrix.n_rows",
            "n_rows is 1",
        ),
        (
            "rows without end",
            of_rows(Some(u64::MAX), &[1.0, 2.0], b""),
            "INVALID_RECORDS",
            "records.matrix.n_rows",
            "18446744073709551615",
        ),
        (
            "floats that are too few",
            of_rows(Some(2), &[], &[0; 8]),
            "INVALID_RECORDS",
            "records.matrix.n_rows",
            "values_f32le has 2 values",
        ),
        (
            "half a float",
            of_rows(None, &[], &[0; 9]),
            "INVALID_RECORDS",
            "records.matrix.values_f32le",
            "9 bytes",
        ),
        (
            "values and floats",
            of_rows(None, &[1.0, 2.0], &[0; 8]),
            "INVALID_RECORDS",
            "records.matrix.values_f32le",
            "values and values_f32le exclude each other",
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
            "records.matrix.feature_names[1]",
            "columns 0 and 1 are both named \"x\"",
        ),
        (
            "empty name",
            matrix(&["x", ""], vec![1.0; 4]),
            "INVALID_RECORDS",
            "records.matrix.feature_names[1]",
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
            "records.matrix.feature_names[2]",
            "unknown feature \"z\"",
        ),
        (
            matrix(&["x", "Y"], vec![1.0; 2]),
            "records.matrix.feature_names[1]",
            "missing feature \"y\" (given: \"Y\"); unknown feature \"Y\" (nearest known: \"y\")",
        ),
        (
            matrix(&["x", "x"], vec![1.0; 2]),
            "records.matrix.feature_names[1]",
            "both named",
        ),
        (
            raw(&[], 3, &[1.0; 3], b""),
            "records",
            "3 values, the model has 2 features",
        ),
        (
            rows(json!([{"x": 1, "y": 1}, {"x": 1}])),
            "records.rows[1]",
            "row 1: no value is given for \"y\"; give null",
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
    for (options, field) in [
        (options(|o| o.detail = 9), "answer.detail"),
        (options(|o| o.rows = 9), "answer.rows"),
        (
            options(|o| o.max_bytes = Some((128 << 10) - 1)),
            "answer.max_bytes",
        ),
        (
            options(|o| o.max_bytes = Some((64 << 20) + 1)),
            "answer.max_bytes",
        ),
    ] {
        let request = PredictRequest {
            answer: Some(options),
            ..predict_request("strict", xy(vec![1.0, 2.0]))
        };
        assert_eq!(refusal(client.predict(request).await).field, field);
        let header = PredictStreamHeader {
            answer: Some(options),
            ..header("strict")
        };
        let refused = refusal(streamed(&mut client, stream(header, [])).await);
        assert_eq!(refused.field, format!("header.{field}"));
    }
    assert_eq!(
        refusal(predict(&mut client, "", xy(vec![1.0, 2.0])).await).field,
        "run_id"
    );
    server.stop().await;
}

fn options(change: fn(&mut AnswerOptions)) -> AnswerOptions {
    let mut options = AnswerOptions::default();
    change(&mut options);
    options
}

/// Checks that there is no run and no file.
pub(crate) async fn nothing_is_stored(client: &mut Client, folder: &std::path::Path) {
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
