//! A budget for the memory of answers, over all of them, from the first row that is listed until the last byte is sent.
//!
//! Handlers find the [`AnswerMemory`] in the extensions of the request, and reserve what a large answer takes before they make it.
//! Its bytes count until the connection has sent them. They are handed over a part at a time, and nothing more is asked of the
//! handler before all are sent: pages are not made ahead of their reader. A part that waits too long ends the stream, see
//! [`stall`](crate::server::stall).

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;
use tonic::Status;
use tower::Service;

use crate::error::Result;
use crate::memory::{AnswerMemory, Budget, Share};
use crate::server::methods::{Method, method};
use crate::server::stall::Waiting;
use crate::service::status;

/// How many bytes are handed to the connection at a time.
const PART_BYTES: usize = 256 << 10;

/// A short answer is handed over as a whole with its status, in one write, and its end does not wait until it is sent. As long as the
/// client does not read it, it counts. If short answers take up half of the budget, they are waited for, too.
const SHORT_BYTES: usize = 16 << 10;

/// Counts the memory of answers.
#[derive(Clone)]
pub(crate) struct Deliver<S> {
    inner: S,
    budget: Arc<Budget>,
}

impl<S> Deliver<S> {
    pub(crate) fn new(inner: S, budget: Arc<Budget>) -> Self {
        Self { inner, budget }
    }
}

impl<S, A, B> Service<Request<A>> for Deliver<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Delivered<B>>;
    type Error = Infallible;
    type Future = Delivering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let memory = AnswerMemory::new(&self.budget);
        request.extensions_mut().insert(memory.clone());
        let delivery = Delivery {
            budget: Arc::clone(&self.budget),
            memory,
            waiting: Waiting::of_this_stream(),
            is_write: method(request.uri().path()).is_some_and(Method::is_write),
        };
        Delivering {
            inner: self.inner.call(request),
            delivery: Some(delivery),
        }
    }
}

/// What an answer is delivered with.
struct Delivery {
    budget: Arc<Budget>,
    memory: AnswerMemory,
    waiting: Arc<Waiting>,
    is_write: bool,
}

impl Delivery {
    /// The share of bytes of the answer. Only those who reserve before can be refused: who is told to try a write again that is
    /// done would do it twice. Their bytes, and the few of a short answer, are held uncounted when there is no room.
    fn share(&self, bytes: usize) -> Result<Share> {
        match self.memory.encoded(bytes) {
            Err(_) if self.is_write || bytes <= SHORT_BYTES => Ok(Share::uncounted()),
            outcome => outcome,
        }
    }
}

pin_project! {
    /// A response future whose body will count.
    pub(crate) struct Delivering<F> {
        #[pin]
        inner: F,
        delivery: Option<Delivery>,
    }
}

impl<F, B> Future for Delivering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Delivered<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(cx));
        let delivery = this.delivery.take();
        if let Some(delivery) = &delivery {
            // a client that takes no bytes at all never asks for the body
            delivery.waiting.begin();
        }
        Poll::Ready(Ok(response.map(|inner| Delivered {
            inner,
            delivery,
            chunk: None,
            is_refused: false,
        })))
    }
}

/// Bytes of an answer that are being sent.
struct Chunk {
    /// Those that have not been handed over.
    left: Bytes,
    share: Arc<Share>,
    /// Ends when the part that was handed over is sent.
    sent: Option<oneshot::Receiver<()>>,
}

impl Chunk {
    /// The next part to hand over.
    fn next_part(&mut self, waiting: &Waiting) -> Option<Bytes> {
        if self.left.is_empty() {
            return None;
        }
        let bytes = self.left.split_to(self.left.len().min(PART_BYTES));
        let (sender, sent) = oneshot::channel();
        self.sent = Some(sent);
        waiting.begin();
        Some(Bytes::from_owner(Part {
            bytes,
            _share: Arc::clone(&self.share),
            _sent: Some(sender),
        }))
    }
}

