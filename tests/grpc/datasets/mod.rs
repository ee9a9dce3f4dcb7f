//! Datasets: uploaded, combined, listed, described, deleted, learned from and scored.

mod combine;
mod damage;
mod files;
mod held_up;
mod lifecycle;
mod pages;
mod upload;
mod usage;
mod wide_rows;

use std::path::Path;

use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    CombineDatasetsRequest, CsvOptions, Dataset, DeleteDatasetRequest, GetDatasetRequest,
    PredictDatasetRequest, PredictDatasetResponse, Predictions, Records, UploadDatasetChunk,
    UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
};
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::grpc::harness::{self, Server, Token, in_form};

pub(crate) type Client = DatasetServiceClient<InterceptedService<Channel, Token>>;

pub(crate) async fn client(server: &Server, token: &str) -> Client {
    let token = Token::bearer(token);
    DatasetServiceClient::with_interceptor(server.channel().await, token)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// A client with the default limit of answers, 4 MiB.
pub(crate) async fn plain_client(server: &Server, token: &str) -> Client {
    DatasetServiceClient::with_interceptor(server.channel().await, Token::bearer(token))
}

/// A server in a folder of its own, and a client of its datasets.
async fn server() -> (Server, Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path()).await;
    let client = client(&server, "alice").await;
    (server, client, folder)
}

fn part(part: Part) -> UploadDatasetRequest {
    UploadDatasetRequest { part: Some(part) }
}

fn header(dataset_id: &str) -> UploadDatasetHeader {
    UploadDatasetHeader {
        dataset_id: dataset_id.to_owned(),
        ..UploadDatasetHeader::default()
    }
}

fn chunk(offset: usize, data: &[u8]) -> UploadDatasetRequest {
    part(Part::Chunk(UploadDatasetChunk {
        offset: offset as u64,
        data: data.to_vec().into(),
    }))
}

fn end(content: &[u8]) -> UploadDatasetRequest {
    part(Part::End(UploadDatasetEnd {
        sha256: Sha256::digest(content).to_vec().into(),
        size_bytes: Some(content.len() as u64),
    }))
}

/// The messages of an upload in chunks of so many bytes.
fn messages(
    header: UploadDatasetHeader,
    content: &[u8],
    chunk_bytes: usize,
) -> Vec<UploadDatasetRequest> {
    let chunks = content.chunks(chunk_bytes).enumerate();
    let mut messages = vec![part(Part::Header(header))];
    messages.extend(chunks.map(|(i, data)| chunk(i * chunk_bytes, data)));
    messages.push(end(content));
    messages
}

async fn send(client: &mut Client, messages: Vec<UploadDatasetRequest>) -> Result<Dataset, Status> {
    let answer = client
        .upload_dataset(tokio_stream::iter(messages))
        .await?
        .into_inner();
    Ok(answer.dataset.expect("described"))
}

pub(crate) async fn upload(
    client: &mut Client,
    dataset_id: &str,
    content: &[u8],
) -> Result<Dataset, Status> {
    send(client, messages(header(dataset_id), content, 1 << 16)).await
}

/// Uploads a CSV file with options.
pub(crate) async fn upload_with(
    client: &mut Client,
    dataset_id: &str,
    content: &[u8],
    csv: CsvOptions,
) -> Result<Dataset, Status> {
    let header = UploadDatasetHeader {
        csv: Some(csv),
        ..header(dataset_id)
    };
    send(client, messages(header, content, 1 << 16)).await
}

pub(crate) async fn get(client: &mut Client, dataset_id: &str) -> Result<Dataset, Status> {
    let request = GetDatasetRequest {
        dataset_id: dataset_id.to_owned(),
    };
    let answer = client.get_dataset(request).await?.into_inner();
    Ok(answer.dataset.expect("described"))
}

async fn delete(client: &mut Client, dataset_id: &str) -> Result<Option<u64>, Status> {
    let request = DeleteDatasetRequest {
        dataset_id: dataset_id.to_owned(),
    };
    Ok(client.delete_dataset(request).await?.into_inner().n_rows)
}

async fn combine(
    client: &mut Client,
    dataset_ids: &[&str],
    dataset_id: &str,
) -> Result<Dataset, Status> {
    let request = CombineDatasetsRequest {
        dataset_ids: dataset_ids.iter().map(|&id| id.to_owned()).collect(),
        dataset_id: dataset_id.to_owned(),
        request_id: String::new(),
    };
    let answer = client.combine_datasets(request).await?.into_inner();
    Ok(answer.dataset.expect("described"))
}

pub(crate) fn of_dataset(dataset_id: &str) -> Records {
    in_form(Form::DatasetId(dataset_id.to_owned()))
}

pub(crate) fn pages_request(run_id: &str, dataset_id: &str) -> PredictDatasetRequest {
    PredictDatasetRequest {
        run_id: run_id.to_owned(),
        dataset_id: dataset_id.to_owned(),
        ..PredictDatasetRequest::default()
    }
}

/// All pages of PredictDataset.
pub(crate) async fn pages(
    client: &mut harness::Client,
    request: PredictDatasetRequest,
) -> Result<Vec<PredictDatasetResponse>, Status> {
    let mut stream = client.predict_dataset(request).await?.into_inner();
    let mut pages = Vec::new();
    while let Some(page) = stream.message().await? {
        pages.push(page);
    }
    Ok(pages)
}

/// The lists of all pages together, and the sums of their rows and anomalies.
pub(crate) fn joined(pages: &[PredictDatasetResponse]) -> (Predictions, u64, u64) {
    let (mut all, mut n_rows, mut n_anomalies) = (Predictions::default(), 0, 0);
    for page in pages {
        let page = page.predictions.clone().expect("a page holds predictions");
        let summary = page.summary.expect("and a summary");
        n_rows += summary.n_rows.expect("counted");
        n_anomalies += summary.n_anomalies.expect("counted");
        assert_eq!(page.truncated, Some(false));
        all.row_indices.extend(page.row_indices);
        all.row_ids.extend(page.row_ids);
        all.scores.extend(page.scores);
        all.is_anomaly.extend(page.is_anomaly);
        all.rows.extend(page.rows);
    }
    (all, n_rows, n_anomalies)
}

/// The number of blob files of a store.
fn n_files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("blobs"))
        .expect("is there")
        .count()
}

/// Waits until no more than `n` files are left: what a caller leaves behind is deleted in the background.
async fn until_files(folder: &Path, n: usize) {
    let patience = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while n_files(folder) != n {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    if patience.await.is_err() {
        panic!("{} files are left instead of {n}", n_files(folder));
    }
}
