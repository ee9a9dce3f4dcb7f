//! The threads for detectors, behind permits that are fair between owners. There are two classes of work: small work comes
//! before large work, however much of that there is. Work stops when its caller leaves or its deadline passes. Work of a few
//! microseconds is done where it arises, which takes less than to wake another thread.

use std::future::{Future, Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Span;

use crate::caller::Caller;
use crate::error::{Error, Result, panic_message, reason};
use anomaly_detection::context::Context;

mod queue;
mod threads;

use queue::{Capacity, Queue};
use threads::Threads;

/// How many owners can have large work under way at once.
const LARGE_OWNERS: usize = 4;

/// How many large works of owners that have one already can be under way at once, at least.
const LARGE_FURTHER: usize = 2;

/// How many cores there are to each of these. More of such works use the cores of a large machine, where a single one leaves
/// many idle, but each takes memory.
const CORES_PER_FURTHER: usize = 8;

/// What to do when all permits are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Wait while there is a place to wait, and refuse when there is none: for requests that hold their rows in memory.
    Refuse,
    /// Wait: for streams, so that flow control reaches the client.
    Wait,
}

/// How much work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// At most some milliseconds for one thread, such as scoring a few rows.
    Small,
    /// Anything else. It has a lower priority.
    Large,
}

impl Class {
    /// Small if this is so, otherwise large.
    pub fn small_if(is_small: bool) -> Self {
        match is_small {
            true => Self::Small,
            false => Self::Large,
        }
    }
}

/// The threads and their permits. Cheap to clone; clones share both.
#[derive(Debug, Clone)]
pub struct Compute {
    threads: Arc<Threads>,
    small: Arc<Queue>,
    large: Arc<Queue>,
}

impl Compute {
    /// Pools of `threads` threads (0 for one per core). In each class, at most `places` requests wait for a permit, and each of
    /// them no longer than `longest_wait`; streams are not counted.
    ///
    /// # Errors
    /// When the threads for small work cannot be started. Those for large work start when they are needed.
    pub fn new(threads: usize, places: usize, longest_wait: Duration) -> Result<Self> {
        let threads = Threads::start(threads)?;
        let n = threads.n();
        // more than threads: one that becomes free finds work in its pool
        let small = Capacity {
            first: n,
            further: n,
            places,
        };
        let large = Capacity {
            first: LARGE_OWNERS,
            further: LARGE_FURTHER.max(n / CORES_PER_FURTHER),
            places,
        };
        Ok(Self {
            threads,
            small: Queue::new(small, longest_wait),
            large: Queue::new(large, longest_wait),
        })
    }

    /// Runs work on the threads of its class and waits for it.
    pub async fn run<T, W>(
        &self,
        caller: Caller,
        class: Class,
        admission: Admission,
        work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Context) -> Result<T> + Send + 'static,
    {
        self.submit(caller, class, admission, work).await?.await
    }

    /// Starts work on the threads of its class once there is a permit, and returns a future for its result. Dropping that
    /// cancels the work.
    ///
    /// # Errors
    /// [`reason::OVERLOADED`] when there is no permit and, with [`Admission::Refuse`], no place to wait for one; the error of
    /// threads that cannot be started.
    pub async fn submit<T, W>(
        &self,
        caller: Caller,
        class: Class,
        admission: Admission,
        work: W,
    ) -> Result<Running<T>>
    where
        T: Send + 'static,
        W: FnOnce(&Context) -> Result<T> + Send + 'static,
    {
        let context = Context::new().with_deadline(caller.deadline);
        let guard = CancelOnDrop(context.clone());
        let (sender, receiver) = oneshot::channel();
        let span = Span::current();
        let job = move || span.in_scope(|| outcome(work, &context));
        // a caller who left does not need the outcome
        match class {
            Class::Small => {
                let permit = self.small.permit(caller.owner, admission).await?;
                self.threads.small().spawn(move || {
                    let outcome = job();
                    drop(permit);
                    let _ = sender.send(outcome);
                });
            }
            Class::Large => {
                let permit = self.large.permit(caller.owner, admission).await?;
                let lease = self.threads.large(permit.rank())?;
                lease.pool().spawn(move || {
                    let outcome = job();
                    // who gets the permit next is to find the pool
                    drop(lease);
                    drop(permit);
                    let _ = sender.send(outcome);
                });
            }
        }
        Ok(Running(Work::OnPool {
            receiver,
            _guard: guard,
        }))
    }

    /// Does work on the calling thread. It must be so little that others on this thread can wait for it.
    pub fn do_here<T>(caller: Caller, work: impl FnOnce(&Context) -> Result<T>) -> Running<T> {
        let context = Context::new().with_deadline(caller.deadline);
        Running(Work::Done(ready(outcome(work, &context))))
    }
}

/// The outcome of work; a panic is an error.
fn outcome<T>(work: impl FnOnce(&Context) -> Result<T>, context: &Context) -> Result<T> {
    // the caller may have left while the work was queued
    context.check()?;
    catch_unwind(AssertUnwindSafe(|| work(context))).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// Work that was started. Dropping it cancels the work.
#[derive(Debug)]
#[must_use = "dropping it cancels the work"]
pub struct Running<T>(Work<T>);

#[derive(Debug)]
enum Work<T> {
    OnPool {
        receiver: oneshot::Receiver<Result<T>>,
        _guard: CancelOnDrop,
    },
    Done(Ready<Result<T>>),
}

impl<T> Future for Running<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Work::Done(outcome) => Pin::new(outcome).poll(cx),
            Work::OnPool { receiver, .. } => {
                let outcome = std::task::ready!(Pin::new(receiver).poll(cx));
                Poll::Ready(outcome.unwrap_or_else(|error| {
                    Err(Error::new(reason::INTERNAL, "work was lost").because(error))
                }))
            }
        }
    }
}

#[derive(Debug)]
struct CancelOnDrop(Context);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic_message(panic);
    Error::new(reason::INTERNAL, format!("a computation panicked: {text}"))
}

#[cfg(test)]
mod tests;
