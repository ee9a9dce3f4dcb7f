//! Calls that may take long: shows how far the server is, repeats the call when the connection breaks, and cancels it when the
//! command is interrupted.
//!
//! Such a call has a `request_id`, so that its work outlives the connection, and the call that is repeated joins it.

use std::future::pending;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::connect::{self, Connection, OperationClient, Transport};
use super::error::{Error, Result};
use super::{operation, progress};
use crate::error::reason;
use crate::proto::v1::{
    CancelOperationRequest, GetOperationRequest, Operation, OperationStage, OperationState,
    cancel_operation_request, get_operation_request,
};

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// How long to wait before a call is repeated.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a call may break in a row without having lasted.
const MOST_BREAKS: usize = 10;

/// A call that was not broken for so long has lasted.
const LASTING: Duration = Duration::from_secs(10);

/// How long to wait for the server to cancel an operation.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// What a long call writes to.
pub(super) enum Target {
    /// The run with this id.
    Run(String),
    /// The dataset with this id, which the server makes up if it is empty.
    Dataset(String),
}

/// A call that may take long.
pub(super) struct LongCall {
    operations: OperationClient,
    target: Target,
    request_id: String,
    /// Whether the request id is made up, so that no other command can join the work.
    is_made_up: bool,
    /// Whether the command gives up by itself after some time.
    has_timeout: bool,
    /// How long to wait before the call is repeated; `None` if it cannot be.
    pause: Option<Duration>,
    /// How long a call is not broken that has lasted; `None` if none can.
    lasting: Option<Duration>,
    bar: ProgressBar,
}

impl Target {
    /// Whether the operation writes to this.
    fn is_of(&self, operation: &Operation) -> bool {
        match self {
            Self::Run(id) => operation.run_id == *id,
            Self::Dataset(id) if id.is_empty() => operation.run_id.is_empty(),
            Self::Dataset(id) => operation.dataset_id == *id,
        }
    }
}

impl LongCall {
    /// A call with a request id, which is made up if it is empty.
    pub(super) fn new(
        connection: &Connection,
        transport: Transport,
        target: Target,
        request_id: &mut String,
    ) -> Self {
        let is_made_up = request_id.is_empty();
        if is_made_up {
            *request_id = uuid::Uuid::new_v4().simple().to_string();
        }
        Self {
            operations: connect::operation_client(transport),
            target,
            request_id: request_id.clone(),
            is_made_up,
            has_timeout: connection.has_timeout(),
            pause: Some(PAUSE),
            lasting: Some(LASTING),
            bar: progress::operation(),
        }
    }

    /// The same call, which sends a file and shows on this bar how much of it. However late it breaks, the file is sent from its
    /// beginning, so no attempt has got further than the one before.
    pub(super) fn sending(self, bar: ProgressBar) -> Self {
        Self {
            bar,
            lasting: None,
            ..self
        }
    }

    /// The same call, which cannot be repeated.
    pub(super) fn once(self) -> Self {
        Self {
            pause: None,
            ..self
        }
    }

