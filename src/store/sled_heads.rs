//! The heads of logs in a sled database of their own: in the one of the records they would make it grow without
//! bound.

use super::log_head::Head;
use super::record::WriteId;
use super::sealed::{Sealed, unseal};
use super::sled_ledger::{Ledger, Turn};
use super::{LogName, StoreError};

/// How much memory the database may use for its cache, in bytes.
pub(super) const CACHE_BYTES: u64 = 8 << 20;

/// The heads of all logs. Its methods may block.
pub(super) struct SledHeads(Ledger);

impl SledHeads {
    /// The heads in a database.
    pub(super) fn new(ledger: Ledger) -> Self {
        Self(ledger)
    }

    /// The head of a log, checked.
    pub(super) fn get(&self, log: LogName) -> Result<Option<Head>, StoreError> {
        let Some(stored) = self.0.database().get(log.as_bytes())? else {
            return Ok(None);
        };
        let sealed = unseal(log.as_bytes(), &stored)?;
        match sealed.is_removal {
            true => Ok(None),
            false => Head::decode(log, sealed.value).map(Some),
        }
    }

    /// Puts a head in place, or removes it. Not durable before the flush.
    pub(super) fn put(&self, log: LogName, head: Option<&Head>) -> Result<(), StoreError> {
        let key = log.as_bytes();
        let record = head.map(|head| head.encode()).transpose()?;
        let mut turn = self.0.turn();
        let replaced = match self.0.database().get(key)? {
            Some(stored) => {
                let sealed = unseal(key, &stored)?;
                (!sealed.is_removal).then(|| sealed.hash(key))
            }
            None => None,
        };
        if record.is_none() && replaced.is_none() {
            return Ok(());
        }
        // the write of a head is never repeated
        turn.write(key, replaced, WriteId::NONE, record.as_ref())
            .map(|_| ())
    }

    /// Makes all changes so far survive power loss.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.0.flush()
    }

    /// Waits until no head is being written, and keeps writers waiting until the answer is dropped.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.0.turn()
    }
}

/// The log and the head in an entry of the database, checked.
pub(super) fn decode(key: &[u8], sealed: &Sealed<'_>) -> Result<(LogName, Head), StoreError> {
    let name = key.try_into().map_err(|_| StoreError::Damaged {
        what: "the database of the logs",
        how: format!("a key has {} bytes instead of 16", key.len()),
    })?;
    let log = LogName::from_bytes(name);
    Ok((log, Head::decode(log, sealed.value)?))
}
