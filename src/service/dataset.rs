//! `anomaly.v1.DatasetService`.

use std::sync::Arc;

use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::anomaly::caller;
use super::convert::file;
use super::page;
use super::status::{Failure, answer};
use crate::caller::{Caller, RequestId};
use crate::datasets::{DatasetId, Datasets, Described, MAX_COMBINED, Started, Upload};
use crate::error::{Error, Result, reason};
use crate::proto::v1::dataset_service_server::DatasetService;
use crate::proto::v1::upload_dataset_request::Part;
use crate::proto::v1::{
    CombineDatasetsRequest, CombineDatasetsResponse, DeleteDatasetRequest, DeleteDatasetResponse,
    GetDatasetRequest, GetDatasetResponse, ListDatasetsRequest, ListDatasetsResponse,
    UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest, UploadDatasetResponse,
};
use crate::store::Store;

/// The gRPC service of datasets.
#[derive(Debug)]
pub struct DatasetGrpc<S> {
    datasets: Arc<Datasets<S>>,
}

impl<S: Store> DatasetGrpc<S> {
    /// A service for these datasets.
    pub fn new(datasets: Arc<Datasets<S>>) -> Self {
        Self { datasets }
    }

    async fn begin(&self, caller: Caller, header: UploadDatasetHeader) -> Result<Started<S>> {
        let checked = (|| {
            // the file is not compared: a retry is answered before it is sent
            let request_id = RequestId::parse(&header.request_id, "UploadDataset", || {
                UploadDatasetHeader {
                    dataset_id: String::new(),
                    ..header.clone()
                }
                .encode_to_vec()
            })?;
            let dataset_id = new_id(header.dataset_id)?;
            let options = file::options(header.format, header.csv, &[])?;
            Ok((dataset_id, request_id, options))
        })();
        let (dataset_id, request_id, options) =
            checked.map_err(|error: Error| error.within("header"))?;
        self.datasets
            .upload(caller, dataset_id, request_id, options)
            .await
    }

    /// Receives the chunks up to the end message.
    ///
    /// A client that vanishes cannot be told from one that has finished, so only the end message confirms that all bytes
    /// have arrived.
    async fn receive(
        upload: &mut Upload<S>,
        messages: &mut Streaming<UploadDatasetRequest>,
    ) -> Result<UploadDatasetEnd, Failure> {
        loop {
            let Some(message) = messages.message().await? else {
                return Err(out_of_order(
                    "the stream ended without its end message, so bytes may be missing; nothing is stored",
                )
                .into());
            };
            match message.part {
                Some(Part::Chunk(chunk)) => upload.push(chunk.offset, chunk.data).await?,
                Some(Part::End(end)) => return Ok(end),
                Some(Part::Header(_)) => {
                    return Err(out_of_order("there must be one header, and it comes first").into());
                }
                None => {
                    return Err(
                        out_of_order("a message has no part; send a chunk or the end").into(),
                    );
                }
            }
        }
    }

    async fn upload(
        &self,
        caller: Caller,
        mut messages: Streaming<UploadDatasetRequest>,
    ) -> Result<Described, Failure> {
        let header = match messages.message().await?.map(|message| message.part) {
            Some(Some(Part::Header(header))) => header,
            Some(_) => return Err(out_of_order("the first message must be the header").into()),
            None => {
                return Err(
                    out_of_order("the stream is empty; send a header, chunks and an end").into(),
                );
            }
        };
        let mut upload = match self.begin(caller, header).await? {
            Started::MadeBefore(described) => return Ok(*described),
            Started::Upload(upload) => upload,
        };
        let end = Self::receive(&mut upload, &mut messages).await?;
        let sha256 = <[u8; 32]>::try_from(&end.sha256[..]).map_err(|_| {
            let message = format!(
                "sha256 has {} bytes; give the 32 bytes of the SHA-256 of the file",
                end.sha256.len()
            );
            Error::field("end.sha256", message)
        })?;
        if messages.message().await?.is_some() {
            return Err(out_of_order("nothing may follow the end message").into());
        }
        Ok(upload.finish(sha256, end.size_bytes).await?)
    }
}

#[tonic::async_trait]
impl<S: Store> DatasetService for DatasetGrpc<S> {
    async fn upload_dataset(
        &self,
        request: Request<Streaming<UploadDatasetRequest>>,
    ) -> Result<Response<UploadDatasetResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let described = self.upload(caller, request.into_inner()).await?;
            Ok(UploadDatasetResponse {
                dataset: Some(described.into()),
            })
        })
        .await
    }

    async fn combine_datasets(
        &self,
        request: Request<CombineDatasetsRequest>,
    ) -> Result<Response<CombineDatasetsResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let request_id = RequestId::parse(&request.request_id, "CombineDatasets", || {
                CombineDatasetsRequest {
                    dataset_id: String::new(),
                    ..request.clone()
                }
                .encode_to_vec()
            })?;
            let n = request.dataset_ids.len();
            if !(1..=MAX_COMBINED).contains(&n) {
                let message = format!("there are {n} dataset_ids; give 1 to {MAX_COMBINED}");
                return Err(Error::field("dataset_ids", message).into());
            }
            let dataset_ids = request.dataset_ids.into_iter().enumerate();
            let dataset_ids = dataset_ids
                .map(|(index, id)| DatasetId::parse(&format!("dataset_ids[{index}]"), id))
                .collect::<Result<Vec<_>>>()?;
            let dataset_id = new_id(request.dataset_id)?;
            let described = self
                .datasets
                .combine(caller, &dataset_ids, dataset_id, request_id)
                .await?;
            Ok(CombineDatasetsResponse {
                dataset: Some(described.into()),
            })
        })
        .await
    }

    async fn list_datasets(
        &self,
        request: Request<ListDatasetsRequest>,
    ) -> Result<Response<ListDatasetsResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let page_size = page::size(request.page_size)?;
            let after =
                page::read_token(&request.page_token, |id| DatasetId::parse("page_token", id))?;
            let page = self
                .datasets
                .list(caller, after.as_ref(), page_size)
                .await?;
            let last = page.datasets.last().map(|last| last.dataset_id.as_str());
            let next_page_token = page::next_token(last, page.more);
            Ok(ListDatasetsResponse {
                datasets: page.datasets.into_iter().map(Into::into).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn get_dataset(
        &self,
        request: Request<GetDatasetRequest>,
    ) -> Result<Response<GetDatasetResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let dataset_id = DatasetId::parse("dataset_id", request.into_inner().dataset_id)?;
            let described = self.datasets.describe(caller, dataset_id).await?;
            Ok(GetDatasetResponse {
                dataset: Some(described.into()),
            })
        })
        .await
    }

    async fn delete_dataset(
        &self,
        request: Request<DeleteDatasetRequest>,
    ) -> Result<Response<DeleteDatasetResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let dataset_id = DatasetId::parse("dataset_id", request.into_inner().dataset_id)?;
            let record = self.datasets.delete(caller, dataset_id).await?;
            Ok(DeleteDatasetResponse {
                n_rows: Some(record.n_rows),
            })
        })
        .await
    }
}

/// The id of a new dataset, if the request gives one.
fn new_id(id: String) -> Result<Option<DatasetId>> {
    match id.is_empty() {
        true => Ok(None),
        false => DatasetId::parse("dataset_id", id).map(Some),
    }
}

fn out_of_order(message: &str) -> Error {
    Error::new(reason::INVALID_STREAM, message)
}
