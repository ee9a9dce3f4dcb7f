//! The metrics of the server, as a scraper sees them.

use std::net::SocketAddr;

use anomalyd::proto::v1::{FeaturePolicy, TrainingSpec};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::grpc::harness::{
    Server, header, normal_rows, predict, refusal, rows, stream, streamed, train_as, trained, xy,
};

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

/// The value of a counter.
pub(crate) async fn counter(address: SocketAddr, name: &str) -> u64 {
    let answer = get(address, "/metrics").await;
    let mut lines = answer.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name}: {answer}"))
}

#[tokio::test]
async fn predictions_are_counted_with_what_was_missing_and_unknown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.metrics_listen = Some("127.0.0.1:0".to_owned());
    })
    .await;
    let address = server.metrics.expect("metrics are served");
    let mut client = server.client("alice").await;
    let request = train_as(
        "run",
        xy(normal_rows(300, 1)),
        TrainingSpec {
            feature_policy: FeaturePolicy::Flexible.into(),
            ..TrainingSpec::default()
        },
    );
    trained(&mut client, request).await;
    let odd = || rows(json!([{"x": 0.1, "z": 1}, {"x": 1e9, "z": 2}]));
    predict(&mut client, "run", odd()).await.expect("predicts");
    let messages = stream(header("run"), [odd(), odd()]);
    streamed(&mut client, messages).await.expect("predicts");
    // failed requests are not counted
    refusal(predict(&mut client, "none", xy(vec![1.0, 2.0])).await);

    let answer = get(address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/openmetrics-text"));
    for line in [
        "anomalyd_predictions_total 2",
        "anomalyd_rows_scored_total 6",
        "anomalyd_missing_values_total 6",
        "anomalyd_missing_features_total 2",
        "anomalyd_unknown_features_total 2",
    ] {
        assert!(
            answer.lines().any(|other| other == line),
            "{line}: {answer}"
        );
    }
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    server.stop().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it stops with the server"
    );
}
