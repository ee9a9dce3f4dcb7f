//! A service that behaves as the run id says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anomalyd::caller::{Deadline, Presence};
use anomalyd::error::{Error, reason};
use anomalyd::proto::v1::anomaly_service_server::AnomalyService;
use anomalyd::proto::v1::*;
use anomalyd::service::status;
use anomalyd::store::Owner;
use tokio_stream::StreamExt as _;
use tonic::codegen::BoxStream;
use tonic::{Response, Status, Streaming};

/// The bytes of the answer to the run id `large`.
pub const LARGE: usize = 4 << 20;

/// How requests ended inside the handlers.
#[derive(Debug, Default)]
pub struct Ends {
    pub dropped: AtomicUsize,
    /// Handlers whose caller has left while they go on.
    pub left: AtomicUsize,
    pub messages: AtomicUsize,
    pub clean: AtomicUsize,
    pub broken: AtomicUsize,
}

/// Counts handlers that were dropped before their end.
struct CountDrop(Arc<Ends>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// The service.
pub struct Echo(pub Arc<Ends>);

fn predictions(summary: PredictionSummary) -> Predictions {
    Predictions {
        summary: Some(summary),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl AnomalyService for Echo {
    async fn predict(
        &self,
        request: tonic::Request<PredictRequest>,
    ) -> Result<Response<PredictResponse>, Status> {
        let owner = request.extensions().get::<Owner>().copied().expect("owner");
        let has_deadline = request.extensions().get::<Deadline>().is_some();
        let leaks = request.metadata().contains_key("authorization");
        let answer = match request.into_inner().run_id.as_str() {
            "owner" => format!("{owner:?}"),
            "deadline" => has_deadline.to_string(),
            "leaks" => leaks.to_string(),
            "large" => "x".repeat(LARGE),
            "panic" => panic!("on purpose"),
            "internal" => {
                let cause = std::io::Error::other("/secret/path");
                let error = Error::new(reason::INTERNAL, "secret sled page").because(cause);
                return Err(status::of(error));
            }
            "field" => {
                return Err(status::of(Error::field(
                    "records.rows[3]",
                    "is odd; make it even",
                )));
            }
            "sleep" => {
                let _count = CountDrop(Arc::clone(&self.0));
                std::future::pending::<()>().await;
                unreachable!("never ready");
            }
            "slow" => {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                "slow".to_owned()
            }
            other => other.to_owned(),
        };
        let summary = PredictionSummary {
            run_id: answer,
            ..Default::default()
        };
        Ok(Response::new(PredictResponse {
            predictions: Some(predictions(summary)),
        }))
    }

    async fn predict_stream(
        &self,
        request: tonic::Request<Streaming<PredictStreamRequest>>,
    ) -> Result<Response<PredictStreamResponse>, Status> {
        let mut stream = request.into_inner();
        let mut count = 0;
        loop {
            match stream.message().await {
                Ok(Some(_)) => {
                    self.0.messages.fetch_add(1, Ordering::SeqCst);
                    count += 1;
                }
                Ok(None) => break,
                Err(status) => {
                    self.0.broken.fetch_add(1, Ordering::SeqCst);
                    return Err(status);
                }
            }
        }
        self.0.clean.fetch_add(1, Ordering::SeqCst);
        let summary = PredictionSummary {
            n_rows: Some(count),
            ..Default::default()
        };
        Ok(Response::new(PredictStreamResponse {
            predictions: Some(predictions(summary)),
        }))
    }

    type PredictDatasetStream = BoxStream<PredictDatasetResponse>;

    /// One page and no end, or pages without end for the run `endless`.
    async fn predict_dataset(
        &self,
        request: tonic::Request<PredictDatasetRequest>,
    ) -> Result<Response<Self::PredictDatasetStream>, Status> {
        let page = || Ok(PredictDatasetResponse::default());
        let pages: Self::PredictDatasetStream = match request.into_inner().run_id.as_str() {
            "endless" => Box::pin(tokio_stream::iter(std::iter::repeat_with(page))),
            _ => Box::pin(tokio_stream::once(page()).chain(tokio_stream::pending())),
        };
        Ok(Response::new(pages))
    }

    async fn train(
        &self,
        request: tonic::Request<TrainRequest>,
    ) -> Result<Response<TrainResponse>, Status> {
        let presence = request.extensions().get::<Presence>().cloned();
        let presence = presence.expect("the work of a write can outlive its caller");
        let run_id = request.into_inner().run_id;
        match run_id.as_str() {
            "panic" => panic!("on purpose"),
            "stay" => presence.outlive(),
            "sleep" => {}
            _ => return Ok(Response::new(TrainResponse::default())),
        }
        let _count = CountDrop(Arc::clone(&self.0));
        self.0.messages.fetch_add(1, Ordering::SeqCst);
        presence.left().await;
        self.0.left.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn update(
        &self,
        _: tonic::Request<UpdateRequest>,
    ) -> Result<Response<UpdateResponse>, Status> {
        Ok(Response::new(UpdateResponse::default()))
    }

    async fn list_models(
        &self,
        _: tonic::Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        Ok(Response::new(ListModelsResponse::default()))
    }

    async fn get_model(
        &self,
        _: tonic::Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        Ok(Response::new(GetModelResponse::default()))
    }

    async fn delete_run(
        &self,
        _: tonic::Request<DeleteRunRequest>,
    ) -> Result<Response<DeleteRunResponse>, Status> {
        Ok(Response::new(DeleteRunResponse::default()))
    }
}
