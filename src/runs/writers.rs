//! The writes that are under way, run by run: so that a deletion reaches them, and updates of one run take turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::error::{Error, Result, reason};

/// The writes under way.
#[derive(Debug, Default)]
pub(super) struct Writers {
    runs: Mutex<HashMap<Vec<u8>, Entry>>,
}

/// One run that is being written to. It is forgotten with its last ticket.
#[derive(Debug, Default)]
struct Entry {
    tickets: usize,
    /// How many deletions are under way.
    deleting: usize,
    /// How many deletions have begun since the first of the tickets.
    deletions: u64,
    update_turn: Arc<AsyncMutex<()>>,
}

/// A write that is under way.
#[derive(Debug)]
pub(super) struct Ticket {
    writers: Arc<Writers>,
    key: Vec<u8>,
    deletions: u64,
    born_deleted: bool,
}

/// A deletion that is under way. All writes that it meets are lost, whenever they began.
#[derive(Debug)]
pub(super) struct Deletion {
    ticket: Ticket,
}

impl Writers {
    /// Announces a write.
    pub(super) fn enter(self: &Arc<Self>, key: &[u8]) -> Ticket {
        let mut runs = self.lock();
        let entry = runs.entry(key.to_vec()).or_default();
        entry.tickets += 1;
        Ticket {
            writers: Arc::clone(self),
            key: key.to_vec(),
            deletions: entry.deletions,
            born_deleted: entry.deleting > 0,
        }
    }

    /// Announces a deletion, before it is carried out.
    pub(super) fn delete(self: &Arc<Self>, key: &[u8]) -> Deletion {
        let ticket = self.enter(key);
        if let Some(entry) = self.lock().get_mut(key) {
            entry.deleting += 1;
            entry.deletions += 1;
        }
        Deletion { ticket }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Fails when the run was deleted since the write began. Decides rightly only after the record was read: a deletion
    /// announces itself before it changes the record.
    pub(super) fn check(&self) -> Result<()> {
        let deletions = self
            .writers
            .lock()
            .get(&self.key)
            .map_or(0, |entry| entry.deletions);
        if self.born_deleted || deletions != self.deletions {
            return Err(Error::new(
                reason::RUN_DELETED,
                "the run was deleted while this write was under way; nothing was stored",
            ));
        }
        Ok(())
    }

    /// Waits until no other update of the run is under way.
    pub(super) async fn update_turn(&self) -> OwnedMutexGuard<()> {
        let turn = self
            .writers
            .lock()
            .get(&self.key)
            .map(|entry| Arc::clone(&entry.update_turn));
        // the entry lives as long as its tickets, so there always is one
        turn.unwrap_or_default().lock_owned().await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut runs = self.writers.lock();
        if let Some(entry) = runs.get_mut(&self.key) {
            entry.tickets -= 1;
            if entry.tickets == 0 {
                runs.remove(&self.key);
            }
        }
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        if let Some(entry) = self.ticket.writers.lock().get_mut(&self.ticket.key) {
            entry.deleting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_reaches_all_writes_that_it_meets_and_no_others() {
        let writers = Arc::new(Writers::default());
        let before = writers.enter(b"run");
        let other = writers.enter(b"other");
        assert!(before.check().is_ok());
        let deletion = writers.delete(b"run");
        let during = writers.enter(b"run");
        assert!(before.check().is_err() && during.check().is_err());
        drop(deletion);
        let after = writers.enter(b"run");
        assert!(before.check().is_err() && during.check().is_err());
        assert!(after.check().is_ok() && other.check().is_ok());
        drop((before, during, after, other));
        assert!(writers.lock().is_empty());
    }
}
