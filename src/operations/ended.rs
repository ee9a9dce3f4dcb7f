//! The operations that have ended, which are shown for a while: at most a bounded number of each owner and of all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Operation;
use crate::store::Owner;

/// How long an operation is shown after its end.
pub(super) const KEPT: Duration = Duration::from_secs(600);

/// The most operations of one owner.
const MOST_OF_OWNER: usize = 100;

/// The most operations of all owners. Each takes about a kilobyte.
const MOST: usize = 5000;

/// Operations that have ended, the first one first.
#[derive(Default)]
pub(super) struct Ended(VecDeque<(Instant, Arc<Operation>)>);

impl Ended {
    /// Adds an operation, and forgets old ones.
    pub(super) fn push(&mut self, operation: Arc<Operation>) {
        let now = Instant::now();
        self.forget_old(now);
        let owner = operation.plan().owner;
        let of_owner = |(_, ended): &(_, Arc<Operation>)| ended.plan().owner == owner;
        if self.0.iter().filter(|entry| of_owner(entry)).count() >= MOST_OF_OWNER
            && let Some(first) = self.0.iter().position(of_owner)
        {
            self.0.remove(first);
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, operation));
    }

    /// The operations of an owner, in the order in which they ended.
    pub(super) fn of(&mut self, owner: Owner) -> impl Iterator<Item = &Arc<Operation>> {
        self.forget_old(Instant::now());
        let operations = self.0.iter().map(|(_, operation)| operation);
        operations.filter(move |operation| operation.plan().owner == owner)
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |ended: &Instant| now.saturating_duration_since(*ended) > KEPT;
        while self.0.front().is_some_and(|(ended, _)| is_old(ended)) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{Kind, Plan};
    use crate::store::{TokenHasher, TokenKey};

    fn operation(token: &str) -> Arc<Operation> {
        let hasher = TokenHasher::new(&TokenKey::from_bytes([1; 32]));
        let owner = hasher.owner_of(token.as_bytes());
        Operation::begin(Plan::new(owner, Kind::Train, "run", None))
    }

    #[test]
    fn one_owner_pushes_out_only_its_own_and_all_together_are_bounded() {
        let mut ended = Ended::default();
        let alice = operation("alice");
        ended.push(Arc::clone(&alice));
        let bob: Vec<_> = (0..MOST_OF_OWNER + 5).map(|_| operation("bob")).collect();
        for operation in &bob {
            ended.push(Arc::clone(operation));
        }
        let kept: Vec<_> = ended.of(bob[0].plan().owner).map(|o| o.id()).collect();
        let last: Vec<_> = bob[5..].iter().map(|o| o.id()).collect();
        assert_eq!(kept, last);
        assert_eq!(ended.of(alice.plan().owner).count(), 1);
        for n in 0..MOST {
            ended.push(operation(&n.to_string()));
        }
        assert_eq!(ended.0.len(), MOST);
        assert_eq!(ended.of(alice.plan().owner).count(), 0);
    }

    #[test]
    fn old_ones_are_forgotten() {
        let mut ended = Ended::default();
        let operation = operation("alice");
        let owner = operation.plan().owner;
        ended.push(operation);
        let Some(later) = Instant::now().checked_add(KEPT) else {
            return;
        };
        ended.forget_old(later - Duration::from_secs(60));
        assert_eq!(ended.0.len(), 1);
        ended.forget_old(later + Duration::from_secs(60));
        assert_eq!(ended.of(owner).count(), 0);
    }
}
