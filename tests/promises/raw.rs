//! Calls of any method with any bytes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::net::TcpStream;
use tonic::Status;

/// How long to wait for an answer beyond the deadline of its request.
const PATIENCE: Duration = Duration::from_secs(120);

/// The methods of all services of `anomaly.v1`.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(anomalyd::proto::DESCRIPTORS).expect("descriptors");
    let services = pool
        .services()
        .filter(|service| service.package_name() == "anomaly.v1");
    services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// The method of this name, such as `AnomalyService/Train`.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    let mut methods = methods().into_iter();
    let found = methods.find(|method| path(method).ends_with(name));
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

/// The path of a method in a request.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A connection to a server. It keeps no time itself, so that a server that misses a deadline is noticed.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// What a call was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// Headers and trailers.
    pub(crate) headers: HeaderMap,
    /// The encoded messages.
    pub(crate) messages: Vec<Bytes>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("accepted");
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        Self { address, sender }
    }

    /// Calls a method with encoded messages, whichever kind it is.
    pub(crate) async fn call(
        &mut self,
        method: &MethodDescriptor,
        authorization: &str,
        deadline: Duration,
        messages: &[Bytes],
    ) -> Answer {
        let request = Request::post(format!("http://{}{}", self.address, path(method)))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", authorization)
            .header("grpc-timeout", format!("{}m", deadline.as_millis()))
            .body(Full::new(framed(messages)))
            .expect("a request");
        let answer = tokio::time::timeout(deadline + PATIENCE, self.send(request)).await;
        answer.unwrap_or_else(|_| panic!("{} is not answered", method.full_name()))
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.sender.ready().await.expect("the connection lives");
        let response = self.sender.send_request(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let mut headers = parts.headers;
        let body = body.collect().await.expect("a whole response");
        headers.extend(body.trailers().cloned().unwrap_or_default());
        let mut body = body.to_bytes();
        let mut messages = Vec::new();
        while !body.is_empty() {
            assert_eq!(body.get_u8(), 0, "not compressed");
            let length = body.get_u32() as usize;
            messages.push(body.split_to(length));
        }
        let status = Status::from_header_map(&headers);
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {} {headers:?}", parts.status)),
            headers,
            messages,
        }
    }
}

/// Messages as gRPC frames them.
fn framed(messages: &[Bytes]) -> Bytes {
    let mut body = Vec::new();
    for message in messages {
        body.push(0);
        body.extend_from_slice(&(message.len() as u32).to_be_bytes());
        body.extend_from_slice(message);
    }
    body.into()
}
