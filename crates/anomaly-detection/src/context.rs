//! Whether anyone still waits for the work: cancellation and deadline, checked from inside long computations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result, reason};

/// The caller's patience. Cheap to clone; clones share the cancellation.
#[derive(Debug, Clone, Default)]
pub struct Context {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Context {
    /// A context without a deadline that is not cancelled by anyone yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same context, with a deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Tells all work under this context that its caller has left.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails when the caller has left or its deadline has passed. To be called per tree, or per block of rows.
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
