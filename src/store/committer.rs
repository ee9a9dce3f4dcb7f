//! Group commit: writers apply, then wait; one thread makes everything applied so far durable and wakes them all.
//!
//! Writes are numbered in the order in which they are applied. A durable number `n` means that all writes up to `n` are
//! durable. A failed flush is final: what the disk holds is then unknown, so nothing is served any more.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use super::StoreError;
use crate::error::chain;

/// Knows which writes are durable, and wakes those who wait for that.
#[derive(Debug)]
pub(super) struct Committer {
    requests: Mutex<Requests>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    /// The committer of the whole store, unless it is this one. It fails when this one does.
    main: Option<Arc<Committer>>,
}

#[derive(Debug)]
struct Requests {
    applied: u64,
    stopping: bool,
}

#[derive(Debug, Clone)]
struct Progress {
    durable: u64,
    failed: Option<Arc<str>>,
}

impl Committer {
    /// Asks for all writes up to this number to be made durable soon. They are applied already.
    pub(super) fn request(&self, number: u64) {
        let mut requests = self.requests();
        if number > requests.applied {
            requests.applied = number;
            self.wake.notify_one();
        }
    }

    /// Waits until all writes up to this number are durable. Does not request that.
    pub(super) async fn durable(&self, number: u64) -> Result<(), StoreError> {
        {
            let progress = self.progress.borrow();
            if let Some(cause) = &progress.failed {
                let cause = cause.clone();
                return Err(StoreError::Failed { cause });
            }
            if progress.durable >= number {
                return Ok(());
            }
        }
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.failed.is_some() || progress.durable >= number)
            .await;
        match reached {
            Ok(progress) => match progress.failed.clone() {
                None => Ok(()),
                Some(cause) => Err(StoreError::Failed { cause }),
            },
            Err(_) => Err(StoreError::Failed {
                cause: "the store was closed".into(),
            }),
        }
    }

    /// Waits until all writes that were requested so far are durable.
    pub(super) async fn requested(&self) -> Result<(), StoreError> {
        let number = self.requests().applied;
        self.durable(number).await
    }

    /// Fails if the store has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.progress.borrow().failed.clone() {
            None => Ok(()),
            Some(cause) => Err(StoreError::Failed { cause }),
        }
    }

    /// Ends all service for this reason. Only the first reason is kept.
    pub(super) fn fail(&self, cause: &str) {
        if let Some(main) = &self.main {
            main.fail(cause);
        }
        self.progress.send_if_modified(|progress| {
            let first = progress.failed.is_none();
            if first {
                if self.main.is_none() {
                    tracing::error!(cause, "the store has failed and serves no more requests");
                }
                progress.failed = Some(cause.into());
            }
            first
        });
    }

    /// Waits until the store fails, possibly for ever, and returns the cause.
    pub(super) fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        let mut progress = self.progress.subscribe();
        async move {
            let cause = match progress
                .wait_for(|progress| progress.failed.is_some())
                .await
            {
                Ok(progress) => progress.failed.clone(),
                Err(_) => None,
            };
            match cause {
                Some(cause) => StoreError::Failed { cause },
                // closed without a failure
                None => std::future::pending().await,
            }
        }
    }

    fn run(&self, mut flush: impl FnMut() -> Result<(), StoreError>) {
        while let Some(number) = self.next_request() {
            let result = catch_unwind(AssertUnwindSafe(&mut flush));
            match result {
                Ok(Ok(())) => self
                    .progress
                    .send_modify(|progress| progress.durable = number),
                Ok(Err(error)) => return self.fail(&chain(&error)),
                Err(_) => return self.fail("the flush panicked"),
            }
        }
    }

    /// Waits for a write that is not durable; `None` once the store is closing and there is none.
    fn next_request(&self) -> Option<u64> {
        let durable = self.progress.borrow().durable;
        let mut requests = self.requests();
        while requests.applied <= durable {
            if requests.stopping {
                return None;
            }
            requests = self
                .wake
                .wait(requests)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Some(requests.applied)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        // two plain numbers: a panic elsewhere cannot leave them half changed
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The committer's thread. Dropping it commits what was requested, then ends the thread.
#[derive(Debug)]
pub(super) struct CommitterThread {
    committer: Arc<Committer>,
    thread: Option<JoinHandle<()>>,
}

impl CommitterThread {
    /// Starts the thread of a database whose writes up to number `durable` are durable. `flush` returns once everything
    /// applied before it was called is durable. `main` fails when this one does.
    pub(super) fn start(
        durable: u64,
        main: Option<Arc<Committer>>,
        flush: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> io::Result<Self> {
        let committer = Arc::new(Committer {
            requests: Mutex::new(Requests {
                applied: durable,
                stopping: false,
            }),
            wake: Condvar::new(),
            progress: watch::Sender::new(Progress {
                durable,
                failed: None,
            }),
            main,
        });
        let thread = thread::Builder::new().name("committer".into()).spawn({
            let committer = committer.clone();
            move || committer.run(flush)
        })?;
        Ok(Self {
            committer,
            thread: Some(thread),
        })
    }

    /// The handle for writers and readers.
    pub(super) fn committer(&self) -> &Arc<Committer> {
        &self.committer
    }
}

impl Drop for CommitterThread {
    fn drop(&mut self) {
        self.committer.requests().stopping = true;
        self.committer.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the committer thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn one_flush_commits_every_write_that_was_applied_before_it_began() {
        let (begun, begins) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let thread = CommitterThread::start(0, None, move || {
            begun.send(()).expect("the test listens");
            may_go.recv().expect("the test answers");
            Ok(())
        })
        .expect("a thread");
        let committer = thread.committer().clone();

        committer.request(1);
        begins.recv().expect("a flush begins");
        (2..=9).for_each(|number| committer.request(number));
        go.send(()).expect("the flush waits");
        committer.durable(1).await.expect("durable");
        let late = tokio::spawn({
            let committer = committer.clone();
            async move { committer.durable(9).await }
        });
        begins.recv().expect("a second flush begins");
        assert!(!late.is_finished(), "the first flush began before write 2");
        go.send(()).expect("the flush waits");
        late.await.expect("no panic").expect("durable");
        assert!(begins.try_recv().is_err(), "two flushes served nine writes");
    }

    #[tokio::test]
    async fn after_a_failed_flush_everything_fails() {
        for panics in [false, true] {
            let thread = CommitterThread::start(0, None, move || {
                assert!(!panics, "a flush may panic");
                Err(StoreError::io("flush")(io::Error::other("disk gone")))
            })
            .expect("a thread");
            let committer = thread.committer();
            committer.check().expect("nothing failed yet");
            let failed = committer.failed();
            committer.request(1);
            assert!(matches!(
                committer.durable(1).await,
                Err(StoreError::Failed { .. })
            ));
            let why = failed.await.to_string();
            let expected = if panics { "panicked" } else { "disk gone" };
            assert!(why.contains(expected), "{why}");
            assert!(committer.check().is_err());
            assert!(committer.durable(0).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_committer_that_fails_takes_the_main_one_with_it() {
        let main = CommitterThread::start(0, None, || Ok(())).expect("a thread");
        let committer = main.committer().clone();
        let other = CommitterThread::start(0, Some(committer.clone()), || {
            Err(StoreError::io("flush")(io::Error::other("disk gone")))
        })
        .expect("a thread");
        other.committer().request(1);
        let why = committer.failed().await.to_string();
        assert!(why.contains("disk gone"), "{why}");
        assert!(other.committer().durable(1).await.is_err());
    }

    #[tokio::test]
    async fn dropping_the_thread_flushes_what_was_requested() {
        let flushes = Arc::new(AtomicU64::new(0));
        let thread = CommitterThread::start(0, None, {
            let flushes = flushes.clone();
            move || {
                flushes.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .expect("a thread");
        let committer = thread.committer().clone();
        committer.request(1);
        drop(thread);
        assert_eq!(flushes.load(Ordering::SeqCst), 1);
        committer.durable(1).await.expect("durable");
    }
}
