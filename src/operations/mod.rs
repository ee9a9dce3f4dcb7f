//! Operations: long work that can be watched, joined and cancelled, and that can go on without its caller: trainings, updates,
//! uploads and combinations of datasets.
//!
//! An operation is led by the request that began it. With a request id, it goes on when its caller has left, for a bounded time,
//! and the same request, sent again, joins it: it waits for the same end. What has ended is kept for a while to be shown, but
//! never to be joined: the result is in the store, and what failed is tried again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result, reason};
use crate::store::Owner;

mod ended;
mod lead;
mod operation;
mod operation_id;

pub use lead::{Lead, Recorded};
pub use operation::{Kind, Operation, Plan, Shown, State, stage};
pub use operation_id::OperationId;

use ended::Ended;
use operation::Outcome;

/// The operations of all owners in this process.
pub struct Operations {
    /// How long work goes on after its last caller has left.
    orphan_timeout: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    running: BTreeMap<(Owner, OperationId), Arc<Operation>>,
    /// Those that the same request can join.
    joinable: HashMap<JoinKey, Arc<Operation>>,
    ended: Ended,
}

/// What a request that may join an operation has in common with the one that leads it.
#[derive(PartialEq, Eq, Hash)]
struct JoinKey {
    owner: Owner,
    of_run: bool,
    target: String,
    request_id: String,
}

impl JoinKey {
    /// `None` without a request id.
    fn of(plan: &Plan) -> Option<Self> {
        Some(Self {
            owner: plan.owner,
            of_run: plan.kind.is_of_run(),
            target: plan.target.clone(),
            request_id: plan.request_id.as_ref()?.as_str().to_owned(),
        })
    }
}

/// How an operation begins.
pub enum Begun<T> {
    /// The request leads it.
    Lead(Lead),
    /// An earlier request had the same result already, or has it now.
    Made(T),
}

/// What became of a request for an operation.
enum Registered {
    /// It leads one.
    First(Lead),
    /// It is to join this one.
    Joined(Arc<Operation>),
}

/// How a request names an operation.
#[derive(Debug, Clone)]
pub enum Selector {
    /// By its id.
    Id(String),
    /// By the id of the request that leads it.
    RequestId(String),
}

/// A page of operations.
#[derive(Debug)]
pub struct Page {
    /// The operations, in the order in which they began.
    pub operations: Vec<Arc<Operation>>,
    /// Whether there are more after them.
    pub more: bool,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("orphan_timeout", &self.orphan_timeout)
            .finish_non_exhaustive()
    }
}

