//! PredictStream: the order of its messages, its bounds, and clients that vanish.

use std::time::Duration;

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::{Detail, PredictStreamHeader, PredictStreamRequest};
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::harness::{end, get_model, header, normal_rows, part, refusal, rows, server, train, xy};

#[tokio::test]
async fn results_are_bounded_and_the_answer_says_when_they_were_cut() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "stream").await;
    for (detail, max_results, truncated) in [
        (Detail::Scores, 1000, false),
        (Detail::Scores, 999, true),
        (Detail::Full, 10, true),
        (Detail::Anomalies, 1, true),
        (Detail::Anomalies, 1000, false),
        (Detail::Summary, 1, false),
    ] {
        let header = PredictStreamHeader {
            detail: detail.into(),
            max_results: Some(max_results),
            ..header("stream")
        };
        let mut messages = vec![part(Part::Header(header))];
        messages.extend((0..10).map(|chunk| part(Part::Records(xy(normal_rows(100, chunk))))));
        messages.push(end(None));
        let answer = client
            .predict_stream(tokio_stream::iter(messages))
            .await
            .expect("streams")
            .into_inner();
        let listed = answer.scores.len() + answer.rows.len();
        assert_eq!(
            answer.truncated,
            Some(truncated),
            "{detail:?} {max_results}"
        );
        assert!(listed <= max_results as usize, "{detail:?} {listed}");
        assert_eq!(
            truncated,
            listed == max_results as usize && max_results != 1000,
            "{detail:?} {listed}"
        );
        let summary = answer.summary.expect("has a summary");
        assert_eq!(summary.n_rows, Some(1000), "the summary is of all rows");
        assert!(summary.n_anomalies > Some(1));
    }
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
        ("TEXT_VALUE", "records")
    );
    assert!(
        refused.message.starts_with(
            "in the records from row 3 on: feature \"y\" held numbers at training, and row 0"
        ),
        "{refused:?}"
    );
    for max_results in [0, 1_000_001] {
        let header = PredictStreamHeader {
            max_results: Some(max_results),
            ..header("stream")
        };
        let refused = refusal(
            client
                .predict_stream(tokio_stream::iter([part(Part::Header(header))]))
                .await,
        );
        assert_eq!(refused.field, "header.max_results");
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
async fn an_empty_stream_that_ends_properly_has_no_rows() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "stream").await;
    let messages = tokio_stream::iter([part(Part::Header(header("stream"))), end(Some(0))]);
    let answer = client
        .predict_stream(messages)
        .await
        .expect("streams")
        .into_inner();
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
