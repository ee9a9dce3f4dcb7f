//! Converts an [`Error`] of the domain to the [`Status`] that a client sees, with its `google.rpc` details.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use tonic::metadata::MetadataValue;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{Error, Kind, Reason, Result, chain, reason};
use crate::operations::Recorded;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "anomalyd";

/// How long a caller should wait before it retries a request refused for overload, or because of the disk.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The key of the call's id in the metadata of `ErrorInfo`.
const CALL_ID: &str = "call_id";

/// The longest message: it must fit in the header limits of clients.
const MAX_MESSAGE_BYTES: usize = 1024;

/// Why an RPC has failed.
pub(super) enum Failure {
    /// An error of the domain.
    Domain(Error),
    /// The transport could not receive a message.
    Transport(Box<Status>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Transport(Box::new(status))
    }
}

impl Recorded for Failure {
    fn recorded(&self) -> Error {
        match self {
            Self::Domain(error) => error.recorded(),
            Self::Transport(status) => Error::new(reason_of(status), status.message()).recorded(),
        }
    }
}

/// The reason in a status; without one, the caller has left or has sent what cannot be received.
fn reason_of(status: &Status) -> Reason {
    let info = status.get_details_error_info();
    let known = info.and_then(|info| reason::named(&info.reason));
    known.unwrap_or(reason::CANCELLED)
}

/// The response of an RPC, or the status of its failure.
///
/// An `async fn` would hold the work twice, as its argument and as what it awaits.
pub(super) fn answer<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    work.map(|done| match done {
        Ok(answer) => Ok(Response::new(answer)),
        Err(Failure::Domain(error)) => Err(of(error)),
        Err(Failure::Transport(status)) => Err(*status),
    })
}

/// The status of an error, without the id of the call, which the server adds later. Defects, damage and failures of the disk are
/// logged here, and the status does not reveal them.
pub fn of(error: Error) -> Status {
    let reason = error.reason();
    if matches!(error.kind(), Kind::Internal | Kind::DataLoss) || reason == reason::STORAGE_FAILED {
        log_cause(&error);
    }
    let message = message(&error);

    let mut details = ErrorDetails::with_error_info(reason.name(), DOMAIN, HashMap::new());
    if let Some(field) = error.field_path().or(usual_field(reason)) {
        details.add_bad_request_violation(shorten(field), message.clone());
    }
    let may_pass = matches!(reason, reason::OVERLOADED | reason::STORAGE_FAILED);
    if may_pass {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    let mut status = Status::with_error_details(code(error.kind()), message, details);
    if may_pass {
        // some clients read this instead
        let delay = MetadataValue::from(RETRY_DELAY.as_millis() as u64);
        status
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", delay);
    }
    status
}

/// The message that clients see.
pub(super) fn message(error: &Error) -> String {
    match error.kind() {
        Kind::Internal => {
            "internal error; the server's log has the details under the call_id".to_owned()
        }
        // says which dataset of the caller, and nothing of the store
        Kind::DataLoss if error.reason() == reason::DATASET_DAMAGED => shorten(error.message()),
        Kind::DataLoss => {
            "what is stored is damaged; the server's log has the details under the call_id"
                .to_owned()
        }
        _ => shorten(error.message()),
    }
}

/// The field for a reason whose error names none: the code that checks rows does not always know their field.
fn usual_field(reason: Reason) -> Option<&'static str> {
    match reason {
        reason::UNUSABLE_ROWS
        | reason::INVALID_RECORDS
        | reason::TEXT_VALUE
        | reason::SCHEMA_MISMATCH => Some("records"),
        reason::INVALID_STREAM => Some("part"),
        reason::COLUMN_TYPE_CLASH => Some("dataset_ids"),
        reason::CHECKSUM_MISMATCH => Some("end.sha256"),
        _ => None,
    }
}

/// A status with an `ErrorInfo` for what no [`Reason`] of the domain covers, such as errors of the transport.
pub fn with_reason(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

/// Adds the id of the call to the metadata of a status's `ErrorInfo`, if it has one.
pub fn with_call_id(status: &Status, call_id: &str) -> Status {
    let mut details = status.get_error_details();
    if let Some(mut info) = details.error_info().cloned() {
        info.metadata.insert(CALL_ID.to_owned(), call_id.to_owned());
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details_and_metadata(
        status.code(),
        status.message(),
        details,
        status.metadata().clone(),
    )
}

/// The gRPC code of a kind of error.
pub fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Aborted => Code::Aborted,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
        Kind::Cancelled => Code::Cancelled,
        Kind::Unavailable => Code::Unavailable,
        Kind::DataLoss => Code::DataLoss,
        Kind::Internal => Code::Internal,
    }
}

