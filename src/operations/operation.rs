//! One operation: what it is, how far it is, and how it ends.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::OperationId;
use crate::caller::{Presence, RequestId};
use crate::error::{Error, Kind as ErrorKind, Result, reason};
use crate::store::{Owner, now_ms};
use anomaly_detection::context::{Progress, Reached};

/// The longest message of an error that is kept: longer than a status shows, which says that it is cut.
const MAX_MESSAGE_BYTES: usize = 2048;

/// The stages that the server adds to those of the library.
pub mod stage {
    use anomaly_detection::context::Stage;

    pub use anomaly_detection::context::stage::*;

    /// Waits for its turn, or for a thread.
    pub const WAITING: Stage = Stage::new("waiting");
    /// Receives a file.
    pub const RECEIVING: Stage = Stage::new("receiving");
    /// Writes the rows of several datasets into one file.
    pub const COMBINING: Stage = Stage::new("combining");
    /// Stores the result.
    pub const STORING: Stage = Stage::new("storing");
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Trains a model.
    Train,
    /// Updates a model.
    Update,
    /// Receives and stores a dataset.
    UploadDataset,
    /// Makes a dataset of others.
    CombineDatasets,
}

impl Kind {
    /// Whether it writes to a run; otherwise it makes a dataset.
    pub fn is_of_run(self) -> bool {
        matches!(self, Self::Train | Self::Update)
    }

    /// Whether it begins with messages that only its caller can send.
    pub(super) fn needs_caller(self) -> bool {
        self == Self::UploadDataset
    }
}

/// What is to be done, for whom.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For whom.
    pub owner: Owner,
    /// What is done.
    pub kind: Kind,
    /// The id of the run or dataset that it writes to.
    pub target: String,
    /// The id of the request.
    pub request_id: Option<RequestId>,
}

impl Plan {
    /// A plan to write to the run or dataset with the id `target`.
    pub fn new(owner: Owner, kind: Kind, target: &str, request_id: Option<&RequestId>) -> Self {
        Self {
            owner,
            kind,
            target: target.to_owned(),
            request_id: request_id.cloned(),
        }
    }
}

/// Long work that is being done, or has ended.
#[derive(Debug)]
pub struct Operation {
    id: OperationId,
    plan: Plan,
    started_ms: i64,
    progress: Progress,
    /// The caller of the request that leads it.
    caller: OnceLock<Presence>,
    phase: Mutex<Phase>,
    /// How many callers wait for the end. Only changed while the phase is locked.
    callers: watch::Sender<u32>,
    /// Fires when the work must stop.
    stopped: CancellationToken,
    /// Fires at the end.
    ended: CancellationToken,
}

#[derive(Debug)]
enum Phase {
    /// The work is being done, and can still be stopped.
    Active,
    /// The result is being stored.
    Committing,
    /// The work must stop, for this reason.
    Stopping(Error),
    /// It has ended at this time, in milliseconds since 1970; without an outcome if nothing was done.
    Ended(Option<Outcome>, i64),
}

/// How an operation has ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Succeeded,
    Failed(Error),
}

/// The state of an operation.
#[derive(Debug)]
pub enum State {
    /// It waits for its turn or for a thread.
    Waiting,
    /// It is at work.
    Running,
    /// Its result is being stored, so that it is too late to cancel it.
    Committing,
    /// Its result is stored.
    Succeeded,
    /// It has failed.
    Failed(Error),
    /// It was cancelled, or its caller has left.
    Cancelled(Error),
}

/// An operation at one moment.
#[derive(Debug)]
pub struct Shown {
    /// The state.
    pub state: State,
    /// How far it is; `None` once it has ended.
    pub reached: Option<Reached>,
    /// How many callers wait for its end.
    pub n_callers: u32,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<i64>,
}

