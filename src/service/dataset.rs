//! `anomaly.v1.DatasetService`.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::anomaly::{caller, presence, request_memory};
use super::convert::{file, fingerprint};
use super::page;
use super::status::{Failure, answer};
use crate::caller::{Caller, Presence, RequestId};
use crate::datasets::{DatasetId, Datasets, Described, MAX_COMBINED, Upload};
use crate::error::{Error, Result, reason};
use crate::memory::RequestMemory;
use crate::operations::{Begun, Kind, Operations, Plan};
use crate::proto::v1::dataset_service_server::DatasetService;
use crate::proto::v1::upload_dataset_request::Part;
use crate::proto::v1::{
    CombineDatasetsRequest, CombineDatasetsResponse, DeleteDatasetRequest, DeleteDatasetResponse,
    GetDatasetRequest, GetDatasetResponse, ListDatasetsRequest, ListDatasetsResponse,
    UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest, UploadDatasetResponse,
};
use crate::store::Store;
use anomaly_detection::table::read::FileOptions;

/// The gRPC service of datasets.
#[derive(Debug)]
pub struct DatasetGrpc<S> {
    datasets: Arc<Datasets<S>>,
    operations: Arc<Operations>,
}

/// The header of an upload, checked.
struct Header {
    dataset_id: DatasetId,
    request_id: Option<RequestId>,
    options: FileOptions,
}

impl Header {
    fn check(mut header: UploadDatasetHeader, memory: &RequestMemory) -> Result<Self> {
        // a retry may choose another id
        let dataset_id = std::mem::take(&mut header.dataset_id);
        // the file is not compared: a retry is answered before it is sent
        let request_id = RequestId::parse(&header.request_id, "UploadDataset", |fingerprint| {
            fingerprint::add_message(fingerprint, &header, memory)
        })?;
        Ok(Self {
            dataset_id: new_id(dataset_id, request_id.as_ref())?,
            request_id,
            options: file::options(header.format, header.csv, &[])?,
        })
    }
}

impl<S: Store> DatasetGrpc<S> {
    /// A service for these datasets; making one is one of the `operations`.
    pub fn new(datasets: Arc<Datasets<S>>, operations: Arc<Operations>) -> Self {
        Self {
            datasets,
            operations,
        }
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
        presence: Presence,
        memory: &RequestMemory,
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
        let header = Header::check(header, memory).map_err(|error| error.within("header"))?;
        let Header {
            dataset_id,
            request_id,
            options,
        } = header;
        let (kind, request) = (Kind::UploadDataset, request_id.as_ref());
        let plan = Plan::new(caller.owner, kind, dataset_id.as_str(), request);
        let made_before = || self.datasets.made_before(&caller, &dataset_id, request);
        let lead = match self.operations.begin(plan, made_before).await? {
            Begun::Made(described) => return Ok(described),
            Begun::Lead(lead) => lead,
        };
        let caller = lead.caller(caller);
        let work = async {
            let operation = Arc::clone(lead.operation());
            let upload = self
                .datasets
                .upload(caller, dataset_id, request_id, options, operation);
            let mut upload = upload.await?;
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
            lead.outlive();
            Ok::<_, Failure>(upload.finish(sha256, end.size_bytes).await?)
        };
        lead.run(&presence, work).await
    }
}

#[tonic::async_trait]
impl<S: Store> DatasetService for DatasetGrpc<S> {
    async fn upload_dataset(
        &self,
        request: Request<Streaming<UploadDatasetRequest>>,
    ) -> Result<Response<UploadDatasetResponse>, Status> {
        answer(async {
            let presence = presence(request.extensions());
            let caller = caller(request.extensions())?;
            let memory = request_memory(request.extensions())?;
            let described = self.upload(caller, presence, &memory, request.into_inner());
            let described = described.await?;
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
            let presence = presence(request.extensions());
            let caller = caller(request.extensions())?;
            let memory = request_memory(request.extensions())?;
            let mut request = request.into_inner();
            // a retry may choose another id
            let dataset_id = std::mem::take(&mut request.dataset_id);
            let request_id =
                RequestId::parse(&request.request_id, "CombineDatasets", |fingerprint| {
                    fingerprint::add_message(fingerprint, &request, &memory)
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
            let dataset_id = new_id(dataset_id, request_id.as_ref())?;
            let (kind, request) = (Kind::CombineDatasets, request_id.as_ref());
            let plan = Plan::new(caller.owner, kind, dataset_id.as_str(), request);
            let made_before = || self.datasets.made_before(&caller, &dataset_id, request);
            let described = match self.operations.begin(plan, made_before).await? {
                Begun::Made(described) => described,
                Begun::Lead(lead) => {
                    let caller = lead.caller(caller);
                    let operation = Arc::clone(lead.operation());
                    let work = self.datasets.combine(
                        caller,
                        &dataset_ids,
                        dataset_id,
                        request_id,
                        operation,
                    );
                    lead.run(&presence, work).await?
                }
            };
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

/// The id of a new dataset: the given one, or else a new one.
fn new_id(id: String, request_id: Option<&RequestId>) -> Result<DatasetId> {
    match id.is_empty() {
        true => Ok(DatasetId::generated(request_id)),
        false => DatasetId::parse("dataset_id", id),
    }
}

fn out_of_order(message: &str) -> Error {
    Error::new(reason::INVALID_STREAM, message)
}
