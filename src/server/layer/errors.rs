//! Makes every failure readable: each failed status that leaves the server carries an `ErrorInfo` with the
//! id of the call.
//!
//! The transport below the handlers answers some requests itself, with a bare status: OUT_OF_RANGE for a message that
//! is too large, INTERNAL for one that cannot be decoded, an empty UNIMPLEMENTED for an unknown method. These are
//! replaced by statuses that a caller can act on. A panic becomes INTERNAL. What is not gRPC is refused with a text.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;

use crate::error::{Error, panic_message, reason};
use crate::service::status::{self, code_name, with_call_id, with_reason};
use crate::telemetry::CallId;

use super::protocol::{self, Refusal};

/// Makes every failure readable.
#[derive(Clone)]
pub(crate) struct Errors<S> {
    inner: S,
    max_message_bytes: usize,
}

impl<S> Errors<S> {
    /// A layer around services that receive messages of up to `max_message_bytes`.
    pub(crate) fn new(inner: S, max_message_bytes: usize) -> Self {
        Self {
            inner,
            max_message_bytes,
        }
    }
}

/// The facts about a request that its status is repaired with.
#[derive(Clone)]
struct Repair {
    call_id: Option<CallId>,
    path: http::uri::PathAndQuery,
    max_message_bytes: usize,
}

impl<S, A, B> Service<Request<A>> for Errors<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    B: Default,
{
    type Response = Response<Repaired<B>>;
    type Error = Infallible;
    type Future = Repairing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let repair = Repair {
            call_id: request.extensions().get().cloned(),
            path: request
                .uri()
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| http::uri::PathAndQuery::from_static("/")),
            max_message_bytes: self.max_message_bytes,
        };
        match protocol::refuse_http2(&request) {
            Some(refusal) => Repairing::NotGrpc { refusal },
            None => Repairing::Grpc {
                inner: self.inner.call(request),
                repair: Some(repair),
            },
        }
    }
}

pin_project! {
    /// A response whose status is made readable.
    #[project = RepairingProj]
    pub(crate) enum Repairing<F> {
        NotGrpc { refusal: Refusal },
        Grpc { #[pin] inner: F, repair: Option<Repair> },
    }
}

impl<F, B> Future for Repairing<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Default,
{
    type Output = Result<Response<Repaired<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, repair) = match self.project() {
            RepairingProj::NotGrpc { refusal } => {
                return Poll::Ready(Ok(refusal.response().map(Repaired::text)));
            }
            RepairingProj::Grpc { inner, repair } => (inner, repair),
        };
        let mut response = match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(poll) => {
                let Ok(response) = ready!(poll);
                response
            }
            Err(panic) => status::of(panicked(&*panic)).into_http(),
        };
        let repair = repair.take();
        if let Some(repair) = &repair {
            repair.apply(response.headers_mut());
        }
        Poll::Ready(Ok(response.map(|inner| Repaired {
            inner,
            repair,
            text: None,
            is_done: false,
        })))
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic_message(panic);
    Error::new(reason::INTERNAL, format!("a handler panicked: {text}"))
}

pin_project! {
    /// A response body whose trailers are made readable, or a text in its place.
    #[derive(Default)]
    pub(crate) struct Repaired<B> {
        #[pin]
        inner: B,
        repair: Option<Repair>,
        text: Option<Bytes>,
        is_done: bool,
    }
}

impl<B: Default> Repaired<B> {
    fn text(text: Bytes) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }
}

impl<B> Body for Repaired<B>
where
    B: Body<Data = Bytes, Error = Status>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if *this.is_done {
            return Poll::Ready(None);
        }
        if let Some(text) = this.text.take() {
            *this.is_done = true;
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
        let poll = catch_unwind(AssertUnwindSafe(|| this.inner.poll_frame(cx)));
        let mut frame = match poll {
            Ok(poll) => match ready!(poll) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            },
            Err(panic) => {
                *this.is_done = true;
                let mut trailers = HeaderMap::new();
                status::of(panicked(&*panic)).add_header(&mut trailers)?;
                Frame::trailers(trailers)
            }
        };
        if let (Some(trailers), Some(repair)) = (frame.trailers_mut(), &this.repair) {
            repair.apply(trailers);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done || (self.text.is_none() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.text {
            Some(text) => SizeHint::with_exact(text.len() as u64),
            None => self.inner.size_hint(),
        }
    }
}

impl Repair {
    /// Makes the status in these headers or trailers readable, if there is one and it is a failure.
    fn apply(&self, headers: &mut HeaderMap) {
        match headers.get(Status::GRPC_STATUS) {
            None => return,
            Some(code) if code.as_bytes() == b"0" => return,
            Some(_) => {}
        }
        let Some(mut status) = Status::from_header_map(headers) else {
            return;
        };
        if status.details().is_empty() {
            status = self.explain(&status);
        }
        let call_id = self.call_id.as_ref().map_or("", CallId::as_str);
        let readable = with_call_id(&status, call_id);

        let mut fresh = HeaderMap::with_capacity(3);
        if readable.add_header(&mut fresh).is_err() {
            // the status that is there is still valid
            return;
        }
        for name in [
            Status::GRPC_STATUS,
            Status::GRPC_MESSAGE,
            Status::GRPC_STATUS_DETAILS,
        ] {
            headers.remove(&name);
            if let Some(value) = fresh.remove(&name) {
                headers.insert(name, value);
            }
        }
    }

    /// A readable status for a bare one of the transport.
    fn explain(&self, status: &Status) -> Status {
        let message = status.message();
        match status.code() {
            Code::OutOfRange if message.contains("message length too large") => {
                self.too_large(message)
            }
            Code::Internal if is_of_the_decoder(message) => status::of(Error::new(
                reason::UNDECODABLE_MESSAGE,
                format!(
                    "the message cannot be decoded: {}; send a message of the type that the method takes",
                    decoder_text(message)
                ),
            )),
            Code::Unimplemented if message.is_empty() => with_reason(
                Code::Unimplemented,
                "UNKNOWN_METHOD",
                format!(
                    "there is no method {}; gRPC reflection and the published protos list those there are",
                    shorten(self.path.path())
                ),
            ),
            Code::Internal | Code::Unknown => status::of(Error::new(
                reason::INTERNAL,
                format!("bare status: {message}"),
            )),
            code => with_reason(code, code_name(code), message),
        }
    }

    fn too_large(&self, message: &str) -> Status {
        let found = message
            .split_once("found ")
            .and_then(|(_, rest)| rest.split_once(" bytes"))
            .map_or_else(String::new, |(found, _)| format!(" of {found} bytes"));
        status::of(Error::new(
            reason::MESSAGE_TOO_LARGE,
            format!(
                "the message{found} is larger than the limit of {} bytes (`max_message_bytes`); send less at once, or in a stream",
                self.max_message_bytes
            ),
        ))
    }
}

/// Whether the message is one of the request decoder's, about bytes of the client.
fn is_of_the_decoder(message: &str) -> bool {
    [
        "failed to decode Protobuf message",
        "protocol error:",
        "Missing request message",
        "Unexpected EOF decoding stream",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// The start and the end of the decoder's message: the path to a nested field between them can be long.
fn decoder_text(message: &str) -> String {
    const EDGE: usize = 200;
    if message.len() <= 2 * EDGE {
        return message.to_owned();
    }
    let start = &message[..message.floor_char_boundary(EDGE)];
    let end = &message[message.ceil_char_boundary(message.len() - EDGE)..];
    format!("{start} ... {end}")
}

fn shorten(path: &str) -> &str {
    &path[..path.floor_char_boundary(200)]
}
