//! Uploads: they need their callers until all bytes have arrived, and no longer.

use std::path::Path;

use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    CombineDatasetsRequest, OperationKind, OperationStage, OperationState, UploadDatasetChunk,
    UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
};
use sha2::{Digest as _, Sha256};
use tokio_stream::wrappers::ReceiverStream;

use super::leaving::Proxy;
use super::{Operations, eventually, held, server};
use crate::grpc::datasets;
use crate::grpc::harness::{Server, Token, refusal};

const CONTENT: &[u8] = b"x,y\n1,2\n3,4\n5,7\n";

fn part(part: Part) -> UploadDatasetRequest {
    UploadDatasetRequest { part: Some(part) }
}

fn header(request_id: &str) -> UploadDatasetRequest {
    part(Part::Header(UploadDatasetHeader {
        request_id: request_id.to_owned(),
        ..UploadDatasetHeader::default()
    }))
}

fn chunk() -> UploadDatasetRequest {
    part(Part::Chunk(UploadDatasetChunk {
        offset: 0,
        data: CONTENT.into(),
    }))
}

fn end() -> UploadDatasetRequest {
    part(Part::End(UploadDatasetEnd {
        sha256: Sha256::digest(CONTENT).to_vec().into(),
        size_bytes: None,
    }))
}

fn n_files(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("blobs"));
    files.expect("is there").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_bytes_have_arrived_goes_on_and_the_retry_joins_it() {
    let (server, gate, folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    gate.close();
    let proxy = Proxy::before(&server).await;
    let token = Token::bearer("alice");
    let mut through = DatasetServiceClient::with_interceptor(proxy.channel().await, token);
    let call = tokio::spawn(async move {
        let messages = tokio_stream::iter([header("once"), chunk(), end()]);
        through.upload_dataset(messages).await
    });
    // it opens the file for the scan
    gate.until_waiting(1).await;
    let uploading = operations.until_callers("once", 1).await;
    let arrived = uploading.progress.and_then(|reached| reached.n_bytes_done);
    assert_eq!(arrived, Some(CONTENT.len() as u64));
    assert_eq!(uploading.kind(), OperationKind::UploadDataset);
    proxy.cut().await;
    call.await.expect("no panic").expect_err("it was cut");
    operations.until_callers("once", 0).await;

    // the retry is answered before its file is sent
    let mut client = datasets::client(&server, "alice").await;
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    sender.send(header("once")).await.expect("there is room");
    let retry = tokio::spawn(async move {
        let answer = client.upload_dataset(ReceiverStream::new(messages)).await;
        drop(sender);
        answer
    });
    let joined = operations.until_callers("once", 1).await;
    assert_eq!(joined.operation_id, uploading.operation_id);
    gate.open();
    let stored = retry.await.expect("no panic").expect("is stored");
    let stored = stored.into_inner().dataset.expect("described");
    assert_eq!((stored.n_rows, stored.dataset_id), (3, joined.dataset_id));
    assert_eq!(n_files(folder.path()), 2, "a file and its description");
    server.stop().await;
}

/// Begins an upload and waits until some bytes have arrived.
async fn half_an_upload(server: &Server, operations: &Operations, request_id: &str) -> Proxy {
    let proxy = Proxy::before(server).await;
    let token = Token::bearer("alice");
    let mut through = DatasetServiceClient::with_interceptor(proxy.channel().await, token);
    let (sender, messages) = tokio::sync::mpsc::channel(2);
    sender.send(header(request_id)).await.expect("room");
    sender.send(chunk()).await.expect("room");
    tokio::spawn(async move {
        let answer = through.upload_dataset(ReceiverStream::new(messages)).await;
        drop(sender);
        answer
    });
    operations
        .until(request_id, |it| {
            let reached = it.progress.as_ref();
            reached.is_some_and(|reached| reached.n_bytes_done == Some(CONTENT.len() as u64))
        })
        .await;
    proxy
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_upload_ends_with_its_connection() {
    let (server, folder) = server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let proxy = half_an_upload(&server, &operations, "half").await;
    let receiving = operations.of_request("half").await.expect("is there");
    let stage = receiving.progress.as_ref().map(|reached| reached.stage());
    assert_eq!(stage, Some(OperationStage::Receiving));
    assert_eq!(receiving.state(), OperationState::Running);
    proxy.cut().await;
    let ended = operations.until("half", |it| it.end_time.is_some()).await;
    assert_eq!(ended.state(), OperationState::Cancelled);

    // the retry sends the file
    let mut client = datasets::client(&server, "alice").await;
    let messages = [header("half"), chunk(), end()];
    let stored = client.upload_dataset(tokio_stream::iter(messages)).await;
    let stored = stored.expect("is stored").into_inner();
    assert_eq!(stored.dataset.expect("described").n_rows, 3);
    eventually(async || (n_files(folder.path()) == 2).then_some(())).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_combinations_are_cancelled_without_a_trace() {
    use anomalyd::proto::v1::cancel_operation_request::Operation::RequestId;
    let (server, gate, folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let proxy = half_an_upload(&server, &operations, "half").await;
    let cancelled = operations.cancel(RequestId("half".to_owned())).await;
    assert_eq!(
        cancelled.expect("is there").state(),
        OperationState::Cancelled
    );
    proxy.cut().await;
    eventually(async || (n_files(folder.path()) == 0).then_some(())).await;

    let mut client = datasets::client(&server, "alice").await;
    datasets::upload(&mut client, "june", CONTENT)
        .await
        .expect("is stored");
    // the two datasets are read, and what was made of them waits to be scanned
    gate.close_after(2);
    let combination = CombineDatasetsRequest {
        dataset_ids: vec!["june".to_owned(), "june".to_owned()],
        dataset_id: "both".to_owned(),
        request_id: "combined".to_owned(),
    };
    let call = tokio::spawn({
        let (mut client, combination) = (client.clone(), combination.clone());
        async move { client.combine_datasets(combination).await }
    });
    let waiting = operations.until_callers("combined", 1).await;
    gate.until_waiting(1).await;
    assert_eq!(
        n_files(folder.path()),
        3,
        "a dataset, and a file without one"
    );
    assert_eq!(waiting.kind(), OperationKind::CombineDatasets);
    assert_eq!((&*waiting.dataset_id, &*waiting.run_id), ("both", ""));
    let cancelled = operations.cancel(RequestId("combined".to_owned())).await;
    cancelled.expect("is there");
    let refused = refusal(call.await.expect("no panic"));
    assert_eq!(refused.reason, "OPERATION_CANCELLED");
    gate.open();
    eventually(async || (n_files(folder.path()) == 2).then_some(())).await;
    let combined = client.combine_datasets(combination).await;
    let combined = combined.expect("combines").into_inner().dataset;
    assert_eq!(combined.expect("described").n_rows, 6);
    server.stop().await;
}
