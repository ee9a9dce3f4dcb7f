//! The one error type. An error states its [`Reason`], from which its kind follows, and what a server or a program does with it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;

mod place;

pub use place::{Place, PlacedColumn};

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
    place: Option<Place>,
    /// Where the message names the row of the place; empty if it names none.
    place_text: Range<usize>,
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
    /// The server is stopping, or something that it needs does not work at the moment.
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

/// Defines reasons as constants whose identifiers are their names, and `ALL` of them as a list.
#[macro_export]
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $kind:ident;)*) => {
        $(
            $(#[$doc])*
            pub const $name: $crate::error::Reason =
                $crate::error::Reason::new(stringify!($name), $crate::error::Kind::$kind);
        )*

        /// All reasons that are defined here.
        pub const ALL: &[$crate::error::Reason] = &[$($name),*];
    };
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
        /// The system could not open, read or write a file.
        STORAGE_FAILED, Unavailable;
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
            place: None,
            place_text: 0..0,
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
        let before = format!("{place}: ");
        self.0.place_text.start += before.len();
        self.0.place_text.end += before.len();
        self.0.message.insert_str(0, &before);
        self
    }

    /// The same error about a place in the table of the records. If that is in a row, the message starts with it, as in
    /// `row 3, column "amount": …`.
    #[must_use]
    pub fn in_table(mut self, place: Place) -> Self {
        let text = place.to_string();
        if !text.is_empty() {
            self = self.during(&text);
            self.0.place_text = 0..text.len();
        }
        self.0.place = Some(place);
        self
    }

    /// The same error with its row counted from the start of a longer table, in which the first row of this one has an index.
    /// Only the message changes.
    #[must_use]
    pub fn counted_from(mut self, first_row: usize) -> Self {
        if let Some(place) = &self.0.place {
            let text = place.clone().moved_down(first_row).to_string();
            let start = self.0.place_text.start;
            self.0
                .message
                .replace_range(self.0.place_text.clone(), &text);
            self.0.place_text = start..start + text.len();
        }
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

    /// The place in the table of the records that the error is about, if it is about one. Rows count from the start of that
    /// table.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_place_is_counted_from_the_start_and_its_place_stays() {
        let column = PlacedColumn {
            index: 1,
            name: Some("row 3".to_owned()),
        };
        let place = Place::Cell { row: 3, column };
        let error = Error::new(reason::TEXT_VALUE, "row 3 is text").in_table(place.clone());
        assert_eq!(error.message(), "row 3, column \"row 3\": row 3 is text");
        let error = error.during("message 2").counted_from(10);
        assert_eq!(
            error.message(),
            "message 2: row 13, column \"row 3\": row 3 is text"
        );
        assert_eq!(error.place(), Some(&place));
    }

    #[test]
    fn a_column_does_not_change_the_message() {
        let column = PlacedColumn {
            index: 1,
            name: None,
        };
        let error = Error::new(reason::TEXT_VALUE, "no").in_table(Place::Column(column));
        assert_eq!(error.counted_from(10).message(), "no");
    }
}
