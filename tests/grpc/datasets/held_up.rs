//! Clients of PredictDataset that do not read, and clients that leave.

use std::time::Duration;

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::{AnswerOptions, PredictDatasetRequest, PredictDatasetResponse};
use tonic::Streaming;
use tonic::transport::Channel;

use super::{client, pages_request, upload};
use crate::grpc::harness::{
    self, Server, Token, matrix, normal_rows, refusal, train_request, trained,
};
use crate::grpc::metrics;

const ROWS: u64 = 2_000_000;

/// How many datasets may be read at once: 2 GiB in shares of 64 MiB.
const READERS: usize = 32;

/// A client that buffers no more than 64 KiB of an answer.
async fn impatient(server: &Server) -> harness::Client {
    let endpoint = Channel::from_shared(format!("http://{}", server.address));
    let endpoint = endpoint
        .expect("a valid address")
        .initial_stream_window_size(64 << 10);
    let channel = endpoint.connect().await.expect("the server accepts");
    AnomalyServiceClient::with_interceptor(channel, Token::bearer("alice"))
}

/// How many rows the server has scored, once the number no longer grows.
async fn n_scored(server: &Server) -> u64 {
    let address = server.metrics.expect("metrics are served");
    let mut before = 0;
    loop {
        let now = metrics::counter(address, "anomalyd_rows_scored_total").await;
        if now == before && now > 0 {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Begins to read as soon as there is room.
async fn begun(client: &mut harness::Client) -> Streaming<PredictDatasetResponse> {
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match client.predict_dataset(asked()).await {
                Ok(response) => return response.into_inner(),
                outcome => assert_eq!(refusal(outcome).reason, "OVERLOADED"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience.await.expect("there is room at last")
}

fn asked() -> PredictDatasetRequest {
    PredictDatasetRequest {
        answer: Some(AnswerOptions {
            max_bytes: Some(128 << 10),
            ..AnswerOptions::default()
        }),
        ..pages_request("run", "many")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scoring_waits_for_a_client_that_does_not_read_and_ends_when_it_leaves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.metrics_listen = Some("127.0.0.1:0".to_owned());
    })
    .await;
    let mut anomalies = impatient(&server).await;
    let training = matrix(&["x"], normal_rows(200, 1));
    trained(&mut anomalies, train_request("run", training)).await;
    let content: String = (0..ROWS)
        .map(|i| ["1\n", "2\n", "4\n"][i as usize % 3])
        .collect();
    let mut datasets = client(&server, "alice").await;
    let content = format!("x\n{content}");
    upload(&mut datasets, "many", content.as_bytes())
        .await
        .expect("uploads");

    let stream = anomalies.predict_dataset(asked()).await.expect("begins");
    let mut stream = stream.into_inner();
    let held_up = n_scored(&server).await;
    assert!(held_up < ROWS / 4, "{held_up} rows were scored for nobody");
    let mut n_rows = 0;
    while let Some(page) = stream.message().await.expect("a page") {
        n_rows += page
            .predictions
            .map_or(0, |found| found.scores.len() as u64);
    }
    assert_eq!(n_rows, ROWS, "reading lets it go on");
    assert_eq!(n_scored(&server).await, ROWS);

    // each reader has its share of the memory, and gives it back when it leaves
    let mut streams = Vec::new();
    for _ in 0..READERS {
        streams.push(begun(&mut anomalies).await);
    }
    n_scored(&server).await;
    let refused = refusal(anomalies.predict_dataset(asked()).await);
    assert_eq!(refused.reason, "OVERLOADED");
    drop(streams);
    begun(&mut anomalies).await;
    let n = n_scored(&server).await - ROWS;
    assert!(
        n < ROWS * READERS as u64 / 4,
        "{n} rows were scored for nobody"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_for_long_loses_its_stream_and_its_share() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        // a single reader
        flags.dataset_memory_bytes = Some("64MiB".to_owned());
        flags.answer_stall_timeout = Some("1s".to_owned());
    })
    .await;
    let mut anomalies = impatient(&server).await;
    let training = matrix(&["x"], normal_rows(200, 1));
    trained(&mut anomalies, train_request("run", training)).await;
    let content = format!("x\n{}", "1\n2\n4\n".repeat(50_000));
    let mut datasets = client(&server, "alice").await;
    upload(&mut datasets, "many", content.as_bytes())
        .await
        .expect("uploads");

    let mut unread = begun(&mut anomalies).await;
    // it begins once the first has been ended
    let mut read = begun(&mut anomalies).await;
    let mut n_rows = 0;
    while let Some(page) = read.message().await.expect("a page") {
        n_rows += page.predictions.map_or(0, |found| found.scores.len());
    }
    assert_eq!(n_rows, 150_000);
    let outcome = loop {
        match unread.message().await {
            Ok(Some(_)) => {}
            outcome => break outcome,
        }
    };
    outcome.expect_err("its stream was reset");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_inspected_with_a_share_of_the_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        // a single reader
        flags.dataset_memory_bytes = Some("64MiB".to_owned());
    })
    .await;
    let mut anomalies = impatient(&server).await;
    let training = matrix(&["x"], normal_rows(200, 1));
    trained(&mut anomalies, train_request("run", training)).await;
    let content = format!("x\n{}", "1\n2\n4\n".repeat(50_000));
    let mut datasets = client(&server, "alice").await;
    upload(&mut datasets, "many", content.as_bytes())
        .await
        .expect("uploads");

    let unread = begun(&mut anomalies).await;
    let waiting = tokio::spawn(async move { upload(&mut datasets, "few", b"x\n1\n2\n").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "the reader has all there is");
    drop(unread);
    let uploaded = waiting.await.expect("no panic").expect("uploads");
    assert_eq!(uploaded.n_rows, 2);
    server.stop().await;
}
