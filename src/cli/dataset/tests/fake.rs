//! A service that records its requests.

use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Request, Response, Status, Streaming};

use crate::proto::v1::dataset_service_server::DatasetService;
use crate::proto::v1::upload_dataset_request::Part;
use crate::proto::v1::{
    CombineDatasetsRequest, CombineDatasetsResponse, Dataset, DeleteDatasetRequest,
    DeleteDatasetResponse, GetDatasetRequest, GetDatasetResponse, ListDatasetsRequest,
    ListDatasetsResponse, UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
    UploadDatasetResponse,
};

/// An upload as it arrived.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) header: UploadDatasetHeader,
    pub(super) content: Vec<u8>,
    pub(super) n_chunks: usize,
    pub(super) end: UploadDatasetEnd,
}

#[derive(Clone, Default)]
pub(super) struct Fake {
    uploads: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// The complete uploads.
    pub(super) fn uploads(&self) -> Vec<Seen> {
        let uploads = self.uploads.lock();
        uploads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn dataset(dataset_id: &str) -> Dataset {
    Dataset {
        dataset_id: dataset_id.to_owned(),
        n_rows: 4,
        ..Dataset::default()
    }
}

#[tonic::async_trait]
impl DatasetService for Fake {
    async fn upload_dataset(
        &self,
        request: Request<Streaming<UploadDatasetRequest>>,
    ) -> Result<Response<UploadDatasetResponse>, Status> {
        let mut stream = request.into_inner();
        let mut next = async || Ok::<_, Status>(stream.message().await?.and_then(|m| m.part));
        let Some(Part::Header(header)) = next().await? else {
            return Err(Status::invalid_argument("expected a header"));
        };
        let answer = || UploadDatasetResponse {
            dataset: Some(dataset(&header.dataset_id)),
        };
        match header.dataset_id.as_str() {
            "taken" => return Err(Status::already_exists("there is a dataset of this id")),
            "made before" => return Ok(Response::new(answer())),
            _ => {}
        }
        let mut seen = Seen::default();
        loop {
            match next().await? {
                Some(Part::Chunk(chunk)) if chunk.offset == seen.content.len() as u64 => {
                    seen.content.extend_from_slice(&chunk.data);
                    seen.n_chunks += 1;
                }
                Some(Part::End(end)) => {
                    seen.end = end;
                    break;
                }
                _ => return Err(Status::invalid_argument("out of order, or no end")),
            }
        }
        let answer = answer();
        seen.header = header;
        let uploads = self.uploads.lock();
        uploads.unwrap_or_else(PoisonError::into_inner).push(seen);
        Ok(Response::new(answer))
    }

    async fn combine_datasets(
        &self,
        request: Request<CombineDatasetsRequest>,
    ) -> Result<Response<CombineDatasetsResponse>, Status> {
        let request = request.into_inner();
        let ids = request.dataset_ids.join("+");
        let id = format!("{}={ids}, {}", request.dataset_id, request.request_id);
        Ok(Response::new(CombineDatasetsResponse {
            dataset: Some(dataset(&id)),
        }))
    }

    /// Two pages of one dataset each.
    async fn list_datasets(
        &self,
        request: Request<ListDatasetsRequest>,
    ) -> Result<Response<ListDatasetsResponse>, Status> {
        let (id, next) = match request.into_inner().page_token.as_str() {
            "" => ("june", "july"),
            _ => ("july", ""),
        };
        Ok(Response::new(ListDatasetsResponse {
            datasets: vec![dataset(id)],
            next_page_token: next.to_owned(),
        }))
    }

    async fn get_dataset(
        &self,
        _: Request<GetDatasetRequest>,
    ) -> Result<Response<GetDatasetResponse>, Status> {
        Ok(Response::new(GetDatasetResponse { dataset: None }))
    }

    async fn delete_dataset(
        &self,
        _: Request<DeleteDatasetRequest>,
    ) -> Result<Response<DeleteDatasetResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}
