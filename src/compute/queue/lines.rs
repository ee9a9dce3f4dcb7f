//! The lines of the owners, and who is next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Answer, Capacity, Permit, Queue, Rank, overloaded};
use crate::compute::Admission;
use crate::error::Result;
use crate::store::Owner;

/// The lines of all owners.
pub(super) struct Lines {
    pub(super) free_first: usize,
    pub(super) free_further: usize,
    /// Of the owners that have a permit or wait for one.
    pub(super) lines: HashMap<Owner, Line>,
    /// How many wait and can be refused.
    pub(super) n_refusable: usize,
    /// Counts places and permits.
    clock: u64,
}

/// The line of one owner.
#[derive(Default)]
pub(super) struct Line {
    /// Those who wait, by their numbers.
    waiting: VecDeque<Waiting>,
    /// How many of them can be refused.
    n_refusable: usize,
    n_permits: usize,
    has_first: bool,
    /// When the owner came or got its last permit.
    since: u64,
}

struct Waiting {
    number: u64,
    admission: Admission,
    sender: oneshot::Sender<Result<Permit>>,
}

impl Lines {
    /// Nobody waits, and all permits are free.
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            free_first: capacity.first,
            free_further: capacity.further,
            lines: HashMap::new(),
            n_refusable: 0,
            clock: 0,
        }
    }

    /// Adds someone to the end of the line of their owner, and returns their number.
    pub(super) fn join(
        &mut self,
        owner: Owner,
        admission: Admission,
        sender: oneshot::Sender<Result<Permit>>,
    ) -> u64 {
        let number = self.tick();
        let line = self.lines.entry(owner).or_default();
        if line.waiting.is_empty() {
            line.since = number;
        }
        let n_refusable = usize::from(admission == Admission::Refuse);
        line.n_refusable += n_refusable;
        self.n_refusable += n_refusable;
        line.waiting.push_back(Waiting {
            number,
            admission,
            sender,
        });
        number
    }

    /// Takes someone out of the line of their owner, if they are still in it.
    pub(super) fn leave(&mut self, owner: Owner, number: u64) {
        if let Some(line) = self.lines.get(&owner)
            && let Ok(index) = line.waiting.binary_search_by_key(&number, |w| w.number)
        {
            self.take(owner, index);
        }
    }

    /// Takes who is at this place of a line out of it.
    fn take(&mut self, owner: Owner, index: usize) -> Option<Waiting> {
        let line = self.lines.get_mut(&owner)?;
        let waiting = line.waiting.remove(index)?;
        let n_refusable = usize::from(waiting.admission == Admission::Refuse);
        line.n_refusable -= n_refusable;
        self.n_refusable -= n_refusable;
        if line.is_unused() {
            self.lines.remove(&owner);
        }
        Some(waiting)
    }

    /// Gives free permits to those who are next.
    pub(super) fn hand_out(&mut self, queue: &Arc<Queue>) -> Vec<Answer> {
        let mut answers = Vec::new();
        while self.free_first > 0
            && let Some(owner) = self.next(|line| !line.has_first)
        {
            self.free_first -= 1;
            answers.extend(self.give(owner, Rank::First, queue));
        }
        while self.free_further > 0
            && let Some(owner) = self.next(|_| true)
        {
            self.free_further -= 1;
            answers.extend(self.give(owner, Rank::Further, queue));
        }
        answers
    }

    /// The owner whose turn it is, among those who wait and may have a permit.
    fn next(&self, may_have: impl Fn(&Line) -> bool) -> Option<Owner> {
        let waiting = |line: &Line| !line.waiting.is_empty() && may_have(line);
        let candidates = self.lines.iter().filter(|(_, line)| waiting(line));
        let next = candidates.min_by_key(|(_, line)| (line.n_permits, line.since));
        next.map(|(owner, _)| *owner)
    }

    /// Gives a permit to the first in the line of an owner.
    fn give(&mut self, owner: Owner, rank: Rank, queue: &Arc<Queue>) -> Option<Answer> {
        let now = self.tick();
        let line = self.lines.get_mut(&owner)?;
        line.n_permits += 1;
        line.has_first |= rank == Rank::First;
        line.since = now;
        let waiting = self.take(owner, 0)?;
        let permit = Permit {
            queue: Arc::clone(queue),
            owner,
            rank,
        };
        Some((waiting.sender, Ok(permit)))
    }

    pub(super) fn give_back(&mut self, owner: Owner, rank: Rank) {
        match rank {
            Rank::First => self.free_first += 1,
            Rank::Further => self.free_further += 1,
        }
        if let Some(line) = self.lines.get_mut(&owner) {
            line.n_permits -= 1;
            line.has_first &= rank != Rank::First;
            if line.is_unused() {
                self.lines.remove(&owner);
            }
        }
    }

    /// Refuses the newest of the owner who has the most in line; among several, of the one who came last.
    pub(super) fn refuse_one(&mut self, newcomer: Owner) -> Option<Answer> {
        let most = |(owner, line): &(&Owner, &Line)| (line.n_refusable, **owner == newcomer);
        let owner = *self.lines.iter().max_by_key(most)?.0;
        let line = self.lines.get(&owner)?;
        let can_be_refused = |waiting: &Waiting| waiting.admission == Admission::Refuse;
        let index = line.waiting.iter().rposition(can_be_refused)?;
        let waiting = self.take(owner, index)?;
        Some((waiting.sender, Err(overloaded())))
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Line {
    fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.n_permits == 0
    }
}
