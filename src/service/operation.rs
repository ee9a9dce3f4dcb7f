//! `anomaly.v1.OperationService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::anomaly::caller;
use super::page;
use super::status::answer;
use crate::caller::check_id;
use crate::error::{Error, Result};
use crate::operations::{OperationId, Operations, Selector};
use crate::proto::v1::operation_service_server::OperationService;
use crate::proto::v1::{
    CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse,
    ListOperationsRequest, ListOperationsResponse, cancel_operation_request, get_operation_request,
};

/// The gRPC service of operations.
#[derive(Debug)]
pub struct OperationGrpc {
    operations: Arc<Operations>,
}

impl OperationGrpc {
    /// A service for these operations.
    pub fn new(operations: Arc<Operations>) -> Self {
        Self { operations }
    }
}

#[tonic::async_trait]
impl OperationService for OperationGrpc {
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let page_size = page::size(request.page_size)?;
            let after = page::read_token(&request.page_token, |id| {
                // the page names the field
                OperationId::parse(&id).ok_or_else(|| Error::field("page_token", "is no id"))
            })?;
            let page = self.operations.list(caller.owner, after, page_size);
            let last = page.operations.last().map(|last| last.id().to_string());
            let next_page_token = page::next_token(last.as_deref(), page.more);
            Ok(ListOperationsResponse {
                operations: page.operations.iter().map(|it| (&**it).into()).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        use get_operation_request::Operation::{OperationId, RequestId};
        answer(async {
            let caller = caller(request.extensions())?;
            let selector = selector(request.into_inner().operation.map(|named| match named {
                OperationId(id) => Selector::Id(id),
                RequestId(id) => Selector::RequestId(id),
            }))?;
            let operation = self.operations.get(caller.owner, &selector)?;
            Ok(GetOperationResponse {
                operation: Some((&*operation).into()),
            })
        })
        .await
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        use cancel_operation_request::Operation::{OperationId, RequestId};
        answer(async {
            let caller = caller(request.extensions())?;
            let selector = selector(request.into_inner().operation.map(|named| match named {
                OperationId(id) => Selector::Id(id),
                RequestId(id) => Selector::RequestId(id),
            }))?;
            let operation = self.operations.cancel(caller.owner, &selector)?;
            Ok(CancelOperationResponse {
                operation: Some((&*operation).into()),
            })
        })
        .await
    }
}

/// How a request names an operation, checked.
fn selector(selector: Option<Selector>) -> Result<Selector> {
    let selector = selector.ok_or_else(|| {
        Error::field(
            "operation_id",
            "the request names no operation; give its operation_id or its request_id",
        )
    })?;
    match &selector {
        Selector::Id(id) => check_id("operation_id", id)?,
        Selector::RequestId(id) => check_id("request_id", id)?,
    }
    Ok(selector)
}
