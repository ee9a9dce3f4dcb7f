//! Budgets of memory in bytes: one over all requests, one over all answers, and one over all datasets that are being read.
//!
//! Who is about to allocate takes a [`Share`] first, and keeps it as long as the memory. Dropping it gives the bytes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::error::{Error, Result, reason};

mod answer;
mod request;

pub use answer::AnswerMemory;
pub use request::RequestMemory;

/// What the bytes of a budget are held by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// Requests: their messages, what these are decoded to, and the tables made of them.
    Requests,
    /// Answers, from the first row that is listed until the last byte is sent.
    Answers,
    /// Datasets that are being read.
    Datasets,
}

/// Bytes that all holders of one kind share.
#[derive(Debug)]
pub struct Budget {
    holders: Holders,
    limit: usize,
    held: AtomicUsize,
    /// Wakes the first of those who wait.
    freed: Notify,
    /// Who waits, in the order in which they came.
    turns: Mutex<()>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(holders: Holders, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            holders,
            limit,
            held: AtomicUsize::new(0),
            freed: Notify::new(),
            turns: Mutex::new(()),
        })
    }

    /// The most bytes that can be held.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes are held at the moment.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// A share without any bytes yet.
    pub fn share(self: &Arc<Self>) -> Share {
        Share {
            budget: Some(Arc::clone(self)),
            bytes: 0,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let within = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, within)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.held.fetch_sub(bytes, Ordering::AcqRel);
            self.freed.notify_waiters();
        }
    }

    /// The error of a holder that needs so many bytes in all.
    fn refusal(&self, bytes: usize) -> Error {
        let (holders, option) = match self.holders {
            Holders::Requests => ("the requests in progress", "request_memory_bytes"),
            Holders::Answers => ("the answers in progress", "answer_memory_bytes"),
            Holders::Datasets => (
                "the other datasets that are being read",
                "dataset_memory_bytes",
            ),
        };
        let limit = self.limit;
        if bytes <= limit {
            let message = format!(
                "{holders} hold too much of the {limit} bytes that the server has for them (`{option}`); try again later, or ask \
                 for less at once"
            );
            return Error::new(reason::OVERLOADED, message);
        }
        let (reason, what, right) = match self.holders {
            Holders::Requests => (
                reason::MESSAGE_TOO_LARGE,
                "the request",
                "send less at once, or in a stream",
            ),
            Holders::Answers => (
                reason::ANSWER_TOO_LARGE,
                "the answer",
                "ask for fewer rows or less detail, or score a dataset with PredictDataset, which answers page by page",
            ),
            Holders::Datasets => (
                reason::DATASET_TOO_LARGE,
                "the dataset",
                "use a detector that learns in passes, `sample_rows`, or fewer rows",
            ),
        };
        let message = format!(
            "{what} takes {bytes} bytes of memory, and the server has {limit} for all of them (`{option}`); {right}"
        );
        Error::new(reason, message)
    }
}

/// The bytes that one holder has taken of a budget.
#[derive(Debug, Default)]
pub struct Share {
    /// `None` for a share of nothing, which nobody counts.
    budget: Option<Arc<Budget>>,
    bytes: usize,
}

