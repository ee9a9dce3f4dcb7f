//! The one error type. An error states its [`Reason`] once; its kind, and what a server or a program makes of it, follow from the
//! reason.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

/// The result of everything that can fail in the domain.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what would be right.
///
/// Boxed, because results of hot paths carry it.
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
    /// What was asked for does not exist, or belongs to another token.
    NotFound,
    /// What was to be created is there already.
    AlreadyExists,
    /// The request does not fit the state of the run.
    FailedPrecondition,
    /// Another write got in between; the whole operation may be tried again.
    Aborted,
    /// A limit or a budget is used up.
    ResourceExhausted,
    /// The caller's deadline has passed.
    DeadlineExceeded,
    /// The caller is gone.
    Cancelled,
    /// The server is stopping.
    Unavailable,
    /// What is stored is damaged.
    DataLoss,
    /// A defect of the server.
    Internal,
}

/// Why something failed: a stable name, which programs compare, and the class that it belongs to.
///
/// The set is open: a program on top of this library states its own reasons and uses the same error type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    name: &'static str,
    kind: Kind,
}

impl Reason {
    /// A reason. Its name is in UPPER_SNAKE case and never changes.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The class that the reason belongs to.
    pub fn kind(self) -> Kind {
        self.kind
    }
}

/// States reasons: constants named as they are.
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
        /// Features are engineered of rows in the order of their times, and these, too many to be sorted, are in another.
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

    /// The same error, placed at a field of the request, such as `records.rows[3].amount`.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same error with its field, if it has one, below `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        if let Some(field) = &mut self.0.field {
            let joint = if field.starts_with('[') { "" } else { "." };
            *field = format!("{parent}{joint}{field}");
        }
        self
    }

    /// The same error with where it happened before its message, as in `message 3 of the stream: …`.
    #[must_use]
    pub fn during(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The same error with what caused it; the cause is logged, never sent.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The class of the reason.
    pub fn kind(&self) -> Kind {
        self.0.reason.kind()
    }

    /// What was wrong, where and what would be right, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path of the field that was wrong, where there is one.
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

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
