//! The errors of the command line, with advice.

use std::io::{self, Write};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::error::{Reason, reason};
use crate::service::status::code_name;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit code that shells report for an interrupted program.
pub(crate) const INTERRUPTED: u8 = 130;

/// The main part of a response, `what` in words. The server always sends one.
pub(crate) fn answered<'a, T>(part: Option<&'a T>, what: &str) -> Result<&'a T> {
    part.ok_or_else(|| Error::failed(format!("the server answered without {what}")))
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line is wrong. Exit code 2, as for clap's own errors.
    Usage(String),
    /// Any other failure on this side, with optional advice.
    Failed {
        message: String,
        hint: Option<String>,
    },
    /// An error status of the server.
    Status(Box<Status>),
    /// An error status after a part of the work was done, and how to do the rest.
    BrokenOff { status: Box<Status>, rest: String },
    /// The command was interrupted; the text says what became of its work.
    Interrupted(String),
    /// The standard output cannot be written to.
    Output(io::Error),
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: None,
        }
    }

    /// The same failure, with advice.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, .. } => Self::Failed {
                message,
                hint: Some(hint.into()),
            },
            other => other,
        }
    }

    /// The exit code; `None` to exit quietly, because the reader of the output has closed it.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Usage(_) => Some(2),
            Self::Interrupted(_) => Some(INTERRUPTED),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            _ => Some(1),
        }
    }

    /// The same error for a file that was sent in chunks: says that the server counts lines within
    /// a chunk.
    pub(crate) fn in_chunks(self) -> Self {
        const READING: [Reason; 2] = [reason::INVALID_RECORDS, reason::TEXT_VALUE];
        match self {
            Self::Status(status) => {
                let details = status.get_error_details();
                let reason = details.error_info().map(|info| info.reason.as_str());
                if READING.iter().all(|reading| reason != Some(reading.name())) {
                    return Self::Status(status);
                }
                let message = format!(
                    "{}; lines are counted within one chunk of the stream, not in the whole file",
                    status.message()
                );
                Self::Status(Box::new(Status::with_error_details(
                    status.code(),
                    message,
                    details,
                )))
            }
            other => other,
        }
    }

    /// Writes the error and the advice, one line each.
    pub(crate) fn report(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Usage(message) => {
                writeln!(to, "error: {message}")?;
                writeln!(
                    to,
                    "  for the options of a command: anomalyd COMMAND --help"
                )
            }
            Self::Failed { message, hint } => {
                writeln!(to, "error: {message}")?;
                match hint {
                    Some(hint) => writeln!(to, "  {hint}"),
                    None => Ok(()),
                }
            }
            Self::Status(status) => report_status(status, to),
            Self::BrokenOff { status, rest } => {
                report_status(status, to)?;
                writeln!(to, "  {rest}")
            }
            Self::Interrupted(text) => writeln!(to, "{text}"),
            Self::Output(error) => writeln!(to, "error: cannot write the output: {error}"),
        }
    }
}

