//! The memory of requests is bounded by the options, whatever form their rows come in.

use std::io::Write as _;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Columns, FileContent, Matrix, NumberValues, PredictRequest, Records,
    TypedColumn,
};
use serde_json::json;
use tonic::Code;

use crate::grpc::harness::{
    Client, Server, header, in_form, matrix, normal_rows, predict, predict_request, refusal, rows,
    stream, streamed, table, train_request, trained, xy,
};

const MIB: usize = 1 << 20;

/// A server with so little memory for requests, a client of it, and a run of the features `x` and `y`.
async fn server(request_memory: &str) -> (Server, Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.max_message_bytes = Some("1MiB".to_owned());
        flags.request_memory_bytes = Some(request_memory.to_owned());
    })
    .await;
    let mut client = server.client("alice").await;
    trained(&mut client, train_request("run", xy(normal_rows(100, 1)))).await;
    (server, client, folder)
}

fn summary_of(records: Records) -> PredictRequest {
    PredictRequest {
        answer: Some(AnswerOptions {
            rows: AnswerRows::None.into(),
            ..AnswerOptions::default()
        }),
        ..predict_request("run", records)
    }
}

/// The same rows in every form.
fn forms(values: &[f64]) -> Vec<Records> {
    let pairs = || values.chunks(2);
    let column = |first: usize| values.iter().skip(first).step_by(2).copied().collect();
    let typed = |name: &str, first| TypedColumn {
        name: name.to_owned(),
        values: Some(Values::Numbers(NumberValues {
            values: column(first),
        })),
        missing_rows: Vec::new(),
    };
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = (column(0), column(1));
    let lines = pairs().map(|row| format!("{},{}\n", row[0], row[1]));
    let csv: String = std::iter::once("x,y\n".to_owned()).chain(lines).collect();
    vec![
        rows(
            pairs()
                .map(|row| json!({"x": row[0], "y": row[1]}))
                .collect(),
        ),
        rows(pairs().map(|row| json!([row[0], row[1]])).collect()),
        table(json!({"x": x, "y": y})),
        xy(values.to_vec()),
        in_form(Form::Matrix(Matrix {
            feature_names: vec!["x".to_owned(), "y".to_owned()],
            values_f64le: bytes.into(),
            ..Matrix::default()
        })),
        in_form(Form::Columns(Columns {
            columns: vec![typed("x", 0), typed("y", 1)],
        })),
        in_form(Form::File(FileContent {
            content: csv.into(),
            ..FileContent::default()
        })),
    ]
}

#[tokio::test]
async fn memory_is_given_back_after_every_request_in_every_form() {
    let (server, mut client, _folder) = server("4MiB").await;
    // ten requests of each form would never fit together
    let values = normal_rows(10_000, 2);
    for (form, records) in forms(&values).into_iter().enumerate() {
        for _ in 0..10 {
            let answer = client.predict(summary_of(records.clone())).await;
            let answer = answer.unwrap_or_else(|status| panic!("form {form}: {status}"));
            let summary = answer.into_inner().predictions.expect("given").summary;
            assert_eq!(summary.expect("given").n_rows, Some(10_000));
        }
        let parts = vec![records; 10];
        let streamed = streamed(&mut client, stream(header("run"), parts)).await;
        let summary = streamed.expect("streams").summary.expect("given");
        assert_eq!(summary.n_rows, Some(100_000), "form {form}");
    }
    // failures give it back, too
    let mixed: Vec<_> = (0..20_000)
        .map(|i| json!({"x": i, "y": if i < 19_999 { json!(1) } else { json!("a") }}))
        .collect();
    let mixed = rows(json!(mixed));
    for _ in 0..10 {
        let refused = refusal(predict(&mut client, "run", mixed.clone()).await);
        assert_eq!(refused.reason, "TEXT_VALUE");
        let training = client.train(train_request("other", mixed.clone())).await;
        let refused = refusal(training);
        assert_eq!(refused.reason, "TEXT_VALUE");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_takes_more_than_all_memory_is_refused_and_names_the_option() {
    let (server, mut client, _folder) = server("4MiB").await;
    // few bytes, but a table of 1500 rows and columns
    let sparse: Vec<_> = (0..1500).map(|i| json!({format!("c{i}"): 1})).collect();
    // a million short lines in a few kilobytes
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"x,y\n").expect("to memory");
    for _ in 0..100 {
        bomb.write_all(&b"1,2\n".repeat(10_000)).expect("to memory");
    }
    let bomb = bomb.finish().expect("to memory");
    assert!(bomb.len() < MIB / 4);
    let commas = [b"x,y\n".to_vec(), b",\n".repeat(400_000)].concat();
    let file = |content: Vec<u8>| {
        in_form(Form::File(FileContent {
            content: content.into(),
            ..FileContent::default()
        }))
    };
    let columns = vec![TypedColumn::default(); 100_000];
    let cases = [
        ("sparse", rows(json!(sparse))),
        ("bomb", file(bomb)),
        ("commas", file(commas)),
        ("columns", in_form(Form::Columns(Columns { columns }))),
        (
            "ids",
            Records {
                row_ids: vec![String::new(); 300_000],
                ..matrix(&["x", "y"], vec![1.0, 2.0])
            },
        ),
    ];
    for (case, records) in cases {
        for _ in 0..3 {
            let refused = refusal(predict(&mut client, "run", records.clone()).await);
            assert_eq!(refused.code, Code::ResourceExhausted, "{case}");
            assert_eq!(refused.reason, "MESSAGE_TOO_LARGE", "{case}");
            assert!(
                refused.message.contains("request_memory_bytes"),
                "{case}: {}",
                refused.message
            );
        }
    }
    // the server is as before
    let answer = predict(&mut client, "run", xy(normal_rows(10, 3))).await;
    assert_eq!(answer.expect("predicts").scores.len(), 10);
    server.stop().await;
}
