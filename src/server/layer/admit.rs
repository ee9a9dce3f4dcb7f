//! A budget for the bytes of request messages that are held at once, over all requests.
//!
//! Bytes count from their arrival. A message stops counting when the next one is complete or the request is answered. So a
//! unary request counts until its response, and a stream counts with its newest whole message and the received part of the
//! next one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;

use crate::error::{Error, reason};
use crate::service::status::{self, with_reason};

/// Refuses requests that do not fit in the budget.
#[derive(Clone)]
pub(crate) struct Admit<S> {
    inner: S,
    budget: Arc<Budget>,
}

impl<S> Admit<S> {
    /// A layer with a budget of `limit` bytes.
    pub(crate) fn new(inner: S, limit: usize) -> Self {
        let budget = Arc::new(Budget {
            limit,
            held: AtomicUsize::new(0),
        });
        Self { inner, budget }
    }
}

impl<S, A, B> Service<Request<A>> for Admit<S>
where
    S: Service<Request<Admitted<A>>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Holding<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let share = Arc::new(Share {
            budget: Arc::clone(&self.budget),
            held: AtomicUsize::new(0),
        });
        let request = request.map(|inner| Admitted {
            inner,
            share: Arc::clone(&share),
            framing: Framing::default(),
        });
        Holding {
            inner: self.inner.call(request),
            share,
        }
    }
}

struct Budget {
    limit: usize,
    held: AtomicUsize,
}

/// The share of one request in the budget; given back when both its body and its response are done.
struct Share {
    budget: Arc<Budget>,
    held: AtomicUsize,
}

impl Share {
    fn take(&self, bytes: usize) -> Result<(), Error> {
        let Budget { limit, held } = &*self.budget;
        let taken = held.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|sum| sum <= limit)
        });
        if taken.is_err() {
            return Err(Error::new(
                reason::OVERLOADED,
                format!(
                    "the requests in progress hold all of the {limit} bytes that the server has for them (`request_memory_bytes`); try again later, or send less at once"
                ),
            ));
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            self.budget.held.fetch_sub(bytes, Ordering::AcqRel);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.held.load(Ordering::Relaxed));
    }
}

pin_project! {
    /// A response future that keeps the share of its request.
    pub(crate) struct Holding<F> {
        #[pin]
        inner: F,
        share: Arc<Share>,
    }
}

impl<F: Future> Future for Holding<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

pin_project! {
    /// A request body whose bytes count.
    pub(crate) struct Admitted<B> {
        #[pin]
        inner: B,
        share: Arc<Share>,
        framing: Framing,
    }
}

impl<B> Body for Admitted<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        // a reader that asks for more is done with all whole messages but the newest
        this.share.give_back(std::mem::take(&mut this.framing.done));
        let frame = match ready!(this.inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(broken_off(error.into())))),
            // a stream that was reset without an error code also ends here, and can only be told from a complete
            // one here
            None if !this.inner.is_end_stream() => {
                return Poll::Ready(Some(Err(broken_off("the stream was reset".into()))));
            }
            None => return Poll::Ready(None),
        };
        if let Some(data) = frame.data_ref() {
            if let Err(error) = this.share.take(data.len()) {
                return Poll::Ready(Some(Err(status::of(error))));
            }
            this.framing.feed(data);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The status of an aborted request. Not CANCELLED, which tonic would take for the end of the
/// stream.
fn broken_off(cause: tonic::codegen::StdError) -> Status {
    tracing::debug!("request broken off: {cause}");
    with_reason(
        Code::Aborted,
        "REQUEST_BROKEN_OFF",
        "the client left before its request was complete",
    )
}

const HEADER: usize = 5;

/// Finds the boundaries of the length-prefixed messages of gRPC in the chunks of a body.
#[derive(Default)]
struct Framing {
    /// Bytes of the whole messages before the newest, until they are given back.
    done: usize,
    /// Bytes of the newest whole message.
    newest: usize,
    /// Bytes received of the message after it.
    current: usize,
    /// The length in its header, as far as it was received.
    length: u32,
    /// Bytes of its content still to be received, once its header is complete.
    missing: usize,
}

impl Framing {
    fn feed(&mut self, mut data: &[u8]) {
        while let Some((first, rest)) = data.split_first() {
            if self.current < HEADER {
                // the first byte says whether the message is compressed
                let byte = if self.current == 0 { 0 } else { *first };
                self.length = self.length << 8 | u32::from(byte);
                self.current += 1;
                self.missing = self.length as usize;
                data = rest;
            } else {
                let part = self.missing.min(data.len());
                self.current += part;
                self.missing -= part;
                data = &data[part..];
            }
            if self.current >= HEADER && self.missing == 0 {
                self.done += std::mem::replace(&mut self.newest, self.current);
                self.current = 0;
                self.length = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(length).expect("length").to_be_bytes());
        bytes.resize(HEADER + length, 0xff);
        bytes
    }

    proptest! {
        #[test]
        fn message_boundaries_are_found_however_the_bytes_are_cut(
            lengths in prop::collection::vec(0usize..300, 1..10),
            chunk in 1usize..40,
            cut in 0usize..300,
        ) {
            let mut bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let partial = &message(300)[..cut];
            bytes.extend_from_slice(partial);
            let mut framing = Framing::default();
            for part in bytes.chunks(chunk) {
                framing.feed(part);
            }
            let newest = HEADER + lengths[lengths.len() - 1];
            prop_assert_eq!(framing.newest, newest);
            prop_assert_eq!(framing.current, cut);
            prop_assert_eq!(framing.done + framing.newest + framing.current, bytes.len());
        }
    }

    fn share(limit: usize) -> Share {
        Share {
            budget: Arc::new(Budget {
                limit,
                held: AtomicUsize::new(0),
            }),
            held: AtomicUsize::new(0),
        }
    }

    #[test]
    fn the_budget_is_kept_and_given_back() {
        let first = share(100);
        let budget = Arc::clone(&first.budget);
        let second = Share {
            budget: Arc::clone(&budget),
            held: AtomicUsize::new(0),
        };
        first.take(60).expect("fits");
        assert_eq!(
            second.take(41).expect_err("full").reason(),
            reason::OVERLOADED
        );
        second.take(40).expect("fits exactly");
        first.give_back(10);
        second.take(10).expect("fits again");
        drop(first);
        assert_eq!(budget.held.load(Ordering::Relaxed), 50);
        drop(second);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
