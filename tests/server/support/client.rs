//! Clients that see every header.

use std::convert::Infallible;
use std::net::SocketAddr;

use anomalyd::proto::v1::{PredictRequest, PredictResponse, TrainRequest};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

pub const PREDICT: &str = "/anomaly.v1.AnomalyService/Predict";
pub const TRAIN: &str = "/anomaly.v1.AnomalyService/Train";

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
