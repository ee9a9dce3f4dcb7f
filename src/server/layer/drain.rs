//! Ends streams that may never end by themselves, health watches and reflection, when the server drains. They end
//! with UNAVAILABLE, and the drain does not wait for them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tower::Service;

use crate::error::{Error, reason};
use crate::service::status;

use super::is_public;

/// Ends the streams of health and reflection when the server drains.
#[derive(Clone)]
pub(crate) struct Drain<S> {
    inner: S,
    draining: CancellationToken,
}

impl<S> Drain<S> {
    pub(crate) fn new(inner: S, draining: CancellationToken) -> Self {
        Self { inner, draining }
    }
}

impl<S, A, B> Service<Request<A>> for Drain<S>
where
    S: Service<Request<Until<A>>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Until<B>>;
    type Error = Infallible;
    type Future = Ending<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let end = is_public(&request).then(|| self.draining.clone());
        let request = request.map(|inner| Until::new(inner, end.clone(), || Err(stopping())));
        Ending {
            inner: self.inner.call(request),
            end,
        }
    }
}

pin_project! {
    /// A response whose body may be cut off.
    pub(crate) struct Ending<F> {
        #[pin]
        inner: F,
        end: Option<CancellationToken>,
    }
}

impl<F, B> Future for Ending<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Until<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(cx));
        let end = this.end.take();
        let response = response.map(|inner| {
            Until::new(inner, end, || {
                let mut trailers = HeaderMap::new();
                stopping().add_header(&mut trailers)?;
                Ok(Frame::trailers(trailers))
            })
        });
        Poll::Ready(Ok(response))
    }
}

fn stopping() -> Status {
    status::of(Error::new(
        reason::UNAVAILABLE,
        "the server is stopping; connect again to reach another one",
    ))
}

type LastFrame = fn() -> Result<Frame<Bytes>, Status>;

/// When a body is cut off, and its last frame.
struct Cut {
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    last: LastFrame,
}

pin_project! {
    /// A body that may be cut off.
    #[derive(Default)]
    pub(crate) struct Until<B> {
        #[pin]
        inner: B,
        cut: Option<Cut>,
        is_cut: bool,
    }
}

impl<B> Until<B> {
    fn new(inner: B, end: Option<CancellationToken>, last: LastFrame) -> Self {
        let cut = end.map(|token| Cut {
            draining: Box::pin(token.cancelled_owned()),
            last,
        });
        Self {
            inner,
            cut,
            is_cut: false,
        }
    }
}

impl<B> Body for Until<B>
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
        if *this.is_cut {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        match this.cut {
            Some(cut) => ready!(cut.draining.as_mut().poll(cx)),
            None => return Poll::Pending,
        }
        *this.is_cut = true;
        Poll::Ready(this.cut.take().map(|cut| (cut.last)()))
    }

    fn is_end_stream(&self) -> bool {
        self.is_cut || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut.is_some() {
            SizeHint::default()
        } else {
            self.inner.size_hint()
        }
    }
}
