//! A service that behaves as the run id says, a server around it, and clients that see every
//! header.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anomalyd::caller::{Deadline, Presence};
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
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::codegen::BoxStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};
use tonic_types::StatusExt as _;

/// The bytes of the answer to the run id `large`.
pub const LARGE: usize = 4 << 20;

pub const PREDICT: &str = "/anomaly.v1.AnomalyService/Predict";
pub const TRAIN: &str = "/anomaly.v1.AnomalyService/Train";

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
        assert_eq!(info.metadata["call_id"], id);
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

/// The message that makes Train do something.
pub fn train(run_id: &str) -> Bytes {
    let request = TrainRequest {
        run_id: run_id.to_owned(),
        ..Default::default()
    };
    frame(&request.encode_to_vec())
}

/// A gRPC call with these headers and this body, on a connection of its own.
pub async fn call(addr: SocketAddr, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let connection = Connection::open(addr).await;
    connection.call(path, headers, whole(body)).await
}

/// An HTTP/2 request, on a connection of its own.
pub async fn send(addr: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let request = request.map(http_body_util::BodyExt::boxed_unsync);
    Connection::open(addr).await.send(request).await
}

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// A body of which nothing comes after these bytes, not even its end.
pub fn unfinished(bytes: Bytes) -> Body {
    let first = tokio_stream::once(Ok(Frame::data(bytes)));
    StreamBody::new(first.chain(tokio_stream::pending())).boxed_unsync()
}

/// A connection that several requests can be in progress on.
pub struct Connection {
    addr: SocketAddr,
    sender: SendRequest<Body>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("connect");
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("handshake");
        Self {
            addr,
            sender,
            task: tokio::spawn(connection),
        }
    }

    /// A gRPC call with these headers and this body.
    pub fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let mut request = Request::post(format!("http://{}{path}", self.addr))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body).expect("request"))
    }

    pub fn send(&self, request: Request<Body>) -> impl Future<Output = Answer> + Send + use<> {
        let mut sender = self.sender.clone();
        async move {
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
    }

    /// Begins a request that does not end, and waits until it has reached the server.
    pub async fn sleep(&self) -> JoinHandle<Answer> {
        let auth = [("authorization", "Bearer alice")];
        let sleeper = tokio::spawn(self.call(PREDICT, &auth, whole(predict("sleep"))));
        // it is sent before the next one
        tokio::task::yield_now().await;
        let next = self.call(PREDICT, &auth, whole(predict("next"))).await;
        assert_eq!(next.echo(), "next");
        sleeper
    }

    /// Waits until the server has closed it.
    pub async fn closed(self) {
        let limit = std::time::Duration::from_secs(30);
        let ended = tokio::time::timeout(limit, self.task).await;
        let ended = ended.expect("it is closed").expect("no panic");
        ended.expect("it is closed in order");
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
