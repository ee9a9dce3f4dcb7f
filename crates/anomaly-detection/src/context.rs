//! Cancellation and deadline of a piece of work, checked from inside long computations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result, reason};

/// Says when work is to stop: when it is cancelled, or at its deadline. Cheap to clone; clones share the cancellation.
#[derive(Debug, Clone, Default)]
pub struct Context {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Context {
    /// A context that has no deadline and is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same context, with a deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Cancels all work under this context and its clones.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails when the work is cancelled or its deadline has passed. To be called once per tree or chunk of rows.
    ///
    /// # Errors
    /// [`reason::CANCELLED`] or [`reason::DEADLINE_EXCEEDED`].
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(
                reason::CANCELLED,
                "the caller left before the work was done",
            ));
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(Error::new(
                reason::DEADLINE_EXCEEDED,
                "the deadline passed before the work was done",
            ));
        }
        Ok(())
    }
}
