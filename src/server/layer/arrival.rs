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

use crate::error::{Error, reason};
use crate::server::methods::is_client_streaming;
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
        let first_message = is_client_streaming(request.uri().path()).then(FirstMessage::default);
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
        first_message: Option<FirstMessage>,
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
                && let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                *this.is_awaited &= !message.is_whole_with(data);
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

/// How much of the first message of a body has come.
#[derive(Default)]
struct FirstMessage {
    n_bytes: u64,
    /// The length in its header, as far as that has come.
    length: u64,
}

impl FirstMessage {
    /// The bytes before a message: whether it is compressed, and its length.
    const HEADER: u64 = 5;

    /// Counts the next bytes of the body. Returns whether the message is whole now.
    fn is_whole_with(&mut self, mut data: &[u8]) -> bool {
        while self.n_bytes < Self::HEADER
            && let Some((byte, rest)) = data.split_first()
        {
            if self.n_bytes > 0 {
                self.length = self.length << 8 | u64::from(*byte);
            }
            self.n_bytes += 1;
            data = rest;
        }
        self.n_bytes += data.len() as u64;
        self.n_bytes >= Self::HEADER + self.length
    }
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
            let mut message = FirstMessage::default();
            let mut n_bytes = 0;
            for part in body.chunks(size) {
                n_bytes += part.len();
                assert_eq!(message.is_whole_with(part), n_bytes >= 5 + length, "{size}");
            }
        }
        assert!(
            FirstMessage::default().is_whole_with(&[1, 0, 0, 0, 0]),
            "empty"
        );
    }
}
