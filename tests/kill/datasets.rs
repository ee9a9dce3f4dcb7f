//! A client that uploads and deletes datasets, and what it knows about them from the responses.

use std::collections::BTreeMap;

use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    CombineDatasetsRequest, Dataset, DeleteDatasetRequest, GetDatasetRequest, ListDatasetsRequest,
    UploadDatasetChunk, UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use crate::kill::process::DatasetClient;

/// The most datasets at a time.
const MOST: usize = 5;

/// The id of a dataset that is only made to read another one.
const COPY: &str = "copy";

/// What is known about the datasets of a client.
#[derive(Debug, Default)]
pub(crate) struct KnownDatasets {
    /// How many uploads have begun.
    n_begun: u64,
    /// The acknowledged datasets, by number.
    acknowledged: BTreeMap<u64, Dataset>,
    /// The dataset whose upload or deletion was unanswered when the server was killed.
    in_flight: Option<u64>,
}

impl KnownDatasets {
    /// Whether anything was acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.acknowledged.is_empty()
    }

    /// Uploads, and deletes the oldest, until the server is gone.
    pub(crate) async fn write(mut self, mut client: DatasetClient) -> Self {
        loop {
            let oldest = self.acknowledged.keys().next().copied();
            let outcome = match oldest.filter(|_| self.acknowledged.len() >= MOST) {
                Some(number) => {
                    self.in_flight = Some(number);
                    let dataset_id = number.to_string();
                    let outcome = client.delete_dataset(DeleteDatasetRequest { dataset_id });
                    outcome.await.map(|_| {
                        self.acknowledged.remove(&number);
                    })
                }
                None => {
                    self.n_begun += 1;
                    let number = self.n_begun;
                    self.in_flight = Some(number);
                    upload(&mut client, number).await.map(|dataset| {
                        self.acknowledged.insert(number, dataset);
                    })
                }
            };
            if let Err(status) = outcome {
                // errors of the server have details; those of the connection have none
                assert!(status.details().is_empty(), "{status:?}");
                return self;
            }
            self.in_flight = None;
        }
    }

    /// Compares the server after a restart with what is known. Returns the number of datasets.
    pub(crate) async fn check(&mut self, client: &mut DatasetClient) -> usize {
        if let Some(number) = self.in_flight.take() {
            let request = GetDatasetRequest {
                dataset_id: number.to_string(),
            };
            match client.get_dataset(request).await {
                Ok(answer) => {
                    let dataset = answer.into_inner().dataset.expect("described");
                    assert_eq!(dataset.n_rows, n_rows(number), "whole or not at all");
                    self.acknowledged.insert(number, dataset);
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{status:?}");
                    self.acknowledged.remove(&number);
                }
            }
        }
        for (number, acknowledged) in &self.acknowledged {
            let request = GetDatasetRequest {
                dataset_id: number.to_string(),
            };
            let found = client.get_dataset(request).await.expect("is there");
            assert_eq!(found.into_inner().dataset.as_ref(), Some(acknowledged));
            // reads, and so checks, all of its bytes
            let copy = client
                .combine_datasets(CombineDatasetsRequest {
                    dataset_ids: vec![number.to_string()],
                    dataset_id: COPY.to_owned(),
                    ..CombineDatasetsRequest::default()
                })
                .await;
            let copy = copy.expect("it is whole").into_inner().dataset;
            assert_eq!(copy.expect("described").n_rows, acknowledged.n_rows);
            let delete = DeleteDatasetRequest {
                dataset_id: COPY.to_owned(),
            };
            client.delete_dataset(delete).await.expect("deletes");
        }
        let listed = client.list_datasets(ListDatasetsRequest::default()).await;
        let listed = listed.expect("lists").into_inner().datasets;
        assert_eq!(listed.len(), self.acknowledged.len(), "{listed:?}");
        listed.len()
    }
}

/// The rows of a dataset.
pub(super) fn n_rows(number: u64) -> u64 {
    1 + number * 997 % 2_000
}

/// Uploads a dataset.
pub(super) async fn upload(client: &mut DatasetClient, number: u64) -> Result<Dataset, Status> {
    let part = |part| UploadDatasetRequest { part: Some(part) };
    let content = "a,b\n".to_owned() + &"1,2\n".repeat(n_rows(number) as usize);
    let header = UploadDatasetHeader {
        dataset_id: number.to_string(),
        ..UploadDatasetHeader::default()
    };
    let mut messages = vec![part(Part::Header(header))];
    for (index, data) in content.as_bytes().chunks(5000).enumerate() {
        messages.push(part(Part::Chunk(UploadDatasetChunk {
            offset: index as u64 * 5000,
            data: data.to_vec().into(),
        })));
    }
    messages.push(part(Part::End(UploadDatasetEnd {
        sha256: Sha256::digest(&content).to_vec().into(),
        size_bytes: None,
    })));
    let answer = client.upload_dataset(tokio_stream::iter(messages)).await?;
    Ok(answer.into_inner().dataset.expect("described"))
}
