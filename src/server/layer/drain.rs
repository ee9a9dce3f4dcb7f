//! Ends requests with UNAVAILABLE when the server stops: at once the streams that may never end by themselves, health watches
//! and reflection, for which the drain does not wait; and all others when its time is over.

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

/// Ends requests when the server stops.
#[derive(Clone)]
pub(crate) struct Drain<S> {
    inner: S,
    draining: CancellationToken,
    overdue: CancellationToken,
}

impl<S> Drain<S> {
    /// A layer that ends health and reflection when `draining` fires, and everything else when `overdue` does.
    pub(crate) fn new(inner: S, draining: CancellationToken, overdue: CancellationToken) -> Self {
        Self {
            inner,
            draining,
            overdue,
        }
    }
}

impl<S, A, B> Service<Request<A>> for Drain<S>
where
    S: Service<Request<Until<A>>, Response = Response<B>, Error = Infallible>,
    B: Default,
{
    type Response = Response<Until<B>>;
    type Error = Infallible;
    type Future = Ending<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let is_public = is_public(&request);
        // reflection reads its requests in a task of its own, which ends with them
        let request_end = is_public.then(|| End::at(&self.draining));
        let end = End::at(match is_public {
            true => &self.draining,
            false => &self.overdue,
        });
        let request = request.map(|inner| Until::new(inner, request_end, || Err(stopping())));
        Ending {
            inner: self.inner.call(request),
            end: Some(end),
        }
    }
}

/// When something ends.
struct End {
    token: CancellationToken,
    /// Made when it is first waited for, which most responses never are.
    fired: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl End {
    fn at(token: &CancellationToken) -> Self {
        Self {
            token: token.clone(),
            fired: None,
        }
    }

    fn has_fired(&self) -> bool {
        self.token.is_cancelled()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let token = &self.token;
        let fired = self
            .fired
            .get_or_insert_with(|| Box::pin(token.clone().cancelled_owned()));
        fired.as_mut().poll(cx)
    }
}

pin_project! {
    /// A response that may be cut off, before it begins or in its body.
    pub(crate) struct Ending<F> {
        #[pin]
        inner: F,
        end: Option<End>,
    }
}

impl<F, B> Future for Ending<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Default,
{
    type Output = Result<Response<Until<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Poll::Ready(Ok(response)) = this.inner.poll(cx) else {
            if let Some(end) = this.end {
                ready!(end.poll(cx));
                return Poll::Ready(Ok(stopping().into_http()));
            }
            return Poll::Pending;
        };
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
        "the server is stopping and did not finish the request; connect again to reach another one, and if it was a write, look whether it took effect",
    ))
}

type LastFrame = fn() -> Result<Frame<Bytes>, Status>;

/// When a body is cut off, and its last frame.
struct Cut {
    end: End,
    last: LastFrame,
}

pin_project! {
    /// A body that may be cut off.
    #[derive(Default)]
    pub(crate) struct Until<B> {
        #[pin]
        inner: B,
        cut: Option<Cut>,
        has_fired: bool,
        is_cut: bool,
    }
}

impl<B> Until<B> {
    fn new(inner: B, end: Option<End>, last: LastFrame) -> Self {
        Self {
            inner,
            cut: end.map(|end| Cut { end, last }),
            has_fired: false,
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
        match this.inner.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                // what was there before the end is still sent, but a stream that always has more is cut off, too
                if !*this.has_fired {
                    let end = this.cut.as_ref().map(|cut| &cut.end);
                    *this.has_fired = end.is_some_and(End::has_fired);
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            Poll::Ready(other) => return Poll::Ready(other),
            Poll::Pending => match this.cut {
                Some(cut) => ready!(cut.end.poll(cx)),
                None => return Poll::Pending,
            },
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
