//! The one error type. An error states its [`Reason`], from which its kind follows, and what a server or a program does with it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

/// The result of an operation that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what would be right.
///
/// Boxed, so that results in hot paths stay small.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    reason: Reason,
    message: String,
    field: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of an error, which decides how a caller should react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request can never work as it is.
    InvalidArgument,
    /// The request carries no usable identity.
    Unauthenticated,
    /// The requested object does not exist, or belongs to another token.
    NotFound,
    /// The object to be created exists already.
    AlreadyExists,
    /// The request does not fit the state of the run.
    FailedPrecondition,
    /// Another write came in between; the whole operation may be tried again.
    Aborted,
    /// A limit or a budget is used up.
    ResourceExhausted,
    /// The caller's deadline has passed.
    DeadlineExceeded,
    /// The caller has left.
    Cancelled,
    /// The server is stopping.
    Unavailable,
    /// Stored data is damaged.
    DataLoss,
    /// A defect of the server.
    Internal,
}

/// Why something failed: a stable name, which programs compare, and the kind of the error.
///
/// The set is open: a program that uses this library can define reasons of its own for the same error type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    name: &'static str,
    kind: Kind,
}

impl Reason {
    /// A reason with a name in SCREAMING_SNAKE_CASE, which must never change.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The kind of errors with this reason.
    pub fn kind(self) -> Kind {
        self.kind
    }
}

/// Defines reasons as constants whose identifiers are their names.
#[macro_export]
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $kind:ident;)*) => {$(
        $(#[$doc])*
        pub const $name: $crate::error::Reason =
            $crate::error::Reason::new(stringify!($name), $crate::error::Kind::$kind);
    )*};
}

/// The reasons of this library.
pub mod reason {
    crate::reasons! {
        /// A field of the request is missing, malformed or out of range.
        INVALID_FIELD, InvalidArgument;
        /// A parameter of a detector is out of range.
        INVALID_PARAMETER, InvalidArgument;
        /// The records cannot be read as a table.
        INVALID_RECORDS, InvalidArgument;
        /// A value is text where a number is needed.
        TEXT_VALUE, InvalidArgument;
        /// The columns are not those that the model was trained on.
        SCHEMA_MISMATCH, InvalidArgument;
        /// The rows are readable, but nothing can be learned from them.
        UNUSABLE_ROWS, InvalidArgument;
        /// Feature engineering needs the rows in the order of their times; these are not, and there are too many to sort.
        UNSORTED_ROWS, InvalidArgument;
        /// The model does not learn.
        UPDATE_REFUSED, FailedPrecondition;
        /// The dataset is larger than the server stores.
        DATASET_TOO_LARGE, ResourceExhausted;
        /// The deadline passed before the work was done.
        DEADLINE_EXCEEDED, DeadlineExceeded;
        /// The caller left before the work was done.
        CANCELLED, Cancelled;
        /// A stored model is damaged, or newer than this server.
        DAMAGED_ARTIFACT, DataLoss;
        /// A defect of the server.
        INTERNAL, Internal;
    }
}

impl Error {
    /// An error without a field.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            reason,
            message: message.into(),
            field: None,
            source: None,
        }))
    }

    /// A field of the request that is missing, malformed or out of range.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(reason::INVALID_FIELD, message).at(field)
    }

    /// The same error at a field of the request, such as `records.rows[3].amount`.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same error with the path of its field, if it has one, prefixed by `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if let Some(field) = &mut self.0.field {
            let joint = if field.starts_with('[') { "" } else { "." };
            *field = format!("{parent}{joint}{field}");
        }
        self
    }

    /// The same error with a message that starts with where it happened, as in `message 3 of the stream: …`.
    #[must_use]
    pub fn during(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The same error with its cause, which is meant for logs and not for callers.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The kind of the reason.
    pub fn kind(&self) -> Kind {
        self.0.reason.kind()
    }

    /// The message: what was wrong, where, and what would be right, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path of the field at fault, if there is one.
    pub fn field_path(&self) -> Option<&str> {
        self.0.field.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<linfa::Error> for Error {
    fn from(error: linfa::Error) -> Self {
        Self::new(reason::UNUSABLE_ROWS, error.to_string())
    }
}

/// An error and its causes in one line, for logs.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
