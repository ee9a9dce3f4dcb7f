//! The thread pool for detectors: a rayon pool behind a bounded number of permits. Work stops when its caller leaves or its
//! deadline passes. Work of a few microseconds is done where it arises, which takes less than to wake another thread.

use std::future::{Future, Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Span;

use crate::error::{Error, Result, panic_message, reason};
use anomaly_detection::context::Context;

/// What to do when all permits are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Refuse at once: for requests that hold their rows in memory.
    Refuse,
    /// Wait: for streams, so that flow control reaches the client.
    Wait,
}

/// The pool and its permits. Cheap to clone; clones share both.
#[derive(Debug, Clone)]
pub struct Compute {
    pool: Arc<ThreadPool>,
    permits: Arc<Semaphore>,
}

impl Compute {
    /// A pool of `threads` threads (0 for one per core), in which at most `permits` tasks run or wait.
    pub fn new(threads: usize, permits: usize) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| {
                Error::new(reason::INTERNAL, "the compute threads cannot be started").because(error)
            })?;
        Ok(Self {
            pool: Arc::new(pool),
            permits: Arc::new(Semaphore::new(permits.max(1))),
        })
    }

    /// Runs work on the pool and waits for it.
    pub async fn run<T, W>(
        &self,
        admission: Admission,
        deadline: Option<Instant>,
        work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Context) -> Result<T> + Send + 'static,
    {
        self.submit(admission, deadline, work).await?.await
    }

    /// Starts work on the pool once there is a permit, and returns a future for its result. Dropping that cancels the work.
    pub async fn submit<T, W>(
        &self,
        admission: Admission,
        deadline: Option<Instant>,
        work: W,
    ) -> Result<Running<T>>
    where
        T: Send + 'static,
        W: FnOnce(&Context) -> Result<T> + Send + 'static,
    {
        let permit = self.permit(admission).await?;
        let context = Context::new().with_deadline(deadline);
        let guard = CancelOnDrop(context.clone());
        let (sender, receiver) = oneshot::channel();
        let span = Span::current();
        self.pool.spawn(move || {
            let outcome = span.in_scope(|| outcome(work, &context));
            drop(permit);
            // a caller who left does not need the outcome
            let _ = sender.send(outcome);
        });
        Ok(Running(Work::OnPool {
            receiver,
            _guard: guard,
        }))
    }

    /// Does work on the calling thread once there is a permit. It must be so little that others on this thread can wait for it.
    pub async fn do_here<T, W>(
        &self,
        admission: Admission,
        deadline: Option<Instant>,
        work: W,
    ) -> Result<Running<T>>
    where
        W: FnOnce(&Context) -> Result<T>,
    {
        let _permit = self.permit(admission).await?;
        let context = Context::new().with_deadline(deadline);
        Ok(Running(Work::Done(ready(outcome(work, &context)))))
    }

    async fn permit(&self, admission: Admission) -> Result<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.permits);
        let permit = match admission {
            Admission::Refuse => permits.try_acquire_owned().ok(),
            Admission::Wait => permits.acquire_owned().await.ok(),
        };
        permit.ok_or_else(|| {
            Error::new(
                reason::OVERLOADED,
                "the server is working on as many requests as it can; try again later",
            )
        })
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
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Work that holds a permit and a thread until it is told to end.
    async fn held(compute: &Compute) -> (mpsc::Sender<()>, Running<()>) {
        let (release, held) = mpsc::channel();
        let work = move |_: &Context| {
            held.recv().ok();
            Ok(())
        };
        let running = compute.submit(Admission::Refuse, None, work).await;
        (release, running.expect("there is a permit"))
    }

    #[tokio::test]
    async fn refuses_or_waits_when_all_permits_are_taken() {
        let compute = Compute::new(1, 1).expect("pool");
        let (release, first) = held(&compute).await;
        let refused = compute
            .run(Admission::Refuse, None, |_| Ok(2))
            .await
            .expect_err("no permit");
        assert_eq!(refused.reason(), reason::OVERLOADED);
        let waiting = tokio::spawn({
            let compute = compute.clone();
            async move { compute.run(Admission::Wait, None, |_| Ok(3)).await }
        });
        release.send(()).expect("first is waiting");
        first.await.expect("done");
        assert_eq!(waiting.await.expect("joined").expect("done"), 3);
    }

    #[tokio::test]
    async fn little_work_needs_a_permit_but_no_thread_of_the_pool() {
        let compute = Compute::new(1, 2).expect("pool");
        let (release, running) = held(&compute).await;
        let here =
            |work: fn(&Context) -> Result<u8>| compute.do_here(Admission::Refuse, None, work);
        assert_eq!(
            here(|_| Ok(1))
                .await
                .expect("a permit")
                .await
                .expect("done"),
            1
        );
        let panicked = here(|_| panic!("on purpose"))
            .await
            .expect("a permit")
            .await;
        assert_eq!(
            panicked.expect_err("it panicked").reason(),
            reason::INTERNAL
        );

        let second = compute.submit(Admission::Refuse, None, |_| Ok(()));
        let second = second.await.expect("the other permit");
        assert_eq!(
            here(|_| Ok(1)).await.expect_err("no permit").reason(),
            reason::OVERLOADED
        );
        release.send(()).expect("first is waiting");
        running.await.expect("done");
        second.await.expect("done");
    }

    #[tokio::test]
    async fn work_stops_when_its_caller_leaves_or_its_deadline_passes() {
        let compute = Compute::new(1, 4).expect("pool");
        let (start, started) = mpsc::channel();
        let (report, reported) = mpsc::channel();
        let running = compute
            .submit(Admission::Refuse, None, move |context| {
                start.send(()).ok();
                while context.check().is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                report
                    .send(context.check().expect_err("ended").reason())
                    .ok();
                Ok(())
            })
            .await
            .expect("there is a permit");
        started.recv().expect("starts");
        drop(running);
        assert_eq!(reported.recv().expect("stopped"), reason::CANCELLED);

        let passed = Some(Instant::now());
        let late = compute
            .run(Admission::Refuse, passed, |_| Ok(()))
            .await
            .expect_err("too late");
        assert_eq!(late.reason(), reason::DEADLINE_EXCEEDED);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_its_permit_back() {
        let compute = Compute::new(1, 1).expect("pool");
        for _ in 0..3 {
            let error = compute
                .run::<(), _>(Admission::Refuse, None, |_| panic!("boom"))
                .await
                .expect_err("panics");
            assert_eq!(error.reason(), reason::INTERNAL);
        }
        assert_eq!(
            compute
                .run(Admission::Refuse, None, |_| Ok(7))
                .await
                .expect("works"),
            7
        );
    }
}
