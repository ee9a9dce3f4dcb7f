//! The memory of one answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Budget, Share};
use crate::error::Result;

/// The memory of the answer to a request, from the first row that is listed until the answer is encoded. Clones are of the same
/// answer.
#[derive(Debug, Clone)]
pub struct AnswerMemory {
    limit: usize,
    share: Arc<Mutex<Share>>,
}

impl AnswerMemory {
    /// How long an answer that comes in parts waits for the memory of the next one.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// That of a new answer.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self {
            limit: budget.limit(),
            share: Arc::new(Mutex::new(budget.share())),
        }
    }

    /// The most bytes that all answers may hold together.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Makes sure that the answer has at least so many bytes.
    ///
    /// # Errors
    /// Those of [`Share::grow`].
    pub fn reserve(&self, bytes: usize) -> Result<()> {
        let mut share = self.lock();
        let missing = bytes.saturating_sub(share.bytes());
        share.grow(missing)
    }

    /// The same for the next part of an answer that comes in parts, which can wait.
    ///
    /// # Errors
    /// Those of [`Share::grow_in_turn`].
    pub async fn reserve_in_turn(&self, bytes: usize) -> Result<()> {
        let mut share = self.take();
        let missing = bytes.saturating_sub(share.bytes());
        let outcome = share.grow_in_turn(missing, Self::PATIENCE).await;
        self.lock().join(share);
        outcome
    }

    /// The share of a part of the answer that was encoded into so many bytes. Everything else is given back: what the part was
    /// encoded from is gone.
    ///
    /// # Errors
    /// Those of [`Share::grow`], if nothing or too little was reserved.
    pub fn encoded(&self, bytes: usize) -> Result<Share> {
        let mut share = self.take();
        share.resize(bytes)?;
        Ok(share)
    }

    fn take(&self) -> Share {
        let mut share = self.lock();
        let all = share.bytes();
        share.split(all)
    }

    fn lock(&self) -> MutexGuard<'_, Share> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Holders;

    #[tokio::test]
    async fn an_answer_keeps_what_it_was_encoded_into() {
        let budget = Budget::new(Holders::Answers, 100);
        let memory = AnswerMemory::new(&budget);
        memory.reserve(80).expect("fits");
        memory.reserve(70).expect("has as many");
        assert_eq!(budget.held(), 80);
        let sent = memory.encoded(40).expect("shrinks");
        assert_eq!((sent.bytes(), budget.held()), (40, 40));
        memory.reserve_in_turn(60).await.expect("fits");
        assert!(memory.encoded(61).is_err(), "the first part has the rest");
        assert_eq!(budget.held(), 40, "nothing is left of what was refused");
        drop(sent);
        assert_eq!(budget.held(), 0);
    }
}
