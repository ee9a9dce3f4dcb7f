//! A budget for the memory of requests, over all of them.
//!
//! A message counts from its arrival, once for the bytes that arrive and once for what they are decoded to. It stops counting when
//! its rows have been read into a table, which counts instead, when the next message is complete, or when the request is answered.
//! So a unary request counts until its response, and a stream counts with its newest whole message, the received part of the
//! next one, the buffer of its largest one, and the tables that are being scored.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower::Service;

use super::framing::{Framing, Part};
use super::weigh::Weigher;
use crate::error::Result;
use crate::memory::{Budget, RequestMemory, Share};
use crate::server::message_types::MessageType;
use crate::server::methods::method;
use crate::service::status::{self, with_reason};

/// Refuses requests that do not fit in the budget.
#[derive(Clone)]
pub(crate) struct Admit<S> {
    inner: S,
    budget: Arc<Budget>,
}

impl<S> Admit<S> {
    pub(crate) fn new(inner: S, budget: Arc<Budget>) -> Self {
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

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let memory = RequestMemory::new(&self.budget);
        request.extensions_mut().insert(memory.clone());
        let method = method(request.uri().path());
        let arriving = Arriving {
            message: method.and_then(|method| method.request),
            framing: Framing::default(),
            weigher: Weigher::default(),
            incomplete: memory.share(),
            wire: 0,
            buffer: method
                .is_some_and(|method| method.takes_stream)
                .then(|| memory.share()),
            done: memory.share(),
            memory: memory.clone(),
        };
        let request = request.map(|inner| Admitted { inner, arriving });
        Holding {
            inner: self.inner.call(request),
            _memory: memory,
        }
    }
}

pin_project! {
    /// A response future that keeps the memory of its request.
    pub(crate) struct Holding<F> {
        #[pin]
        inner: F,
        _memory: RequestMemory,
    }
}

impl<F: Future> Future for Holding<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

pin_project! {
    /// A request body whose messages count.
    pub(crate) struct Admitted<B> {
        #[pin]
        inner: B,
        arriving: Arriving,
    }
}

/// The messages of a body, as far as they have arrived.
struct Arriving {
    /// Their type, if it is known.
    message: Option<&'static MessageType>,
    framing: Framing,
    weigher: Weigher,
    /// The share of the message that is not complete yet.
    incomplete: Share,
    /// How many bytes of it have arrived.
    wire: usize,
    /// In a stream, that of the buffer for the bytes that arrive, which never shrinks: it has room for the largest message so far.
    buffer: Option<Share>,
    /// That of the whole messages before the newest one, until they are given back.
    done: Share,
    /// Has that of the newest whole message.
    memory: RequestMemory,
}

impl Arriving {
    /// Counts the next bytes of the body.
    fn count(&mut self, mut data: &[u8]) -> Result<()> {
        let mut left = data.len();
        while let Some(step) = self.framing.step(&mut data) {
            // the bytes that have arrived, and those of memory that they will take
            self.incomplete.grow(match step.part {
                Part::Header => 1,
                Part::Length(length) => 1 + self.weigher.begin(self.message, u64::from(length)),
                Part::Content(bytes) => bytes.len() + self.weigher.feed(bytes),
            })?;
            self.wire += left - data.len();
            left = data.len();
            if step.ends_message {
                let wire = std::mem::take(&mut self.wire);
                if let Some(buffer) = &mut self.buffer {
                    let growth = wire.saturating_sub(buffer.bytes());
                    buffer.join(self.incomplete.split(growth));
                }
                let whole = self.incomplete.split(self.incomplete.bytes());
                self.done.join(self.memory.received(whole));
            }
        }
        Ok(())
    }

    /// Gives back all whole messages but the newest: a reader that asks for more is done with them.
    fn give_back(&mut self) {
        drop(self.done.split(self.done.bytes()));
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
        this.arriving.give_back();
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
        if let Some(data) = frame.data_ref()
            && let Err(error) = this.arriving.count(data)
        {
            return Poll::Ready(Some(Err(status::of(error))));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::framing::HEADER;
    use super::*;
    use crate::memory::Holders;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(length).expect("length").to_be_bytes());
        bytes.resize(HEADER + length, 0xff);
        bytes
    }

    fn arriving(budget: &Arc<Budget>) -> Arriving {
        let memory = RequestMemory::new(budget);
        Arriving {
            message: None,
            framing: Framing::default(),
            weigher: Weigher::default(),
            incomplete: memory.share(),
            wire: 0,
            buffer: None,
            done: memory.share(),
            memory,
        }
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
            let budget = Budget::new(Holders::Requests, 1 << 20);
            let mut arriving = arriving(&budget);
            for part in bytes.chunks(chunk) {
                arriving.count(part).expect("fits");
            }
            prop_assert_eq!(budget.held(), bytes.len());
            prop_assert_eq!(arriving.incomplete.bytes(), cut);
            arriving.give_back();
            let newest = HEADER + lengths[lengths.len() - 1];
            prop_assert_eq!(budget.held(), newest + cut);
            prop_assert_eq!(arriving.memory.take_message().bytes(), newest);
            prop_assert_eq!(budget.held(), cut);
            drop(arriving);
            prop_assert_eq!(budget.held(), 0);
        }
    }

    #[test]
    fn a_stream_counts_with_the_buffer_of_its_largest_message() {
        let budget = Budget::new(Holders::Requests, 1000);
        let mut arriving = arriving(&budget);
        arriving.buffer = Some(budget.share());
        for (length, largest) in [(95, 100), (295, 300), (45, 300)] {
            for part in message(length).chunks(40) {
                arriving.count(part).expect("fits");
            }
            arriving.give_back();
            drop(arriving.memory.take_message());
            assert_eq!(budget.held(), largest);
        }
        drop(arriving);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_given_back() {
        let budget = Budget::new(Holders::Requests, 400);
        let (mut first, mut second) = (arriving(&budget), arriving(&budget));
        first.count(&message(295)).expect("fits");
        assert!(second.count(&message(95)).is_ok());
        assert!(second.count(&[0]).is_err(), "there is no room for a byte");
        drop(first);
        let mut third = arriving(&budget);
        third.count(&message(295)).expect("fits again");
        drop((second, third));
        assert_eq!(budget.held(), 0);
    }
}