/// The stable UPPER_SNAKE name of a code.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn log_cause(error: &Error) {
    tracing::error!(reason = error.reason().name(), "{}", chain(error));
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_MESSAGE_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_MESSAGE_BYTES);
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_in_bad_request() {
        let error = Error::field("records.rows[3].amount", "is text; give a number");
        let status = of(error);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "is text; give a number");
        let details = status.get_error_details();
        let info = details.error_info().expect("error info");
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("INVALID_FIELD", "anomalyd")
        );
        let violations = &details.bad_request().expect("bad request").field_violations;
        assert_eq!(violations[0].field, "records.rows[3].amount");
        assert!(details.retry_info().is_none());
    }

    #[test]
    fn bad_rows_are_bad_requests_even_without_a_field() {
        let cases = [
            (reason::UNUSABLE_ROWS, "records"),
            (reason::INVALID_STREAM, "part"),
        ];
        for (reason, field) in cases {
            let details = of(Error::new(reason, "no")).get_error_details();
            let violations = &details.bad_request().expect("bad request").field_violations;
            assert_eq!(violations[0].field, field);
        }
    }

    #[test]
    fn defects_and_damage_reveal_nothing_internal() {
        for reason in [reason::INTERNAL, reason::DAMAGED_ARTIFACT] {
            let cause = std::io::Error::other("/var/secret/path");
            let status = of(Error::new(reason, "sled page 7 is bad").because(cause));
            assert_eq!(status.code(), code(reason.kind()));
            let wire = format!("{status:?}");
            assert!(!wire.contains("sled") && !wire.contains("secret"), "{wire}");
            assert!(status.message().contains("call_id"));
            assert_eq!(
                status
                    .get_error_details()
                    .error_info()
                    .expect("info")
                    .reason,
                reason.name()
            );
        }
    }

    #[test]
    fn what_may_pass_says_when_to_retry() {
        for (reason, code) in [
            (reason::OVERLOADED, Code::ResourceExhausted),
            (reason::STORAGE_FAILED, Code::Unavailable),
        ] {
            let status = of(Error::new(reason, "not now"));
            assert_eq!(status.code(), code);
            let details = status.get_error_details();
            let retry = details.retry_info().cloned().expect("retry info");
            assert_eq!(retry.retry_delay, Some(RETRY_DELAY));
            let pushback = status.metadata().get("grpc-retry-pushback-ms");
            assert_eq!(pushback.expect("a delay"), "1000");
        }
    }

    #[test]
    fn the_call_id_is_added_without_losing_anything() {
        let status = with_call_id(&of(Error::field("run_id", "is empty")), "r-1");
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().expect("info").metadata["call_id"],
            "r-1"
        );
        assert_eq!(
            details
                .bad_request()
                .expect("bad request")
                .field_violations
                .len(),
            1
        );
        assert_eq!(status.message(), "is empty");
    }

    #[test]
    fn an_operation_shows_what_its_callers_were_answered() {
        for error in [
            Error::new(reason::OVERLOADED, "no memory for the message"),
            Error::new(reason::REQUEST_TIMEOUT, "it is silent"),
            Error::field("f", "x".repeat(5000)),
        ] {
            let answered = of(error.recorded());
            for failure in [Failure::from(answered.clone()), Failure::from(error)] {
                let shown = of(failure.recorded());
                assert_eq!(shown.code(), answered.code());
                assert_eq!(shown.message(), answered.message());
            }
            let is_cut = answered.message().len() > MAX_MESSAGE_BYTES;
            assert_eq!(is_cut, answered.message().ends_with("x..."));
        }
        let left = Failure::from(Status::cancelled("gone")).recorded();
        assert_eq!(left.reason(), reason::CANCELLED);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let status = of(Error::field("f", "ä".repeat(5000)));
        assert!(status.message().len() <= MAX_MESSAGE_BYTES + 3);
        assert!(status.message().ends_with("ä..."));
    }
}