impl Share {
    /// A share that nobody counts, for what is bounded otherwise.
    pub fn uncounted() -> Self {
        Self::default()
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// [`OVERLOADED`](reason::OVERLOADED) when others hold them, and the reason for what is too large when even an empty budget
    /// has not as many.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let Some(budget) = &self.budget else {
            return Ok(());
        };
        if !budget.take(bytes) {
            return Err(budget.refusal(self.bytes.saturating_add(bytes)));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes more bytes as soon as there are enough; those who wait take turns.
    ///
    /// # Errors
    /// Those of [`grow`](Self::grow), if the bytes are not free after `patience`, or never can be.
    pub async fn grow_in_turn(&mut self, bytes: usize, patience: Duration) -> Result<()> {
        let refused = match self.grow(bytes) {
            Err(error) if error.reason() == reason::OVERLOADED => error,
            outcome => return outcome,
        };
        let Some(budget) = self.budget.clone() else {
            return Ok(());
        };
        let turn = async {
            let _turn = budget.turns.lock().await;
            loop {
                // what is freed from here on is noticed
                let freed = budget.freed.notified();
                if budget.take(bytes) {
                    return;
                }
                freed.await;
            }
        };
        if timeout(patience, turn).await.is_err() {
            return Err(refused);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes or gives back as many bytes as are missing or too many.
    ///
    /// # Errors
    /// Those of [`grow`](Self::grow).
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        match bytes.checked_sub(self.bytes) {
            Some(missing) => self.grow(missing),
            None => {
                drop(self.split(self.bytes - bytes));
                Ok(())
            }
        }
    }

    /// Moves bytes of this share, at most all, into one of their own.
    #[must_use = "dropping it gives the bytes back"]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            budget: self.budget.clone(),
            bytes,
        }
    }

    /// Adds the bytes of another share of the same budget.
    pub fn join(&mut self, mut other: Self) {
        if self.budget.is_none() {
            *self = other;
            return;
        }
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_and_given_back() {
        let budget = Budget::new(Holders::Requests, 100);
        let (mut first, mut second) = (budget.share(), budget.share());
        first.grow(60).expect("fits");
        let refused = second.grow(41).expect_err("full");
        assert_eq!(refused.reason(), reason::OVERLOADED);
        second.grow(40).expect("fits exactly");
        first.resize(50).expect("shrinks");
        second.resize(50).expect("fits again");
        let half = first.split(25);
        second.join(half);
        assert_eq!((first.bytes(), second.bytes()), (25, 75));
        drop(first);
        assert_eq!(budget.held(), 75);
        drop(second);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_can_never_fit_is_too_large_and_names_the_option() {
        for (holders, reason, option) in [
            (
                Holders::Requests,
                reason::MESSAGE_TOO_LARGE,
                "`request_memory_bytes`",
            ),
            (
                Holders::Answers,
                reason::ANSWER_TOO_LARGE,
                "`answer_memory_bytes`",
            ),
            (
                Holders::Datasets,
                reason::DATASET_TOO_LARGE,
                "`dataset_memory_bytes`",
            ),
        ] {
            let budget = Budget::new(holders, 100);
            let mut share = budget.share();
            share.grow(60).expect("fits");
            for bytes in [41, usize::MAX] {
                let error = share.grow(bytes).expect_err("never fits");
                assert_eq!(error.reason(), reason);
                assert!(error.message().contains(option), "{error}");
            }
            assert_eq!(budget.held(), 60);
        }
    }

    #[tokio::test]
    async fn those_who_wait_get_what_others_give_back() {
        let budget = Budget::new(Holders::Datasets, 100);
        let mut first = budget.share();
        first.grow(80).expect("fits");
        let long = Duration::from_secs(600);
        let waiting = |bytes: usize| {
            let budget = Arc::clone(&budget);
            tokio::spawn(async move {
                let mut share = budget.share();
                share.grow_in_turn(bytes, long).await.map(|()| share)
            })
        };
        let (second, third) = (waiting(60), waiting(30));
        let mut impatient = budget.share();
        let refused = impatient.grow_in_turn(30, Duration::from_millis(1)).await;
        assert_eq!(
            refused.expect_err("it is held").reason(),
            reason::OVERLOADED
        );
        drop(first);
        let second = second.await.expect("joined").expect("there is room");
        let third = third.await.expect("joined").expect("there is room");
        assert_eq!(budget.held(), 90);
        drop((second, third));
        let too_large = impatient.grow_in_turn(101, long).await;
        assert_eq!(
            too_large.expect_err("it never fits").reason(),
            reason::DATASET_TOO_LARGE
        );
        assert_eq!(budget.held(), 0);
    }
}
