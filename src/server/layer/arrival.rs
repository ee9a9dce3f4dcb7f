//! Ends requests that do not arrive: a client that opens a stream and sends nothing would hold it for ever.
//!
//! A request of one message must arrive whole, one that streams only its first message: the pauses after that are its
//! client's choice. Time counts as long as the server waits and nothing comes, so a slow network is no reason.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tower::Service;

use super::framing::Framing;
use crate::error::{Error, reason};
use crate::server::methods::method;
use crate::service::status;

/// Ends requests that do not arrive.
#[derive(Clone)]
pub(crate) struct Arrival<S> {
    inner: S,
    timeout: Duration,
}

impl<S> Arrival<S> {
    /// A layer that ends requests of which nothing has come for `timeout`.
    pub(crate) fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

impl<S, A, B> Service<Request<A>> for Arrival<S>
where
    S: Service<Request<Arriving<A>>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let takes_stream = method(request.uri().path()).is_some_and(|method| method.takes_stream);
        let first_message = takes_stream.then(Framing::default);
        let request = request.map(|inner| Arriving {
            inner,
            is_awaited: true,
            first_message,
            timeout: self.timeout,
            silence: None,
        });
        self.inner.call(request)
    }
}

pin_project! {
    /// A request body that must arrive.
    pub(crate) struct Arriving<B> {
        #[pin]
        inner: B,
        is_awaited: bool,
        // of a request that streams
        first_message: Option<Framing>,
        timeout: Duration,
        // runs while nothing comes
        silence: Option<Pin<Box<Sleep>>>,
    }
}

impl<B> Body for Arriving<B>
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
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.silence = None;
            if let Some(message) = this.first_message
                && *this.is_awaited
                && let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                *this.is_awaited = !is_whole_with(message, data);
            }
            return Poll::Ready(frame);
        }
        if !*this.is_awaited {
            return Poll::Pending;
        }
        let timeout = *this.timeout;
        let silence = this.silence.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(silence.as_mut().poll(cx));
        *this.is_awaited = false;
        *this.silence = None;
        Poll::Ready(Some(Err(not_arrived(timeout))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn not_arrived(timeout: Duration) -> Status {
    status::of(Error::new(
        reason::REQUEST_TIMEOUT,
        format!(
            "nothing more of the request came for {timeout:?} (`arrival_timeout`), and it is not whole; send its messages sooner, and end it after the last one"
        ),
    ))
}

/// Whether the first message of a body is whole with its next bytes.
fn is_whole_with(message: &mut Framing, mut data: &[u8]) -> bool {
    while let Some(step) = message.step(&mut data) {
        if step.ends_message {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_whole_with_its_last_byte_however_it_is_cut() {
        let length = 300;
        let mut body = vec![0, 0, 0, 1, 44];
        body.resize(5 + length + 7, 0xff);
        for size in 1..body.len() {
            let mut message = Framing::default();
            let mut n_bytes = 0;
            for part in body.chunks(size) {
                n_bytes += part.len();
                let is_whole = is_whole_with(&mut message, part);
                assert_eq!(is_whole, n_bytes >= 5 + length, "{size}");
                if is_whole {
                    break;
                }
            }
        }
        assert!(
            is_whole_with(&mut Framing::default(), &[1, 0, 0, 0, 0]),
            "empty"
        );
    }
}
