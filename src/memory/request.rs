//! The memory of one request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Budget, Share};

/// The memory of a request, for its handlers. Clones are of the same request.
#[derive(Debug, Clone)]
pub struct RequestMemory {
    budget: Arc<Budget>,
    message: Arc<Mutex<Share>>,
}

impl RequestMemory {
    /// That of a new request.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            message: Arc::new(Mutex::new(budget.share())),
        }
    }

    /// A share without any bytes yet, for what the handlers of the request allocate.
    pub fn share(&self) -> Share {
        self.budget.share()
    }

    /// Notes the share of the newest whole message, and returns that of the one before it.
    pub fn received(&self, message: Share) -> Share {
        std::mem::replace(&mut self.newest(), message)
    }

    /// Takes over the share of the newest whole message, from who has read it into something else.
    pub fn take_message(&self) -> Share {
        std::mem::replace(&mut self.newest(), self.budget.share())
    }

    /// How many bytes the newest whole message counts for.
    pub fn message_bytes(&self) -> usize {
        self.newest().bytes()
    }

    fn newest(&self) -> MutexGuard<'_, Share> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
