//! Ends answers that nobody reads.
//!
//! HTTP/2 lets a client stop reading one stream while it reads others and answers pings, for ever. A body cannot end itself then: it
//! is not asked for anything until the client reads on. So the whole stream is watched from outside.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

tokio::task_local! {
    static WAITING: Arc<Waiting>;
}

/// What a stream waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Since when a part of the answer has waited to be read, and the span of its request; `None` if none waits.
    since: Mutex<Option<(Instant, Span)>>,
}

impl Waiting {
    /// That of the stream whose request is served on this task; one that nobody watches if it is served otherwise.
    pub(super) fn of_this_stream() -> Arc<Self> {
        WAITING.try_with(Arc::clone).unwrap_or_default()
    }

    /// Notes that a part of the answer waits from now on.
    pub(super) fn begin(&self) {
        *self.lock() = Some((Instant::now(), Span::current()));
    }

    /// Notes that nothing waits.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Span)>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pin_project! {
    /// The work for a stream. It is dropped, which resets the stream, when a part of the answer waits too long.
    pub(super) struct Watched<F> {
        #[pin]
        stream: F,
        waiting: Arc<Waiting>,
        patience: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Watched<F> {
    /// Lets a part of the answer wait as long as `patience`.
    pub(super) fn new(stream: F, patience: Duration) -> Self {
        Self {
            stream,
            waiting: Arc::default(),
            patience,
            timer: None,
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = WAITING.sync_scope(Arc::clone(this.waiting), || this.stream.poll(cx));
        if polled.is_ready() {
            return Poll::Ready(());
        }
        let since = this.waiting.lock().as_ref().map(|(since, _)| *since);
        let Some(since) = since else {
            return Poll::Pending;
        };
        let end = since + *this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        ready!(timer.as_mut().poll(cx));
        if let Some((_, span)) = &*this.waiting.lock() {
            tracing::warn!(
                parent: span,
                "a part of the answer has waited for its client for {:?} (`answer_stall_timeout`): resetting the stream",
                this.patience
            );
        }
        Poll::Ready(())
    }
}