fn report_status(status: &Status, to: &mut dyn Write) -> io::Result<()> {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    let code = code_name(status.code());
    // a status may have no message
    let message = match status.message() {
        "" => "the server gave no message",
        message => message,
    };
    match reason {
        Some(reason) if reason != code => writeln!(to, "error: {message} ({code}, {reason})")?,
        _ => writeln!(to, "error: {message} ({code})")?,
    }
    for violation in details
        .bad_request()
        .iter()
        .flat_map(|bad| &bad.field_violations)
    {
        if message.starts_with(&violation.description) {
            writeln!(to, "  at {}", violation.field)?;
        } else {
            writeln!(to, "  at {}: {}", violation.field, violation.description)?;
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        writeln!(to, "  try again in {:.1} s", delay.as_secs_f64())?;
    }
    if let Some(options) = options(message) {
        writeln!(to, "  on the command line, {options}")?;
    }
    match advice(status.code(), reason) {
        Some(advice) => writeln!(to, "  {advice}"),
        None => Ok(()),
    }
}

/// The options for what a message of the server speaks of.
fn options(message: &str) -> Option<String> {
    const OPTIONS: [(&str, &str); 11] = [
        ("text_columns", "text_columns is --text-column"),
        ("na_values", "na_values is --na-value"),
        ("feature_columns", "feature_columns is --feature"),
        ("ignore_columns", "ignore_columns is --ignore"),
        ("label_column", "label_column is --label-column"),
        ("target_column", "target_column is --target"),
        ("time_column", "time_column is --time-column"),
        ("series_column", "series_column is --series-column"),
        (
            "feature_engineering.columns",
            "feature_engineering.columns is --engineer-column",
        ),
        (
            "unknown columns",
            "--drop COLUMN leaves a column of a CSV file out",
        ),
        ("feature_policy", "feature_policy is --feature-policy"),
    ];
    let of_message = OPTIONS.iter().filter(|(word, _)| message.contains(word));
    let options: Vec<&str> = of_message.map(|&(_, option)| option).collect();
    (!options.is_empty()).then(|| options.join(", "))
}

fn advice(code: Code, reason: Option<&str>) -> Option<&'static str> {
    // an oversize message can get a status of tonic's, without a reason
    if reason == Some(reason::MESSAGE_TOO_LARGE.name()) || code == Code::OutOfRange {
        return Some(
            "upload the file with `anomalyd dataset upload`, and name it with --dataset; a large CSV file can also be scored \
             with `predict --stream`; otherwise compress the file, or raise the server's message limit (see \
             `anomalyd serve --help`)",
        );
    }
    if reason == Some(reason::ANSWER_TOO_LARGE.name()) {
        return Some(
            "on the command line: --rows anomalies or none lists fewer rows, `predict --stream --out` writes every row of a CSV \
             file, and `predict --dataset` has no limit",
        );
    }
    match code {
        Code::Unauthenticated => {
            Some("set ANOMALYD_TOKEN, or name a file that holds the token with --token-file")
        }
        Code::DeadlineExceeded => Some("give it more time with --timeout"),
        Code::Unavailable => Some("the server is stopping, or the connection broke; try again"),
        Code::Unimplemented => {
            Some("the server does not know this call: is it anomalyd, of the same version?")
        }
        _ => None,
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// For errors of writing to the standard output only: those of other files name their path.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn text(error: &Error) -> String {
        let mut to = Vec::new();
        error.report(&mut to).expect("a vector takes everything");
        String::from_utf8(to).expect("reports are text")
    }

    #[test]
    fn bad_input_is_shown_with_its_field() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "anomalyd", []);
        details.add_bad_request_violation("contamination", "must be in (0, 0.5], got 2");
        let status =
            Status::with_error_details(Code::InvalidArgument, "the request is wrong", details);
        assert_eq!(
            text(&status.into()),
            "error: the request is wrong (INVALID_ARGUMENT, INVALID_FIELD)\n  at contamination: must be in (0, 0.5], got 2\n"
        );
    }

    #[test]
    fn an_unauthenticated_call_says_how_to_give_the_token() {
        let error = Status::unauthenticated("no bearer token").into();
        assert!(text(&error).contains("ANOMALYD_TOKEN"));
        assert_eq!(error.exit_code(), Some(1));
    }

    #[test]
    fn advice_for_an_oversize_file_names_datasets_and_streaming() {
        for status in [
            Status::out_of_range("message length too large"),
            Status::with_error_details(
                Code::ResourceExhausted,
                "too large",
                ErrorDetails::with_error_info("MESSAGE_TOO_LARGE", "anomalyd", []),
            ),
        ] {
            let text = text(&status.into());
            assert!(
                text.contains("dataset upload") && text.contains("--stream"),
                "{text}"
            );
        }
    }

    #[test]
    fn advice_for_a_mixed_column_names_the_option_and_lines_are_said_to_be_of_a_chunk() {
        let message = "line 2: \"x\" is not a number; list it in text_columns";
        let status = || {
            let mut details = ErrorDetails::with_error_info("TEXT_VALUE", "anomalyd", []);
            details.add_bad_request_violation("records.file", message);
            Status::with_error_details(Code::InvalidArgument, message, details)
        };
        let whole = text(&status().into());
        assert!(
            whole.contains("--text-column") && !whole.contains("chunk"),
            "{whole}"
        );
        let chunk = text(&Error::from(status()).in_chunks());
        assert!(
            chunk.contains("--text-column") && chunk.contains("chunk"),
            "{chunk}"
        );
        // the message of the field is not repeated
        assert_eq!(chunk.matches(message).count(), 1, "{chunk}");

        let other = text(&Error::from(Status::not_found("no run")).in_chunks());
        assert!(!other.contains("chunk"), "{other}");
    }

    #[test]
    fn options_are_named_for_the_fields_of_a_message() {
        for (message, expected) in [
            (
                "feature engineering needs a target; name the column in target_column",
                &["target_column is --target"][..],
            ),
            (
                "unknown feature \"x\"; leave unknown columns out, or train with another feature_policy",
                &["--drop COLUMN", "feature_policy is --feature-policy"],
            ),
        ] {
            let text = text(&Status::invalid_argument(message).into());
            for expected in expected {
                assert!(text.contains(expected), "{expected} in {text}");
            }
        }
        let other = text(&Status::invalid_argument("the run is empty").into());
        assert!(!other.contains("command line"), "{other}");
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_other_write_errors_are() {
        let closed = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit_code(), None);
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit_code(), Some(1));
        assert_eq!(Error::usage("x").exit_code(), Some(2));
    }
}
