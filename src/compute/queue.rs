//! Permits to work, fair between owners. Each owner waits in a line of its own, and the next permit goes to the owner that has
//! the fewest; among several, to the one that has waited longest since it came or got its last permit.
//!
//! An owner's first permit and its further ones are counted apart: one owner may have all the further permits, and others
//! still get a first one at once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Admission;
use crate::error::{Error, Result, reason};
use crate::store::Owner;

mod lines;

use lines::Lines;

/// Which of its owner's permits one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// The one that an owner has before all others.
    First,
    /// One more.
    Further,
}

/// How many there may be at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    /// First permits, and so owners that have one.
    pub(super) first: usize,
    /// Further permits of all owners.
    pub(super) further: usize,
    /// Requests that wait and can be refused.
    pub(super) places: usize,
}

/// Those who have permits, and those who wait for one.
pub(super) struct Queue {
    lines: Mutex<Lines>,
    places: usize,
    longest_wait: Duration,
}

/// A permit. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    queue: Arc<Queue>,
    owner: Owner,
    rank: Rank,
}

/// A place in the line of an owner. Dropping it leaves the line.
struct Place {
    queue: Arc<Queue>,
    owner: Owner,
    number: u64,
    answer: oneshot::Receiver<Result<Permit>>,
}

/// What someone who waits is told. To be sent without the lock: a permit that nobody receives is given back, which needs it.
type Answer = (oneshot::Sender<Result<Permit>>, Result<Permit>);

impl Queue {
    /// A queue in which nobody waits. Requests that can be refused are refused after the longest wait.
    pub(super) fn new(capacity: Capacity, longest_wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::new(Lines::new(capacity)),
            places: capacity.places,
            longest_wait,
        })
    }

    /// Waits for a permit. Dropping the future gives the place in the line up.
    ///
    /// Fails with [`reason::OVERLOADED`] when too many wait and none of them is of an owner with more in its line, when one of
    /// another owner comes later and finds too many of this one, and after the longest wait. With [`Admission::Wait`] it never
    /// fails.
    pub(super) async fn permit(
        self: &Arc<Self>,
        owner: Owner,
        admission: Admission,
    ) -> Result<Permit> {
        let mut place = self.place(owner, admission);
        let answer = match admission {
            Admission::Wait => (&mut place.answer).await,
            Admission::Refuse => timeout(self.longest_wait, &mut place.answer)
                .await
                .map_err(|_| overloaded())?,
        };
        answer.unwrap_or_else(|error| {
            Err(Error::new(reason::INTERNAL, "a place in a queue was lost").because(error))
        })
    }

    /// Takes a place in the line of the owner, and hands out the permits that are free.
    fn place(self: &Arc<Self>, owner: Owner, admission: Admission) -> Place {
        let (sender, answer) = oneshot::channel();
        let mut lines = self.lock();
        let number = lines.join(owner, admission, sender);
        let mut answers = lines.hand_out(self);
        if lines.n_refusable > self.places {
            answers.extend(lines.refuse_one(owner));
        }
        drop(lines);
        send(answers);
        Place {
            queue: Arc::clone(self),
            owner,
            number,
            answer,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("places", &self.places)
            .field("longest_wait", &self.longest_wait)
            .finish_non_exhaustive()
    }
}

impl Permit {
    pub(super) fn rank(&self) -> Rank {
        self.rank
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut lines = self.queue.lock();
        lines.give_back(self.owner, self.rank);
        let answers = lines.hand_out(&self.queue);
        drop(lines);
        send(answers);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.lock().leave(self.owner, self.number);
    }
}

fn send(answers: Vec<Answer>) {
    for (sender, answer) in answers {
        // who has just left does not need it, and a permit goes back
        let _ = sender.send(answer);
    }
}

fn overloaded() -> Error {
    Error::new(
        reason::OVERLOADED,
        "too many requests wait for the server to work on them; try again later",
    )
}

#[cfg(test)]
mod tests;