impl Operations {
    /// No operations. Those with a request id go on for `orphan_timeout` after their last caller has left.
    pub fn new(orphan_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            orphan_timeout,
            table: Mutex::default(),
        })
    }

    /// Begins an operation, unless the same request has been here before: while that is at work, waits for its end.
    /// `made_before` finds the result of the request in the store.
    ///
    /// # Errors
    /// The error of the operation that was joined; [`reason::REQUEST_ID_REUSED`] if that is another request; and those of
    /// `made_before`.
    pub async fn begin<T, F>(
        self: &Arc<Self>,
        plan: Plan,
        made_before: impl Fn() -> F,
    ) -> Result<Begun<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        loop {
            match self.register(&plan)? {
                Registered::First(lead) => {
                    // only now, since an operation that has just ended is in the store
                    return match made_before().await {
                        Ok(None) => Ok(Begun::Lead(lead)),
                        Ok(Some(made)) => {
                            lead.withdraw();
                            Ok(Begun::Made(made))
                        }
                        Err(error) => {
                            lead.withdraw();
                            Err(error)
                        }
                    };
                }
                Registered::Joined(joined) => {
                    let attendance = joined.attend();
                    let outcome = joined.outcome().await;
                    // the end of one that was stopping already is not theirs
                    if attendance.is_some() {
                        outcome?;
                    }
                    // what it made may have been deleted since; the work is done again then
                    if let Some(made) = made_before().await? {
                        return Ok(Begun::Made(made));
                    }
                }
            }
        }
    }

    /// Registers an operation, or finds the one to join.
    fn register(self: &Arc<Self>, plan: &Plan) -> Result<Registered> {
        let mut table = self.table();
        let key = JoinKey::of(plan);
        if let (Some(key), Some(id)) = (&key, &plan.request_id)
            && let Some(running) = table.joinable.get(key)
        {
            if let Some(led_by) = &running.plan().request_id {
                // the ids are the same, so this only compares the rest
                id.repeats(led_by)?;
            }
            return Ok(Registered::Joined(Arc::clone(running)));
        }
        let operation = Operation::begin(plan.clone());
        if !plan.kind.needs_caller()
            && let Some(key) = key
        {
            table.joinable.insert(key, Arc::clone(&operation));
        }
        table
            .running
            .insert((plan.owner, operation.id()), Arc::clone(&operation));
        drop(table);
        Ok(Registered::First(Lead::new(Arc::clone(self), operation)))
    }

    /// Lets the same request join an operation from now on, unless it can join another one.
    fn allow_joining(&self, operation: &Arc<Operation>) {
        if let Some(key) = JoinKey::of(operation.plan()) {
            let mut table = self.table();
            table
                .joinable
                .entry(key)
                .or_insert_with(|| Arc::clone(operation));
        }
    }

    /// Ends an operation. Without an outcome, it leaves no trace.
    fn end(&self, operation: &Arc<Operation>, outcome: Option<Outcome>) {
        let mut table = self.table();
        let plan = operation.plan();
        table.running.remove(&(plan.owner, operation.id()));
        if let Some(key) = JoinKey::of(plan)
            && table
                .joinable
                .get(&key)
                .is_some_and(|joinable| Arc::ptr_eq(joinable, operation))
        {
            table.joinable.remove(&key);
        }
        if outcome.is_some() {
            table.ended.push(Arc::clone(operation));
        }
        drop(table);
        operation.end(outcome);
    }

    /// An operation of an owner.
    ///
    /// # Errors
    /// [`reason::OPERATION_NOT_FOUND`] if there is none, or it is another owner's; and, at the field, when a request id names more than one that runs.
    pub fn get(&self, owner: Owner, selector: &Selector) -> Result<Arc<Operation>> {
        let mut table = self.table();
        let found = match selector {
            Selector::Id(text) => OperationId::parse(text).and_then(|id| {
                let running = table.running.get(&(owner, id)).cloned();
                running.or_else(|| {
                    table
                        .ended
                        .of(owner)
                        .find(|ended| ended.id() == id)
                        .cloned()
                })
            }),
            Selector::RequestId(request_id) => {
                let is_named = |operation: &&Arc<Operation>| operation.is_led_by(request_id);
                let mut running = table.running_of(owner).filter(is_named);
                let first = running.next().cloned();
                if first.is_some() && running.next().is_some() {
                    return Err(Error::field(
                        "request_id",
                        format!(
                            "more than one operation that runs has the request_id {request_id:?}; name it by its operation_id"
                        ),
                    ));
                }
                drop(running);
                first.or_else(|| table.ended.of(owner).filter(is_named).last().cloned())
            }
        };
        found.ok_or_else(|| selector.not_found())
    }

    /// Cancels an operation if it is not too late, and returns it.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn cancel(&self, owner: Owner, selector: &Selector) -> Result<Arc<Operation>> {
        let operation = self.get(owner, selector)?;
        operation.cancel();
        Ok(operation)
    }

    /// At most `limit` operations of an owner that began after `after`.
    pub fn list(&self, owner: Owner, after: Option<OperationId>, limit: usize) -> Page {
        let mut table = self.table();
        let is_after = |operation: &&Arc<Operation>| Some(operation.id()) > after;
        let ended: Vec<_> = table.ended.of(owner).filter(is_after).cloned().collect();
        let running = table.running_of(owner).filter(is_after).cloned();
        let mut operations: Vec<_> = running.chain(ended).collect();
        drop(table);
        operations.sort_unstable_by_key(|operation| operation.id());
        let more = operations.len() > limit;
        operations.truncate(limit);
        Page { operations, more }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn running_of(&self, owner: Owner) -> impl Iterator<Item = &Arc<Operation>> {
        let range = (
            Bound::Included((owner, OperationId::FIRST)),
            Bound::Included((owner, OperationId::LAST)),
        );
        self.running.range(range).map(|(_, operation)| operation)
    }
}

impl Selector {
    fn not_found(&self) -> Error {
        let what = match self {
            Self::Id(id) => format!("operation {id:?}"),
            Self::RequestId(id) => format!("operation with the request_id {id:?}"),
        };
        let message = format!(
            "there is no {what} under this token; operations are shown while they run and for {} minutes after that",
            ended::KEPT.as_secs() / 60
        );
        Error::new(reason::OPERATION_NOT_FOUND, message)
    }
}

#[cfg(test)]
mod tests;
