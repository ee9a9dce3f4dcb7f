//! PredictStream: the order of its messages, its bounds, and clients that vanish.

use std::time::Duration;

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, PredictStreamHeader, PredictStreamRequest,
};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::grpc::harness::{
    end, get_model, header, normal_rows, part, refusal, rows, server, stream, streamed, train, xy,
};

/// The smallest allowed limit of an answer.
const FEW: u64 = 128 << 10;

#[tokio::test]
async fn lists_are_bounded_and_the_answer_says_if_they_were_cut() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "stream").await;
    let header = |rows: AnswerRows, detail: Detail, max_bytes| PredictStreamHeader {
        answer: Some(AnswerOptions {
            rows: rows.into(),
            detail: detail.into(),
            max_bytes: Some(max_bytes),
        }),
        ..header("stream")
    };
    // ordinary rows, and rows that are all anomalies
    let records = |shift: f64| {
        let mut rows = normal_rows(10_000, 2);
        rows.iter_mut().for_each(|value| *value += shift);
        rows.chunks(2000)
            .map(|rows| xy(rows.to_vec()))
            .collect::<Vec<_>>()
    };
    use AnswerRows::{All, Anomalies, None as Nothing};
    for (rows, detail, shift, max_bytes, truncated) in [
        (All, Detail::Score, 0.0, 1 << 20, false),
        (All, Detail::Full, 0.0, 1 << 20, false),
        (All, Detail::Full, 0.0, FEW, true),
        (Anomalies, Detail::Score, 0.0, FEW, false),
        (Anomalies, Detail::Score, 50.0, FEW, true),
        (Anomalies, Detail::Full, 0.0, FEW, false),
        (Anomalies, Detail::Full, 50.0, FEW, true),
        (Nothing, Detail::Full, 50.0, FEW, false),
    ] {
        let what = format!("{rows:?} {detail:?} {shift} {max_bytes}");
        let messages = stream(header(rows, detail, max_bytes), records(shift));
        let answer = streamed(&mut client, messages).await.expect("streams");
        assert_eq!(answer.truncated, Some(truncated), "{what}");
        let n_bytes = answer.encoded_len() as u64;
        assert!(n_bytes <= max_bytes, "{what}: {n_bytes}");
        let summary = answer.summary.expect("has a summary");
        assert_eq!(summary.n_rows, Some(10_000), "the summary is of all rows");
        let n_anomalies = summary.n_anomalies.expect("counted");
        assert!(n_anomalies > 1, "{what}");
        assert_eq!(n_anomalies == 10_000, shift > 0.0, "{what}");
        let n_listed = (answer.scores.len() + answer.rows.len()) as u64;
        match (truncated, rows) {
            (true, _) => {
                assert!(n_bytes > max_bytes - (70 << 10), "{what}: {n_bytes}");
                let rows = answer.rows.iter().flat_map(|row| row.row);
                let listed: Vec<u64> = answer.row_indices.iter().copied().chain(rows).collect();
                assert_eq!(
                    listed,
                    (0..n_listed).collect::<Vec<_>>(),
                    "{what}: no holes"
                );
            }
            (false, All) => assert_eq!(n_listed, 10_000, "{what}"),
            (false, Anomalies) => assert_eq!(n_listed, n_anomalies, "{what}"),
            (false, _) => assert_eq!(n_listed, 0, "{what}"),
        }
    }
    // scores of all rows are not cut but refused before scoring
    let messages = stream(header(All, Detail::Score, FEW), records(0.0));
    let refused = refusal(streamed(&mut client, messages).await);
    assert_eq!(
        (refused.reason.as_str(), refused.field.as_str()),
        ("ANSWER_TOO_LARGE", "header.answer.max_bytes")
    );
    assert!(refused.message.contains("8000 rows"), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn messages_out_of_order_are_refused() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "stream").await;
    let start = || part(Part::Header(header("stream")));
    let some = || part(Part::Records(xy(normal_rows(3, 1))));
    let nothing = PredictStreamRequest { part: None };
    for (what, messages) in [
        ("empty", vec![]),
        ("no header", vec![some(), end(None)]),
        ("no end", vec![start(), some()]),
        ("two headers", vec![start(), start(), end(None)]),
        ("no part", vec![start(), nothing, end(None)]),
        ("after the end", vec![start(), some(), end(None), some()]),
        ("wrong count", vec![start(), some(), end(Some(4))]),
    ] {
        let refused = refusal(client.predict_stream(tokio_stream::iter(messages)).await);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::InvalidArgument, "INVALID_STREAM"),
            "{what}"
        );
    }
    let bad_rows = rows(serde_json::json!([{"x": 1, "y": "two"}]));
    let messages = vec![start(), some(), part(Part::Records(bad_rows)), end(None)];
    let refused = refusal(client.predict_stream(tokio_stream::iter(messages)).await);
    assert_eq!(
        (refused.reason.as_str(), refused.field.as_str()),
        ("TEXT_VALUE", "records.rows[0].y")
    );
    assert!(
        refused.message.starts_with(
            "row 3, column \"y\": feature \"y\" held numbers at training, and this is \"two\""
        ),
        "{refused:?}"
    );
    for max_bytes in [0, FEW - 1, (64 << 20) + 1] {
        let header = PredictStreamHeader {
            answer: Some(AnswerOptions {
                max_bytes: Some(max_bytes),
                ..AnswerOptions::default()
            }),
            ..header("stream")
        };
        let refused = refusal(streamed(&mut client, vec![part(Part::Header(header))]).await);
        assert_eq!(refused.field, "header.answer.max_bytes");
    }
    let unknown = client
        .predict_stream(tokio_stream::iter([
            part(Part::Header(header("unknown"))),
            end(None),
        ]))
        .await;
    assert_eq!(refusal(unknown).code, Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn an_empty_stream_with_an_end_has_no_rows() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "stream").await;
    let messages = vec![part(Part::Header(header("stream"))), end(Some(0))];
    let answer = streamed(&mut client, messages).await.expect("streams");
    assert_eq!(answer.summary.expect("has a summary").n_rows, Some(0));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let (server, mut client, folder) = server().await;
    let before = train(&mut client, "stream").await;
    let files = || {
        std::fs::read_dir(folder.path().join("blobs"))
            .expect("is there")
            .count()
    };
    let n_files = files();
    for _ in 0..20 {
        let endless = tokio_stream::iter([part(Part::Header(header("stream")))])
            .chain(tokio_stream::iter(
                (0..).map(|seed| part(Part::Records(xy(normal_rows(100, seed))))),
            ))
            .throttle(Duration::from_millis(1));
        let mut vanishing = client.clone();
        let call = vanishing.predict_stream(endless);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), call)
                .await
                .is_err(),
            "it never ends"
        );
    }
    assert_eq!(
        get_model(&mut client, "stream").await.expect("is there"),
        before
    );
    assert_eq!(files(), n_files);
    server.stop().await;
}
