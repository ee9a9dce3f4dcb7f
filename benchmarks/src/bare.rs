//! A bare tonic service that takes the same messages and does nothing with them, to measure the cost of the
//! transport alone.

use std::net::SocketAddr;

use anomalyd::proto::v1::anomaly_service_server::{AnomalyService, AnomalyServiceServer};
use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    DeleteRunRequest, DeleteRunResponse, GetModelRequest, GetModelResponse, ListModelsRequest,
    ListModelsResponse, PredictDatasetRequest, PredictDatasetResponse, PredictRequest,
    PredictResponse, PredictStreamRequest, PredictStreamResponse, PredictionSummary, Predictions,
    RowPrediction, TrainRequest, TrainResponse, UpdateRequest, UpdateResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

struct Bare;

/// Starts the service on a free port of the current runtime.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let service = AnomalyServiceServer::new(Bare).max_decoding_message_size(64 << 20);
    tokio::spawn(
        Server::builder()
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    address
}

fn summary(n_rows: u64) -> PredictionSummary {
    PredictionSummary {
        run_id: "bench".to_owned(),
        version: 1,
        threshold: Some(0.5),
        n_rows: Some(n_rows),
        n_anomalies: Some(0),
        n_missing_values: Some(0),
        n_infinite_values: Some(0),
        n_missing_features: Some(0),
        missing_features: Vec::new(),
        unknown_features: Vec::new(),
    }
}

#[tonic::async_trait]
impl AnomalyService for Bare {
    async fn predict(
        &self,
        _: Request<PredictRequest>,
    ) -> Result<Response<PredictResponse>, Status> {
        Ok(Response::new(PredictResponse {
            predictions: Some(Predictions {
                summary: Some(summary(1)),
                rows: vec![RowPrediction {
                    row: Some(0),
                    score: Some(0.4),
                    is_anomaly: Some(false),
                    n_missing_features: Some(0),
                    ..RowPrediction::default()
                }],
                truncated: Some(false),
                ..Predictions::default()
            }),
        }))
    }

    async fn predict_stream(
        &self,
        request: Request<Streaming<PredictStreamRequest>>,
    ) -> Result<Response<PredictStreamResponse>, Status> {
        let mut messages = request.into_inner();
        let mut n_rows = 0;
        while let Some(message) = messages.message().await? {
            if let Some(Part::Records(records)) = message.part
                && let Some(Form::Matrix(matrix)) = records.form
            {
                n_rows += (matrix.values.len() + matrix.values_f64le.len() / 8) as u64
                    / u64::from(matrix.n_columns);
            }
        }
        Ok(Response::new(PredictStreamResponse {
            predictions: Some(Predictions {
                summary: Some(summary(n_rows)),
                truncated: Some(false),
                ..Predictions::default()
            }),
        }))
    }

    type PredictDatasetStream = tokio_stream::Empty<Result<PredictDatasetResponse, Status>>;

    async fn predict_dataset(
        &self,
        _: Request<PredictDatasetRequest>,
    ) -> Result<Response<Self::PredictDatasetStream>, Status> {
        Err(Status::unimplemented("bare"))
    }

    async fn train(&self, _: Request<TrainRequest>) -> Result<Response<TrainResponse>, Status> {
        Err(Status::unimplemented("bare"))
    }

    async fn update(&self, _: Request<UpdateRequest>) -> Result<Response<UpdateResponse>, Status> {
        Err(Status::unimplemented("bare"))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        Err(Status::unimplemented("bare"))
    }

    async fn get_model(
        &self,
        _: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        Err(Status::unimplemented("bare"))
    }

    async fn delete_run(
        &self,
        _: Request<DeleteRunRequest>,
    ) -> Result<Response<DeleteRunResponse>, Status> {
        Err(Status::unimplemented("bare"))
    }
}
