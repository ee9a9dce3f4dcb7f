//! Leading an operation: doing its work, with or without its caller, until the work is done or must stop.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::operation::{Attendance, Outcome, copy};
use super::{Operation, Operations};
use crate::caller::{Caller, Presence};
use crate::error::{Error, Result, reason};

/// How long to wait, at least, before stopping is tried again: it fails while the result is being stored.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The right to do the work of an operation. Dropping it ends the operation.
pub struct Lead {
    operations: Arc<Operations>,
    operation: Arc<Operation>,
}

/// An error that can be kept with an operation, and shown to all who wait for it.
pub trait Recorded: From<Error> {
    /// What is kept of it.
    fn recorded(&self) -> Error;
}

impl Recorded for Error {
    fn recorded(&self) -> Error {
        copy(self)
    }
}

impl Lead {
    pub(super) fn new(operations: Arc<Operations>, operation: Arc<Operation>) -> Self {
        Self {
            operations,
            operation,
        }
    }

    /// The operation.
    pub fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// The caller, as the work should see them: if it can go on without them, their deadline does not stop it.
    pub fn caller(&self, caller: Caller) -> Caller {
        match self.operation.plan().request_id {
            Some(_) => Caller {
                deadline: None,
                ..caller
            },
            None => caller,
        }
    }

    /// Does the work, until it must stop. If the request has an id and the work does not need its caller, it goes on without them.
    ///
    /// # Errors
    /// Those of the work; and [`reason::OPERATION_CANCELLED`] if it was cancelled, or no caller has waited for it for too long.
    pub async fn run<T, E: Recorded>(
        &self,
        presence: &Presence,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.operation.begin_for(presence);
        if !self.operation.plan().kind.needs_caller() {
            self.outlive();
        }
        let attendance = self.operation.attend();
        // it has the attendance until the end
        let mut watch = pin!(self.watch_callers(presence, attendance));
        let outcome = tokio::select! {
            biased;
            error = self.operation.stopped() => Err(error.into()),
            outcome = work => outcome,
            never = watch.as_mut() => match never {},
        };
        self.end(&outcome);
        outcome
    }

    /// Says that the work needs nothing more of its caller. If the request has an id, it goes on without them, and the same request
    /// joins it.
    pub fn outlive(&self) {
        if self.operation.plan().request_id.is_some() {
            self.operation.outlive_caller();
            self.operations.allow_joining(&self.operation);
        }
    }

    /// Ends the operation without a trace: there is nothing to do.
    pub(super) fn withdraw(self) {
        self.operations.end(&self.operation, None);
    }

    fn end<T, E: Recorded>(&self, outcome: &Result<T, E>) {
        let outcome = match outcome {
            Ok(_) => Outcome::Succeeded,
            Err(error) => Outcome::Failed(error.recorded()),
        };
        if *self.operation.callers().borrow() == 0 {
            let failure = match &outcome {
                Outcome::Succeeded => "none",
                Outcome::Failed(error) => error.reason().name(),
            };
            tracing::info!(operation = %self.operation.id(), failure, "done after its callers have left");
        }
        self.operations.end(&self.operation, Some(outcome));
    }

    /// Stops the operation when no caller has waited for it for too long, unless the result is being stored.
    async fn watch_callers(&self, presence: &Presence, first: Option<Attendance>) -> Infallible {
        presence.left().await;
        drop(first);
        let timeout = self.operations.orphan_timeout;
        let mut callers = self.operation.callers();
        loop {
            // the sender is in the operation, so it is never gone
            let _ = callers.wait_for(|n| *n == 0).await;
            let joined = async {
                let _ = callers.wait_for(|n| *n > 0).await;
            };
            tokio::select! {
                () = joined => {}
                () = tokio::time::sleep(timeout.max(SHORTEST_WAIT)) => {
                    if self.operation.stop_without_callers(orphaned(timeout)) {
                        return pending().await;
                    }
                }
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.operation.has_ended() {
            return;
        }
        if !self.operation.has_begun() {
            // another one who sent the same request may lead it
            return self.operations.end(&self.operation, None);
        }
        let lost = match std::thread::panicking() {
            true => Error::new(reason::INTERNAL, "the work panicked"),
            false => Error::new(
                reason::CANCELLED,
                "the caller left before the work was done, or the server is stopping",
            ),
        };
        self.operations
            .end(&self.operation, Some(Outcome::Failed(lost)));
    }
}

fn orphaned(timeout: Duration) -> Error {
    let message = format!(
        "no caller has waited for the operation for {} (`orphan_timeout`), so it was cancelled",
        humantime::format_duration(timeout)
    );
    Error::new(reason::OPERATION_CANCELLED, message)
}
