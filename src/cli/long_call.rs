//! Calls that may take long: shows how far the server is, repeats the call when the connection breaks, and cancels it when the
//! command is interrupted.
//!
//! Such a call has a `request_id`, so that its work outlives the connection, and the call that is repeated joins it.

use std::future::pending;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tonic::{Code, Status};

use super::connect::{self, Connection, OperationClient, Transport};
use super::error::{Error, Result};
use super::progress;
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

/// A call that may take long.
pub(super) struct LongCall {
    operations: OperationClient,
    request_id: String,
    /// Whether the command gives up by itself after some time.
    has_timeout: bool,
    /// How long to wait before the call is repeated; `None` if it cannot be.
    pause: Option<Duration>,
    bar: ProgressBar,
}

impl LongCall {
    /// A call with a request id, which is made up if it is empty.
    pub(super) fn new(
        connection: &Connection,
        transport: Transport,
        request_id: &mut String,
    ) -> Self {
        if request_id.is_empty() {
            *request_id = uuid::Uuid::new_v4().simple().to_string();
        }
        Self {
            operations: connect::operation_client(transport),
            request_id: request_id.clone(),
            has_timeout: connection.has_timeout(),
            pause: Some(PAUSE),
            bar: progress::operation(),
        }
    }

    /// The same call, whose progress is shown on this bar.
    pub(super) fn on(self, bar: ProgressBar) -> Self {
        Self { bar, ..self }
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
            answer = self.repeated(send) => answer,
            () = self.watch() => pending().await,
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(self.cancelled().await),
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
            let lasted = began.elapsed() >= LASTING;
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

    /// Whether the connection broke, or a proxy cut the call: the server's own errors have details.
    fn is_broken(&self, status: &Status) -> bool {
        let may_be_cut = match status.code() {
            Code::Unavailable | Code::Unknown | Code::Internal => true,
            // the command's own timeout shows as one of these
            Code::Cancelled | Code::DeadlineExceeded => !self.has_timeout,
            _ => false,
        };
        may_be_cut && status.details().is_empty()
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
                if let Some(reached) = operation.progress
                    && reached.stage() != OperationStage::Receiving
                {
                    progress::show(&self.bar, &reached);
                }
            }
        }
    }

    /// Cancels the operation after an interruption, and says what became of it.
    async fn cancelled(&self) -> Error {
        let named = cancel_operation_request::Operation::RequestId(self.request_id.clone());
        let request = CancelOperationRequest {
            operation: Some(named),
        };
        let mut operations = self.operations.clone();
        let answer = tokio::time::timeout(CANCEL_PATIENCE, operations.cancel_operation(request));
        let became = match answer.await {
            Ok(Ok(answer)) => became(answer.into_inner().operation.as_ref()),
            Ok(Err(status)) if status.code() == Code::NotFound => "nothing had begun",
            _ => "the server may go on with it; see `anomalyd operation list`",
        };
        Error::Interrupted(format!("interrupted: {became}"))
    }
}

/// What became of an operation that was to be cancelled.
fn became(operation: Option<&Operation>) -> &'static str {
    match operation.map(Operation::state) {
        Some(OperationState::Cancelled) => "the work was cancelled, and nothing is stored",
        Some(OperationState::Committing | OperationState::Succeeded) => {
            "it was too late to cancel the work, whose result is stored"
        }
        Some(OperationState::Failed) => "the work had failed already",
        _ => "the server did not say what became of the work",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tonic::transport::Endpoint;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn call(has_timeout: bool) -> LongCall {
        let nobody = Endpoint::from_static("http://localhost:1").connect_lazy();
        let nobody = connect::with_headers(nobody, HeaderMap::new());
        LongCall {
            operations: connect::operation_client(nobody),
            request_id: "k".to_owned(),
            has_timeout,
            pause: Some(Duration::ZERO),
            bar: ProgressBar::hidden(),
        }
    }

    /// Makes a call that is answered one after the other, and returns the last answer and how many there were.
    async fn make(call: LongCall, answers: &[Result<u8, Status>]) -> (Result<u8>, usize) {
        let mut n = 0;
        let answer = call.make(async || {
            n += 1;
            answers[n - 1].clone().map_err(Error::from)
        });
        (answer.await, n)
    }

    #[tokio::test]
    async fn a_broken_call_is_repeated_and_an_answer_is_final() {
        let broken = || Err(Status::unavailable("transport error"));
        let cut = || Err(Status::deadline_exceeded("cut by a proxy"));
        let (answer, n) = make(call(false), &[broken(), cut(), Ok(7)]).await;
        assert_eq!((answer.expect("answered"), n), (7, 3));

        let details = ErrorDetails::with_error_info("UNAVAILABLE", "anomalyd", []);
        let of_server = Status::with_error_details(Code::Unavailable, "stopping", details);
        for (call, answer) in [
            (call(false), Err(of_server)),
            (call(false), Err(Status::not_found("no"))),
            (call(true), Err(Status::cancelled("Timeout expired"))),
            (call(false).once(), broken()),
        ] {
            let (answer, n) = make(call, &[answer, Ok(7)]).await;
            assert_eq!((answer.is_err(), n), (true, 1), "{answer:?}");
        }

        let always = vec![broken(); MOST_BREAKS + 1];
        let (answer, n) = make(call(false), &always).await;
        assert_eq!((answer.is_err(), n), (true, MOST_BREAKS));
    }

    #[test]
    fn what_became_of_interrupted_work_is_said() {
        let operation = |state: OperationState| Operation {
            state: state.into(),
            ..Operation::default()
        };
        let cancelled = became(Some(&operation(OperationState::Cancelled)));
        assert!(cancelled.contains("nothing is stored"), "{cancelled}");
        let stored = became(Some(&operation(OperationState::Succeeded)));
        assert!(stored.contains("is stored"), "{stored}");
        assert_ne!(
            became(None),
            became(Some(&operation(OperationState::Failed)))
        );
    }
}
