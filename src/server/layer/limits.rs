//! Refuses requests with too much metadata, and requests over the number that may be in progress at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use tower::Service;

use crate::error::{Error, Result, reason};
use crate::server::open_connections::InProgress;
use crate::service::status;

/// The most bytes of metadata of a request, counted as HTTP/2 does; the largest token fits easily.
const MAX_METADATA_BYTES: usize = 16 * 1024;

/// What HTTP/2 counts for each entry beside its name and value (RFC 9113, section 6.5.2).
const ENTRY_BYTES: usize = 32;

/// Refuses requests over the limits.
#[derive(Clone)]
pub(crate) struct Limits<S> {
    inner: S,
}

impl<S> Limits<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, A, B> Service<Request<A>> for Limits<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<B>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let in_progress = request.extensions().get::<Arc<InProgress>>();
        let checked = check_metadata(&request)
            .and_then(|()| in_progress.map_or(Ok(()), |in_progress| in_progress.check()));
        match checked {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(ready(Ok(status::of(error).into_http()))),
        }
    }
}

fn check_metadata<B>(request: &Request<B>) -> Result<()> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str());
    let headers = request.headers().iter();
    let entries = headers.map(|(name, value)| name.as_str().len() + value.len() + ENTRY_BYTES);
    let n_bytes = path.len() + entries.sum::<usize>();
    if n_bytes <= MAX_METADATA_BYTES {
        return Ok(());
    }
    Err(Error::new(
        reason::METADATA_TOO_LARGE,
        format!(
            "the metadata of the request has {n_bytes} bytes, counted as HTTP/2 does, and at most {MAX_METADATA_BYTES} are taken; send less of it"
        ),
    ))
}
