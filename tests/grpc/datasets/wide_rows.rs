//! Rows whose object takes more bytes than an answer may have.

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, PredictDatasetRequest, PredictRequest, PredictStreamHeader,
    ZScore,
};
use tonic::Code;

use super::{joined, of_dataset, pages, pages_request, server, upload};
use crate::grpc::harness::{
    by, header, matrix, predict_request, predicted, refusal, stream, streamed, train_as, trained,
};

/// The smallest allowed limit of an answer.
const FEW: u64 = 128 << 10;

fn options(rows: AnswerRows, max_bytes: u64) -> Option<AnswerOptions> {
    Some(AnswerOptions {
        rows: rows.into(),
        detail: Detail::Full.into(),
        max_bytes: Some(max_bytes),
    })
}

#[tokio::test]
async fn a_row_that_does_not_fit_on_any_page_is_refused() {
    const WIDE: usize = 20_000;

    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let names: Vec<String> = (0..WIDE).map(|i| format!("c{i}")).collect();
    let row = |value: &str| vec![value; WIDE].join(",");
    let csv = format!(
        "{}\n{}\n{}\n{}\n",
        names.join(","),
        row("1"),
        row("2"),
        row("4")
    );
    upload(&mut datasets, "wide", csv.as_bytes())
        .await
        .expect("uploads");
    let spec = by(Detector::ZScore(ZScore::default()));
    trained(&mut client, train_as("run", of_dataset("wide"), spec)).await;
    let asked = |rows, max_bytes| PredictDatasetRequest {
        answer: options(rows, max_bytes),
        ..pages_request("run", "wide")
    };
    let refused = refusal(pages(&mut client, asked(AnswerRows::All, FEW)).await);
    assert_eq!(
        (
            refused.code,
            refused.reason.as_str(),
            refused.field.as_str()
        ),
        (
            Code::ResourceExhausted,
            "ANSWER_TOO_LARGE",
            "answer.max_bytes"
        )
    );
    let needed = refused.message.split("up to ").nth(1).expect("a size");
    let needed = needed.split(' ').next().expect("a number");
    let needed: u64 = needed.parse().expect("a number");
    let all = pages(&mut client, asked(AnswerRows::All, needed)).await;
    let (all, n_rows, _) = joined(&all.expect("answers"));
    assert_eq!((all.rows.len(), n_rows), (3, 3));

    let rows = || {
        matrix(
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
            vec![1.0; WIDE],
        )
    };
    let one = |max_bytes| PredictRequest {
        answer: options(AnswerRows::All, max_bytes),
        ..predict_request("run", rows())
    };
    assert_eq!(
        refusal(predicted(&mut client, one(FEW)).await).reason,
        "ANSWER_TOO_LARGE"
    );
    assert_eq!(
        predicted(&mut client, one(needed))
            .await
            .expect("answers")
            .rows
            .len(),
        1
    );
    let header = PredictStreamHeader {
        answer: options(AnswerRows::All, FEW),
        ..header("run")
    };
    let refused = refusal(streamed(&mut client, stream(header, [rows()])).await);
    assert_eq!(refused.field, "header.answer.max_bytes");
    // a row that is not listed needs no room
    let anomalies = pages(&mut client, asked(AnswerRows::Anomalies, FEW)).await;
    assert_eq!(joined(&anomalies.expect("answers")).1, 3);
    server.stop().await;
}