    /// Makes the call, again and again while the connection breaks.
    pub(super) async fn make<T>(self, send: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        let answer = tokio::select! {
            answer = self.repeated(send) => match answer {
                Err(Error::Status(status)) if self.has_given_up(&status) => Err(self.given_up(status).await),
                answer => answer,
            },
            () = self.watch() => pending().await,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(Error::Interrupted(format!("interrupted: {}", self.cancel().await))),
                Err(error) => Err(Error::failed(format!("cannot watch for signals: {error}"))),
            },
        };
        self.bar.finish_and_clear();
        answer
    }

    async fn repeated<T>(&self, mut send: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        let mut n_breaks = 0;
        loop {
            let began = Instant::now();
            let status = match send().await {
                Err(Error::Status(status)) => status,
                answer => return answer,
            };
            // what the server itself answers would come again and again
            let is_cut = status.details().is_empty();
            let lasted = is_cut
                && self
                    .lasting
                    .is_some_and(|lasting| began.elapsed() >= lasting);
            n_breaks = if lasted { 1 } else { n_breaks + 1 };
            match self.pause {
                Some(pause) if n_breaks < MOST_BREAKS && self.is_broken(&status) => {
                    self.bar.set_message("the connection broke; trying again");
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(Error::Status(status)),
            }
        }
    }

    /// Whether the connection broke, a proxy cut the call, or the server stops: its other errors, which have details, are final.
    fn is_broken(&self, status: &Status) -> bool {
        let may_be_cut = match status.code() {
            Code::Unavailable | Code::Unknown | Code::Internal => true,
            // the command's own timeout shows as one of these
            Code::Cancelled | Code::DeadlineExceeded => !self.has_timeout,
            _ => false,
        };
        let info = status.get_details_error_info();
        let is_stopping = info.is_some_and(|info| info.reason == reason::UNAVAILABLE.name());
        may_be_cut && (status.details().is_empty() || is_stopping)
    }

    /// Whether the command's own timeout has passed and nobody else can have the result.
    fn has_given_up(&self, status: &Status) -> bool {
        let may_be_timeout = matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded);
        self.has_timeout && self.is_made_up && may_be_timeout
    }

    /// Cancels the work, which would go on without its caller.
    async fn given_up(&self, status: Box<Status>) -> Error {
        let rest = self.cancel().await.to_owned();
        Error::BrokenOff { status, rest }
    }

    /// Shows how far the server is, if anybody can see it.
    async fn watch(&self) {
        if self.bar.is_hidden() {
            return pending().await;
        }
        let mut operations = self.operations.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let named = get_operation_request::Operation::RequestId(self.request_id.clone());
            let request = GetOperationRequest {
                operation: Some(named),
            };
            // it may not have begun, or the connection may be broken: the call itself tells
            if let Ok(answer) = operations.get_operation(request).await {
                let operation = answer.into_inner().operation.unwrap_or_default();
                // the key may be another run's, too
                if self.target.is_of(&operation)
                    && let Some(reached) = operation.progress
                    && reached.stage() != OperationStage::Receiving
                {
                    progress::show(&self.bar, &reached);
                }
            }
        }
    }

    /// Cancels the operation of the call, and says what became of it.
    async fn cancel(&self) -> &'static str {
        match tokio::time::timeout(CANCEL_PATIENCE, self.try_cancel()).await {
            Ok(Ok(became)) => became,
            _ => "the server may go on with it; see `anomalyd operation list`",
        }
    }

    async fn try_cancel(&self) -> Result<&'static str> {
        let mut operations = self.operations.clone();
        // by its id: operations of other runs may have the same key
        let mut listed = operation::list(&mut operations).await?.into_iter();
        let is_own =
            |listed: &Operation| listed.request_id == self.request_id && self.target.is_of(listed);
        let Some(own) = listed.rfind(is_own) else {
            return Ok("nothing had begun");
        };
        let id = cancel_operation_request::Operation::OperationId(own.operation_id);
        let request = CancelOperationRequest {
            operation: Some(id),
        };
        let answer = operations.cancel_operation(request).await?;
        Ok(became(answer.into_inner().operation.as_ref()))
    }
}

/// What became of an operation that was to be cancelled.
fn became(operation: Option<&Operation>) -> &'static str {
    match operation.map(Operation::state) {
        Some(OperationState::Cancelled) => "the work was cancelled, and nothing is stored",
        Some(OperationState::Committing) => {
            "it was too late to cancel the work: its result is being stored; see `anomalyd operation get`"
        }
        Some(OperationState::Succeeded) => {
            "it was too late to cancel the work, whose result is stored"
        }
        Some(OperationState::Failed) => "the work had failed already",
        _ => "the server did not say what became of the work",
    }
}

#[cfg(test)]
mod tests;
