//! Cancellation and deadline of a piece of work, checked from inside long computations, and its progress, reported from there.

use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::error::{Error, Result, reason};

mod progress;

pub use progress::{Progress, Reached, Stage, Step, Unit, stage};

/// Says when work is to stop: when it is cancelled, or at its deadline; and takes reports of its progress. Cheap to clone; clones
/// share the cancellation and the progress.
#[derive(Debug, Clone, Default)]
pub struct Context {
    cancelled: Arc<AtomicBool>,
    deadline: Option<Instant>,
    progress: Option<Progress>,
    /// How many checks come before the cancellation.
    #[cfg(test)]
    checks_left: Option<Arc<AtomicUsize>>,
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

    /// The same context, whose work reports its progress there, or nowhere.
    #[must_use]
    pub fn reporting(&self, progress: Option<&Progress>) -> Self {
        Self {
            progress: progress.cloned(),
            ..self.clone()
        }
    }

    /// Reports that a stage of the work begins.
    pub fn enter(&self, stage: Stage) {
        if let Some(progress) = &self.progress {
            progress.enter(stage);
        }
    }

    /// Reports that a step of the present stage begins, and how much there is to do in it. The step is to be advanced once per
    /// tree or chunk of rows.
    pub fn step(&self, unit: Unit, total: usize) -> Step {
        match &self.progress {
            Some(progress) => progress.step(unit, Some(total as u64)),
            None => Step::default(),
        }
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
        #[cfg(test)]
        self.count_check();
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

#[cfg(test)]
impl Context {
    /// A context that is cancelled after this many checks.
    pub(crate) fn cancelled_after(n_checks: usize) -> Self {
        Self {
            checks_left: Some(Arc::new(AtomicUsize::new(n_checks))),
            ..Self::default()
        }
    }

    /// How many checks are left before the cancellation.
    pub(crate) fn checks_left(&self) -> Option<usize> {
        let left = self.checks_left.as_ref()?;
        Some(left.load(Ordering::Relaxed))
    }

    fn count_check(&self) {
        let Some(left) = &self.checks_left else {
            return;
        };
        let counted = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if counted.is_err() {
            self.cancel();
        }
    }
}
