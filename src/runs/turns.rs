//! Updates of one run take turns within a process, so that they do not overtake each other again and again. Correctness
//! does not depend on it: the swaps of a run's record decide between writers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The runs that are being updated, by their keys.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Vec<u8>, Arc<AsyncMutex<()>>>>);

/// A turn at updating a run. Dropping it ends the turn.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    key: Vec<u8>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until no other update of the run has a turn.
    pub(super) async fn wait(self: &Arc<Self>, key: &[u8]) -> Turn {
        let mut turn = Turn {
            turns: Arc::clone(self),
            key: key.to_vec(),
            guard: None,
        };
        let queue = {
            let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(runs.entry(key.to_vec()).or_default())
        };
        turn.guard = Some(queue.lock_owned().await);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // runs for an update that stopped waiting as well
        self.guard = None;
        let mut runs = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs
            .get(&self.key)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            runs.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_at_one_run_exclude_each_other_and_leave_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.wait(b"run").await;
        let other = turns.wait(b"other").await;
        let second = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.wait(b"run").await }
        });
        let third = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.wait(b"run").await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        third.abort();
        assert!(third.await.is_err(), "it has left the queue");
        drop(first);
        let second = second.await.expect("it is its turn");
        assert_eq!(turns.0.lock().expect("not poisoned").len(), 2);
        drop((second, other));
        assert!(turns.0.lock().expect("not poisoned").is_empty());
    }
}
