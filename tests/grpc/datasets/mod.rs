//! Datasets: uploaded, combined, listed, described, deleted, learned from and scored.

mod combine;
mod files;
mod lifecycle;
mod upload;
mod usage;

use std::path::Path;

use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    CombineDatasetsRequest, Dataset, DeleteDatasetRequest, GetDatasetRequest, Records,
    UploadDatasetChunk, UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
};
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::harness::{Server, Token};

type Client = DatasetServiceClient<InterceptedService<Channel, Token>>;

async fn client(server: &Server, token: &str) -> Client {
    let token = Token::bearer(token);
    DatasetServiceClient::with_interceptor(server.channel().await, token)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
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

async fn upload(client: &mut Client, dataset_id: &str, content: &[u8]) -> Result<Dataset, Status> {
    send(client, messages(header(dataset_id), content, 1 << 16)).await
}

async fn get(client: &mut Client, dataset_id: &str) -> Result<Dataset, Status> {
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

fn of_dataset(dataset_id: &str) -> Records {
    Records {
        form: Some(Form::DatasetId(dataset_id.to_owned())),
    }
}

/// How many files the blobs of a store take.
fn n_files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("blobs"))
        .expect("is there")
        .count()
}

/// Waits until no more than so many files are left: what a caller left behind is deleted without anyone waiting for it.
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