/// Bytes that the connection drops when they are sent.
struct Part {
    bytes: Bytes,
    _share: Arc<Share>,
    /// Dropping it says that they are sent.
    _sent: Option<oneshot::Sender<()>>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pin_project! {
    /// A response body whose bytes count.
    #[derive(Default)]
    pub(crate) struct Delivered<B> {
        #[pin]
        inner: B,
        delivery: Option<Delivery>,
        // kept until the next one: the encoder holds its memory as long
        chunk: Option<Chunk>,
        is_refused: bool,
    }
}

impl<B> Body for Delivered<B>
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
        if *this.is_refused {
            return Poll::Ready(None);
        }
        let Some(delivery) = this.delivery else {
            return this.inner.poll_frame(cx);
        };
        if let Some(chunk) = this.chunk {
            if let Some(sent) = &mut chunk.sent {
                // nothing is ever sent over the channel: it is closed
                let _ = ready!(Pin::new(sent).poll(cx));
                chunk.sent = None;
            }
            if let Some(part) = chunk.next_part(&delivery.waiting) {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
        }
        // the client has taken what came before, and now waits for the handler
        delivery.waiting.end();
        let frame = ready!(this.inner.poll_frame(cx));
        *this.chunk = None;
        let bytes = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(bytes))) if !bytes.is_empty() => bytes,
            Some(Ok(Ok(empty))) => return Poll::Ready(Some(Ok(Frame::data(empty)))),
            Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
            Some(Err(status)) => return Poll::Ready(Some(Err(status))),
            None => return Poll::Ready(None),
        };
        let share = match delivery.share(bytes.len()) {
            Ok(share) => Arc::new(share),
            Err(error) => {
                *this.is_refused = true;
                let mut trailers = HeaderMap::new();
                status::of(error).add_header(&mut trailers)?;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        };
        if bytes.len() <= SHORT_BYTES && delivery.budget.held() <= delivery.budget.limit() / 2 {
            let whole = Part {
                bytes,
                _share: share,
                _sent: None,
            };
            delivery.waiting.begin();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(whole)))));
        }
        let chunk = this.chunk.insert(Chunk {
            left: bytes,
            share,
            sent: None,
        });
        let part = chunk.next_part(&delivery.waiting);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_refused || (self.chunk.is_none() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;
    use crate::memory::Holders;

    /// A body of these chunks, which counts how many have been asked for.
    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
        }
    }

    fn body(budget: &Arc<Budget>, lengths: &[usize]) -> Delivered<Chunks> {
        let chunks = lengths.iter().map(|&length| vec![7_u8; length].into());
        Delivered {
            inner: Chunks(chunks.collect()),
            delivery: Some(Delivery {
                budget: Arc::clone(budget),
                memory: AnswerMemory::new(budget),
                waiting: Arc::default(),
                is_write: false,
            }),
            chunk: None,
            is_refused: false,
        }
    }

    /// The next frame; `None` while the body waits.
    fn next(body: &mut Delivered<Chunks>) -> Option<Option<Frame<Bytes>>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame.map(|frame| frame.expect("no error"))),
            Poll::Pending => None,
        }
    }

    fn data(body: &mut Delivered<Chunks>) -> Bytes {
        let frame = next(body).expect("ready").expect("a frame");
        frame.into_data().expect("data")
    }

    #[test]
    fn a_long_answer_is_handed_over_part_by_part_and_counts_until_it_is_sent() {
        let budget = Budget::new(Holders::Answers, 4 * PART_BYTES);
        let mut body = body(&budget, &[2 * PART_BYTES + 1, PART_BYTES]);
        let mut n_bytes = 0;
        for length in [PART_BYTES, PART_BYTES, 1] {
            let part = data(&mut body);
            assert_eq!(part.len(), length);
            n_bytes += part.len();
            assert!(next(&mut body).is_none(), "the part is not sent yet");
            assert_eq!(budget.held(), 2 * PART_BYTES + 1);
            assert_eq!(body.inner.0.len(), 1, "nothing is made ahead");
            drop(part);
        }
        assert_eq!(n_bytes, 2 * PART_BYTES + 1);
        let second = data(&mut body);
        assert_eq!(budget.held(), PART_BYTES, "the first is sent");
        drop(body);
        assert_eq!(budget.held(), PART_BYTES, "the connection has it still");
        drop(second);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn nobody_waits_for_short_answers_unless_they_take_up_half_of_the_budget() {
        let budget = Budget::new(Holders::Answers, 4 * SHORT_BYTES);
        let lengths = [SHORT_BYTES; 4];
        let mut body = body(&budget, &lengths);
        let mut unread = vec![data(&mut body), data(&mut body), data(&mut body)];
        assert_eq!(budget.held(), 3 * SHORT_BYTES);
        assert!(next(&mut body).is_none(), "the third is waited for");
        unread.clear();
        unread.push(data(&mut body));
        assert!(next(&mut body).expect("ready").is_none(), "the end");
        unread.clear();
        drop(body);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn an_answer_that_does_not_fit_becomes_a_refusal() {
        let limit = 4 * SHORT_BYTES;
        let budget = Budget::new(Holders::Answers, limit);
        for (taken, length, reason) in [
            (limit, SHORT_BYTES + 1, "OVERLOADED"),
            (0, limit + 1, "ANSWER_TOO_LARGE"),
        ] {
            let mut other = budget.share();
            other.grow(taken).expect("fits");
            let mut body = body(&budget, &[length]);
            let frame = next(&mut body).expect("ready").expect("a frame");
            let trailers = frame.into_trailers().expect("trailers");
            let status = Status::from_header_map(&trailers).expect("a status");
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
            let details = tonic_types::StatusExt::get_error_details(&status);
            assert_eq!(details.error_info().expect("info").reason, reason);
            assert!(body.is_end_stream() && next(&mut body).expect("ready").is_none());
            assert_eq!(budget.held(), taken);
        }
    }

    #[test]
    fn short_answers_and_those_of_writes_are_never_refused() {
        let budget = Budget::new(Holders::Answers, 4 * SHORT_BYTES);
        let mut other = budget.share();
        other.grow(budget.limit()).expect("fits");
        for (length, is_write) in [(SHORT_BYTES, false), (PART_BYTES + 1, true)] {
            let mut body = body(&budget, &[length]);
            body.delivery.as_mut().expect("given").is_write = is_write;
            let mut n_bytes = 0;
            while n_bytes < length {
                let part = data(&mut body);
                n_bytes += part.len();
                assert!(next(&mut body).is_none(), "the part is not sent yet");
            }
            assert!(next(&mut body).expect("ready").is_none(), "the end");
            assert_eq!(budget.held(), budget.limit());
        }
    }
}
