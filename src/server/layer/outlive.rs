//! Runs the handlers of writes in tasks of their own, so that one can go on when its caller has left: when the connection breaks,
//! when the deadline passes, or when the call is cancelled, which cannot be told apart. A handler says so with
//! [`Presence::outlive`]; otherwise it ends when its caller leaves, like those of other methods.
//!
//! The whole response is made in the task, so what a request holds, such as its share of the memory, is held as long as the
//! handler runs.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::Instrument as _;

use crate::caller::Presence;
use crate::error::{Error, reason};
use crate::server::methods::{Method, method};
use crate::server::open_connections::InProgress;
use crate::service::status;

/// Runs the handlers of writes in tasks of their own.
#[derive(Clone)]
pub(crate) struct Outlive<S> {
    inner: S,
    tasks: TaskTracker,
}

impl<S> Outlive<S> {
    /// A layer whose tasks are in `tasks`.
    pub(crate) fn new(inner: S, tasks: TaskTracker) -> Self {
        Self { inner, tasks }
    }
}

impl<S, A, B> Service<Request<A>> for Outlive<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Default + Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Outliving<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let in_progress = request.extensions_mut().remove::<Arc<InProgress>>();
        if !method(request.uri().path()).is_some_and(Method::is_write) {
            return Outliving::Here {
                inner: self.inner.call(request),
            };
        }
        let presence = Presence::default();
        request.extensions_mut().insert(presence.clone());
        let response = self.inner.call(request);
        let caller = Waiting(presence.clone());
        let task = async move {
            // what goes on counts as a request, however many callers leave
            let _in_progress = in_progress;
            let abandoned = async {
                presence.left().await;
                if presence.is_outlived() {
                    pending().await
                }
            };
            tokio::select! {
                biased;
                () = abandoned => None,
                Ok(response) = response => Some(response),
            }
        };
        Outliving::Task {
            task: self.tasks.spawn(task.in_current_span()),
            _caller: caller,
        }
    }
}

/// A caller who waits. Dropping this says that they have left.
pub(crate) struct Waiting(Presence);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.leave();
    }
}

pin_project! {
    /// A response that is made here or in a task.
    #[project = OutlivingProj]
    pub(crate) enum Outliving<F, B> {
        Here { #[pin] inner: F },
        Task { task: JoinHandle<Option<Response<B>>>, _caller: Waiting },
    }
}

impl<F, B> Future for Outliving<F, B>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Default,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = match self.project() {
            OutlivingProj::Here { inner } => return inner.poll(cx),
            OutlivingProj::Task { task, .. } => ready!(Pin::new(task).poll(cx)),
        };
        let response = match done {
            Ok(Some(response)) => response,
            // it ends that way only when this is dropped
            Ok(None) => return Poll::Pending,
            Err(error) => match error.try_into_panic() {
                // the layer around this one makes it a readable error
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => {
                    let lost = Error::new(reason::INTERNAL, "a handler was lost").because(error);
                    status::of(lost).into_http()
                }
            },
        };
        Poll::Ready(Ok(response))
    }
}
