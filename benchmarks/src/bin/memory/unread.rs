//! Answers that nobody reads.

use std::net::SocketAddr;
use std::time::Duration;

use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    AnswerRows, Matrix, UploadDatasetChunk, UploadDatasetEnd, UploadDatasetHeader,
    UploadDatasetRequest,
};
use anomalyd_benchmarks::{PEAK_RESIDENT, RESIDENT, ReleaseServer, normal_rows, served};
use http_body_util::Full;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::codegen::{Service as _, http};
use tonic::transport::Channel;

use super::forms::{csv_of, in_form};
use super::{Outcome, request, train};

/// How many answers are not read.
pub(crate) const N_ANSWERS: usize = 84;

/// How many rows each of them has, unless it is shrunk.
pub(crate) const N_ROWS: usize = 6_000_000;

/// The budget of the server for answers, in bytes.
pub(crate) const BUDGET: usize = 256 << 20;

/// The token of [`served::client`], whose runs are scored with.
const TOKEN: &str = "bench";

/// The peak of a server with many answers that nobody reads, all on one connection, and its memory before.
pub(crate) async fn measured(n_rows: usize) -> Outcome<(f64, f64)> {
    let server = ReleaseServer::start(&[format!("--answer-memory-bytes={BUDGET}")])?;
    let address = server.address();
    let mut client = served::client(address).await;
    let rows = Matrix {
        feature_names: vec!["a".to_owned(), "b".to_owned()],
        values: normal_rows(1000, 2),
        ..Matrix::default()
    };
    train(&mut client, served::RUN, in_form(Form::Matrix(rows))).await?;
    upload(address, "large", csv_of(n_rows)).await?;
    let before = server.memory_bytes(RESIDENT)?;

    let channel = Channel::from_shared(format!("http://{address}"))?
        .initial_stream_window_size(64 << 10)
        .connect()
        .await?;
    let scores = request(
        in_form(Form::DatasetId("large".to_owned())),
        AnswerRows::All,
    );
    let message = scores.encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(&message);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..N_ANSWERS {
        let (mut channel, body) = (channel.clone(), body.clone());
        let uri = format!("http://{address}/anomaly.v1.AnomalyService/Predict");
        tasks.spawn(async move {
            let request = http::Request::post(uri)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", format!("Bearer {TOKEN}"))
                .body(tonic::body::Body::new(Full::from(body)))
                .expect("a request");
            std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
            channel.call(request).await
        });
    }
    let mut unread = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        unread.push(answer??);
    }
    // whatever is still made
    tokio::time::sleep(Duration::from_secs(2)).await;
    let peak = server.memory_bytes(PEAK_RESIDENT)?;
    drop(unread);
    Ok((peak, before))
}

async fn upload(address: SocketAddr, dataset_id: &str, content: Vec<u8>) -> Outcome<()> {
    let connection = served::connection(address, TOKEN).await;
    let header = Part::Header(UploadDatasetHeader {
        dataset_id: dataset_id.to_owned(),
        ..UploadDatasetHeader::default()
    });
    let end = Part::End(UploadDatasetEnd {
        sha256: Sha256::digest(&content).to_vec().into(),
        size_bytes: Some(content.len() as u64),
    });
    let chunks: Vec<Part> = content
        .chunks(1 << 20)
        .enumerate()
        .map(|(index, data)| {
            Part::Chunk(UploadDatasetChunk {
                offset: (index << 20) as u64,
                data: data.to_vec().into(),
            })
        })
        .collect();
    let parts = std::iter::once(header).chain(chunks).chain([end]);
    let messages: Vec<_> = parts
        .map(|part| UploadDatasetRequest { part: Some(part) })
        .collect();
    DatasetServiceClient::new(connection)
        .upload_dataset(tokio_stream::iter(messages))
        .await?;
    Ok(())
}
