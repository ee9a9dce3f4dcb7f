//! Errors about one column. Below the pipeline columns have no names, so that the error carries an index; the pipeline adds the
//! name.

use thiserror::Error as ThisError;

use crate::error::{Error, reason};

/// What is wrong with one column of the rows.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("column {column}: {problem}")]
pub struct ColumnError {
    /// The index of the column, counted from 0.
    pub column: usize,
    /// What is wrong with it and what would be right.
    pub problem: &'static str,
}

impl ColumnError {
    /// The mean or the variance of the column leaves the range of a double.
    pub fn not_finite(column: usize) -> Self {
        Self {
            column,
            problem: "the variance of its values is not finite; scale them down or leave the column out",
        }
    }

    /// No value of the column is present.
    pub fn no_values(column: usize) -> Self {
        Self {
            column,
            problem: "it holds no values; leave it out",
        }
    }

    /// The same as an [`Error`] with the name of the column, if `names` has one for it.
    pub fn named(self, names: &[String]) -> Error {
        match names.get(self.column) {
            Some(name) => {
                let message = format!("column {name:?}: {}", self.problem);
                Error::new(reason::UNUSABLE_ROWS, message).because(self)
            }
            None => self.into(),
        }
    }
}

impl From<ColumnError> for Error {
    fn from(error: ColumnError) -> Self {
        Error::new(reason::UNUSABLE_ROWS, error.to_string()).because(error)
    }
}

/// The error with the name of its column, if it was caused by a [`ColumnError`].
pub fn name_column(error: Error, names: &[String]) -> Error {
    let about = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<ColumnError>())
        .cloned();
    about.map_or(error, |about| about.named(names))
}
