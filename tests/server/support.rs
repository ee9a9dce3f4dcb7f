//! A service that behaves as the run id says, a server around it, and clients that see every
//! header.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anomalyd::caller::Deadline;
use anomalyd::config::{Config, Flags};
use anomalyd::error::{Error, reason};
use anomalyd::proto::v1::anomaly_service_server::{AnomalyService, AnomalyServiceServer};
use anomalyd::proto::v1::*;
use anomalyd::server::{Bound, Server};
use anomalyd::service::status;
use anomalyd::store::{Owner, TokenHasher, TokenKey};
use anomalyd::telemetry::Metrics;
use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};
use tonic_types::StatusExt as _;

pub const PREDICT: &str = "/anomaly.v1.AnomalyService/Predict";

pub fn hasher() -> TokenHasher {
    TokenHasher::new(&TokenKey::from_bytes([7; 32]))
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

pub fn config(args: &[&str]) -> Config {
    let args = ["anomalyd", "--listen", "127.0.0.1:0"].iter().chain(args);
    let command = Command::try_parse_from(args).expect("flags");
    Config::load(&command.flags).expect("valid configuration")
}

/// How requests ended inside the handlers.
#[derive(Debug, Default)]
pub struct Ends {
    pub dropped: AtomicUsize,
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

struct Echo(Arc<Ends>);

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

    type PredictDatasetStream = tokio_stream::Empty<Result<PredictDatasetResponse, Status>>;

    async fn predict_dataset(
        &self,
        _: tonic::Request<PredictDatasetRequest>,
    ) -> Result<Response<Self::PredictDatasetStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn train(
        &self,
        _: tonic::Request<TrainRequest>,
    ) -> Result<Response<TrainResponse>, Status> {
        Ok(Response::new(TrainResponse::default()))
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

/// A running server.
pub struct Running {
    pub addr: SocketAddr,
    pub ends: Arc<Ends>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn start(args: &[&str]) -> Self {
        let config = config(args);
        let bound = Server::bind(&config).await.expect("bind");
        Self::run(bound, &config)
    }

    pub fn run(bound: Bound, config: &Config) -> Self {
        let addr = bound.local_addrs()[0];
        let ends = Arc::new(Ends::default());
        let limit = usize::try_from(config.max_message_bytes.as_u64()).expect("size");
        let service =
            AnomalyServiceServer::new(Echo(Arc::clone(&ends))).max_decoding_message_size(limit);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.await;
            };
            bound
                .run(
                    Routes::new(service),
                    Arc::new(hasher()),
                    Arc::new(Metrics::new()),
                    shutdown,
                )
                .await
                .expect("run");
        });
        Self {
            addr,
            ends,
            stop: Some(stop),
            task,
        }
    }

    /// Asks the server to stop, without waiting.
    pub fn stop(&mut self) {
        let _ = self.stop.take().expect("not stopped yet").send(());
    }

    /// Waits until the server has stopped.
    pub async fn stopped(self) {
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, self.task)
            .await
            .expect("stops")
            .expect("no panic");
    }
}

/// A response as received.
#[derive(Debug)]
pub struct Answer {
    pub http: http::StatusCode,
    /// Headers and trailers.
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn status(&self) -> Status {
        Status::from_header_map(&self.headers).expect("a gRPC status")
    }

    /// The reason of the status, after checking what every failure must carry.
    pub fn reason(&self) -> String {
        let status = self.status();
        let details = status.get_error_details();
        let info = details
            .error_info()
            .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
        assert_eq!(info.domain, "anomalyd");
        let id = self.headers["x-request-id"].to_str().expect("text");
        assert_eq!(info.metadata["request_id"], id);
        assert!(!status.message().is_empty());
        info.reason.clone()
    }

    /// The text that Predict echoed.
    pub fn echo(&self) -> String {
        assert_eq!(self.status().code(), tonic::Code::Ok, "{:?}", self.status());
        let response = PredictResponse::decode(&self.body[5..]).expect("response");
        let predictions = response.predictions.expect("predictions");
        predictions.summary.expect("summary").run_id
    }
}

/// One message of gRPC.
pub fn frame(message: &[u8]) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(message.len()).expect("length").to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.into()
}

/// The message that makes Predict do something.
pub fn predict(run_id: &str) -> Bytes {
    let request = PredictRequest {
        run_id: run_id.to_owned(),
        ..Default::default()
    };
    frame(&request.encode_to_vec())
}

/// A gRPC call with these headers and this body, on a connection of its own.
pub async fn call(addr: SocketAddr, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let mut request = Request::post(format!("http://{addr}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(addr, request.body(Full::new(body)).expect("request")).await
}

/// An HTTP/2 request, on a connection of its own.
pub async fn send(addr: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(addr).await.expect("connect");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("handshake");
    tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("response");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body");
    let mut headers = parts.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Answer {
        http: parts.status,
        headers,
        body: body.to_bytes(),
    }
}

/// Calls Predict with a valid token.
pub async fn predict_as(addr: SocketAddr, token: &str, run_id: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    call(
        addr,
        PREDICT,
        &[("authorization", &bearer)],
        predict(run_id),
    )
    .await
}

/// A channel to the server.
pub async fn channel(addr: SocketAddr) -> Channel {
    let url = format!("http://{addr}");
    Endpoint::from_shared(url)
        .expect("url")
        .connect()
        .await
        .expect("connect")
}
