//! Gives each request an id, in its extensions, its response and its span, and logs its end in one line.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;
use tracing::Span;

use crate::server::methods::method;
use crate::server::open_connections::InProgress;
use crate::service::status::code_name;
use crate::telemetry::CallId;

const CALL_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id and logs its end.
#[derive(Clone)]
pub(crate) struct Observe<S> {
    inner: S,
}

impl<S> Observe<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, A, B> Service<Request<A>> for Observe<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Observed<B>>;
    type Error = Infallible;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call_id = request
            .headers()
            .get(CALL_ID)
            .and_then(CallId::from_caller)
            .unwrap_or_else(CallId::generate);
        let path = request.uri().path_and_query().cloned();
        let span = tracing::info_span!(
            parent: None,
            "rpc",
            rpc = rpc_name(path.as_ref()),
            call_id = %call_id,
            owner = tracing::field::Empty,
        );
        let in_progress = request.extensions().get().cloned();
        request.extensions_mut().insert(call_id.clone());
        let inner = span.in_scope(|| self.inner.call(request));
        Observing {
            inner,
            call: Some(Call {
                span,
                path,
                call_id,
                started: Instant::now(),
                code: None,
                _in_progress: in_progress,
            }),
        }
    }
}

/// A request in progress. Its end is logged when this is dropped.
struct Call {
    span: Span,
    path: Option<PathAndQuery>,
    call_id: CallId,
    started: Instant,
    code: Option<Code>,
    /// Counts the request until it ends.
    _in_progress: Option<Arc<InProgress>>,
}

impl Call {
    /// Notes the status in these headers or trailers, if there is one.
    fn note_status(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // without a status, the client left or the connection broke
        let code = self.code.unwrap_or(Code::Cancelled);
        let _entered = self.span.enter();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    code = code_name(code),
                    milliseconds = self.started.elapsed().as_micros() as f64 / 1000.0,
                    "done"
                )
            };
        }
        match code {
            Code::Ok if is_quiet(self.path.as_ref()) => line!(debug),
            Code::Internal | Code::Unknown | Code::DataLoss => line!(error),
            Code::ResourceExhausted
            | Code::Aborted
            | Code::Unavailable
            | Code::DeadlineExceeded => line!(warn),
            _ => line!(info),
        }
    }
}

/// `package.Service/Method`, cut if it is longer than any real name.
fn rpc_name(path: Option<&PathAndQuery>) -> &str {
    let path = path.map_or("", PathAndQuery::path);
    let path = path.strip_prefix('/').unwrap_or(path);
    &path[..path.floor_char_boundary(200)]
}

/// Whether a success is logged at the debug level only: methods that are safe to repeat change nothing, or next to nothing.
fn is_quiet(path: Option<&PathAndQuery>) -> bool {
    let method = path.and_then(|path| method(path.path()));
    method.is_some_and(|method| !method.is_write())
}

pin_project! {
    /// A response future that is observed.
    pub(crate) struct Observing<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F, B> Future for Observing<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Observed<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(match this.call {
            Some(call) => {
                let _entered = call.span.enter();
                this.inner.poll(cx)
            }
            None => this.inner.poll(cx),
        });
        let mut call = this.call.take();
        if let Some(call) = &mut call {
            if response.status() != StatusCode::OK {
                // it was refused as not gRPC
                call.code = Some(Code::Unimplemented);
            }
            let headers = response.headers_mut();
            call.note_status(headers);
            headers.insert(CALL_ID, call.call_id.header());
        }
        Poll::Ready(Ok(response.map(|inner| Observed { inner, call })))
    }
}

pin_project! {
    /// A response body that is observed for its status.
    pub(crate) struct Observed<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
    }
}

impl<B> Body for Observed<B>
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
        let Some(call) = this.call else {
            return this.inner.poll_frame(cx);
        };
        let frame = {
            let _entered = call.span.enter();
            ready!(this.inner.poll_frame(cx))
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    call.note_status(trailers);
                }
            }
            Some(Err(status)) => call.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