impl Operation {
    /// An operation that begins now.
    pub(super) fn begin(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            id: OperationId::new(),
            plan,
            started_ms: now_ms(),
            progress: Progress::new(stage::WAITING),
            caller: OnceLock::new(),
            phase: Mutex::new(Phase::Active),
            callers: watch::Sender::new(0),
            stopped: CancellationToken::new(),
            ended: CancellationToken::new(),
        })
    }

    /// The id.
    pub fn id(&self) -> OperationId {
        self.id
    }

    /// What it does, and for whom.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When it began, in milliseconds since 1970.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// Where the work reports how far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Says that the result is being stored. From here on the operation cannot be cancelled, and goes on if its caller leaves.
    ///
    /// # Errors
    /// Fails if it was cancelled before.
    pub fn commit(&self) -> Result<()> {
        let mut phase = self.phase();
        match &*phase {
            Phase::Active | Phase::Committing => {
                *phase = Phase::Committing;
                self.outlive_caller();
                self.progress.enter(stage::STORING);
                Ok(())
            }
            Phase::Stopping(error) => Err(copy(error)),
            Phase::Ended(..) => Err(lost()),
        }
    }

    /// Says that nothing was stored, and that the work is to be done again.
    pub fn resume(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Committing) {
            *phase = Phase::Active;
            self.progress.enter(stage::WAITING);
        }
    }

    /// What it is and how far it is at this moment.
    pub fn show(&self) -> Shown {
        let phase = self.phase();
        let reached = self.progress.reached();
        let (state, ended_ms) = match &*phase {
            Phase::Active if reached.stage == stage::WAITING => (State::Waiting, None),
            Phase::Active => (State::Running, None),
            Phase::Committing => (State::Committing, None),
            Phase::Stopping(error) => (failed(error), None),
            Phase::Ended(Some(Outcome::Failed(error)), ended) => (failed(error), Some(*ended)),
            Phase::Ended(_, ended) => (State::Succeeded, Some(*ended)),
        };
        let is_over = matches!(*phase, Phase::Stopping(_) | Phase::Ended(..));
        Shown {
            state,
            reached: (!is_over).then_some(reached),
            n_callers: *self.callers.borrow(),
            ended_ms,
        }
    }

    /// Says who called.
    pub(super) fn begin_for(&self, caller: &Presence) {
        // there is one caller who leads
        let _ = self.caller.set(caller.clone());
    }

    /// Whether its work has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.caller.get().is_some()
    }

    /// Lets the work go on when the caller who leads it leaves.
    pub(super) fn outlive_caller(&self) {
        if let Some(caller) = self.caller.get() {
            caller.outlive();
        }
    }

    /// Whether the request that leads it has this id.
    pub(super) fn is_led_by(&self, request_id: &str) -> bool {
        let led_by = self.plan.request_id.as_ref();
        led_by.is_some_and(|led_by| led_by.as_str() == request_id)
    }

    /// Counts a caller who waits for the end, until the result is dropped. `None` if the operation is stopping or has ended.
    pub(super) fn attend(self: &Arc<Self>) -> Option<Attendance> {
        let phase = self.phase();
        matches!(*phase, Phase::Active | Phase::Committing).then(|| {
            self.callers.send_modify(|n| *n += 1);
            Attendance(Arc::clone(self))
        })
    }

    /// The number of callers, which can be watched.
    pub(super) fn callers(&self) -> watch::Receiver<u32> {
        self.callers.subscribe()
    }

    /// Cancels it, unless it is too late.
    pub(super) fn cancel(&self) {
        let cancelled = "the operation was cancelled by CancelOperation";
        self.stop_if(|| true, Error::new(reason::OPERATION_CANCELLED, cancelled));
    }

    /// Stops it for this reason if no caller waits for it, unless it is too late. Returns whether it stops.
    pub(super) fn stop_without_callers(&self, why: Error) -> bool {
        self.stop_if(|| *self.callers.borrow() == 0, why)
    }

    fn stop_if(&self, condition: impl Fn() -> bool, why: Error) -> bool {
        let mut phase = self.phase();
        let stops = matches!(*phase, Phase::Active) && condition();
        if stops {
            *phase = Phase::Stopping(why);
            self.stopped.cancel();
        }
        stops
    }

    /// Waits until the work must stop, and returns the reason.
    pub(super) async fn stopped(&self) -> Error {
        self.stopped.cancelled().await;
        match &*self.phase() {
            Phase::Stopping(error) => copy(error),
            _ => lost(),
        }
    }

    /// Ends it.
    pub(super) fn end(&self, outcome: Option<Outcome>) {
        *self.phase() = Phase::Ended(outcome, now_ms());
        self.ended.cancel();
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The error that it failed with.
    pub(super) async fn outcome(&self) -> Result<()> {
        self.ended.cancelled().await;
        match &*self.phase() {
            Phase::Ended(Some(Outcome::Failed(error)), _) => Err(copy(error)),
            _ => Ok(()),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller who waits for the end of an operation.
pub(super) struct Attendance(Arc<Operation>);

impl Drop for Attendance {
    fn drop(&mut self) {
        let _phase = self.0.phase();
        self.0.callers.send_modify(|n| *n -= 1);
    }
}

fn failed(error: &Error) -> State {
    match error.kind() {
        ErrorKind::Cancelled => State::Cancelled(copy(error)),
        _ => State::Failed(copy(error)),
    }
}

fn lost() -> Error {
    Error::new(reason::INTERNAL, "an operation was lost")
}

/// What callers see of an error, once more.
pub(super) fn copy(error: &Error) -> Error {
    let message = error.message();
    let end = message.floor_char_boundary(MAX_MESSAGE_BYTES);
    let copy = Error::new(error.reason(), &message[..end]);
    match error.field_path() {
        Some(field) => copy.at(field),
        None => copy,
    }
}

#[cfg(test)]
impl Operation {
    /// An operation that is listed nowhere.
    pub(crate) fn alone(owner: Owner) -> Arc<Self> {
        Self::begin(Plan::new(owner, Kind::Train, "", None))
    }
}
