//! Records in a sled database, each in its envelope.
//!
//! The revision of a write doubles as its number at the committer.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::committer::Committer;
use super::references::References;
use super::sealed::unseal;
use super::sled_ledger::{Ledger, Turn};
use super::sled_open::guarded;
use super::{Entry, Pointer, PointerSwap, StoreError};
use crate::error::chain;

/// The records of an open database. Its methods may block.
pub(super) struct SledRecords {
    ledger: Arc<Ledger>,
    committer: Arc<Committer>,
    /// The number of the last deletion: a read that finds nothing must wait for it.
    last_deletion: AtomicU64,
}

impl SledRecords {
    /// Serves a database. Its writes up to number `durable` are durable.
    pub(super) fn new(ledger: Arc<Ledger>, durable: u64, committer: Arc<Committer>) -> Self {
        Self {
            ledger,
            committer,
            last_deletion: AtomicU64::new(durable),
        }
    }

    /// The record under a key, and the number of the write that must be durable before it may be shown.
    pub(super) fn get(&self, key: &[u8]) -> Result<(Option<Pointer>, u64), StoreError> {
        match self.ledger.database().get(key)? {
            Some(stored) => {
                let sealed = unseal(key, &stored)?;
                let revision = sealed.revision;
                let pointer = (!sealed.is_removal).then(|| Pointer {
                    value: sealed.value.to_vec(),
                    revision,
                });
                Ok((pointer, revision.0))
            }
            None => Ok((None, self.last_deletion.load(Ordering::SeqCst))),
        }
    }

    /// Applies a swap, unless it was applied before. Returns the number of the write that must be durable before it may be
    /// acknowledged; `None` if the swap is lost.
    pub(super) fn swap(&self, swap: &PointerSwap) -> Result<Option<u64>, StoreError> {
        swap.check_size()?;
        let key = &swap.key;
        let mut turn = self.ledger.turn();
        self.committer.check()?;
        let current = self.ledger.database().get(key)?;
        let (mut found, mut replaced) = (None, None);
        if let Some(stored) = &current {
            let sealed = unseal(key, stored)?;
            if sealed.write == swap.id {
                return Ok(Some(sealed.revision.0));
            }
            if !sealed.is_removal {
                found = Some(sealed.revision);
                replaced = Some(sealed.hash(key));
            }
        }
        if found != swap.expected {
            return Ok(None);
        }
        let revision = turn
            .next_revision()
            .inspect_err(|error| self.committer.fail(&chain(error)))?;
        if swap.record.is_none() {
            // set before the deletion can be seen, so that whoever sees it knows what to wait for
            self.last_deletion.store(revision, Ordering::SeqCst);
        }
        match turn.write(key, replaced, swap.id, swap.record.as_ref()) {
            Ok(revision) => {
                self.committer.request(revision);
                Ok(Some(revision))
            }
            Err(error) => {
                // sled does not recover from a failed write, and what it has written is unknown
                let cause = chain(&error);
                self.committer.fail(&cause);
                let cause = cause.into();
                Err(StoreError::Unknown { cause })
            }
        }
    }

    /// The records after `after` whose keys start with `prefix`, at most `limit`, and the number of the write that must
    /// be durable before they may be shown.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut records = Vec::new();
        let mut newest = 0;
        let tree = self.ledger.database().records();
        let mut range = guarded("read records", || {
            Ok(tree.range::<&[u8], _>((start, Bound::Unbounded)))
        })?;
        while records.len() < limit {
            let Some((key, stored)) = guarded("read records", || range.next().transpose())? else {
                break;
            };
            if !key.starts_with(prefix) {
                break;
            }
            let sealed = unseal(&key, &stored)?;
            newest = newest.max(sealed.revision.0);
            if !sealed.is_removal {
                records.push((key.to_vec(), sealed.value.to_vec()));
            }
        }
        // loaded last: it covers the deletion of whatever was not found
        Ok((
            records,
            newest.max(self.last_deletion.load(Ordering::SeqCst)),
        ))
    }

    /// What all records refer to, and the number of the write that must be durable before anything else may be
    /// deleted.
    pub(super) fn references(&self) -> Result<(References, u64), StoreError> {
        let mut references = References::default();
        let mut newest = 0;
        for entry in self.ledger.database().entries() {
            let (key, stored) = entry?;
            let sealed = unseal(&key, &stored)?;
            newest = newest.max(sealed.revision.0);
            references.add(&key, &sealed);
        }
        Ok((
            references,
            newest.max(self.last_deletion.load(Ordering::SeqCst)),
        ))
    }

    /// Waits until no writer is at work, and keeps all others waiting until the answer is dropped.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.ledger.turn()
    }
}
