//! Which rows an answer lists, what it says of each, and how large it may be.

use crate::error::{Error, Result};
use crate::proto::v1;

/// What clients take unless they are told otherwise.
const DEFAULT_BYTES: u64 = 4 << 20;

/// The fewest bytes that a request may ask for: room for a summary and some rows.
const MIN_BYTES: u64 = 128 << 10;

/// The most bytes that a request may ask for.
const MAX_BYTES: u64 = 64 << 20;

/// Which rows an answer lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum ListedRows {
    /// All of them.
    All,
    /// Those that are anomalies.
    Anomalies,
    /// None.
    None,
}

/// What an answer says of each row that it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Detail {
    /// Its score and verdict, in packed arrays.
    Score,
    /// An object with all that there is.
    Full,
}

/// What an answer is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) struct AnswerOptions {
    /// Which rows are listed; `None` leaves it to the method.
    pub(in crate::service) rows: Option<ListedRows>,
    /// What is said of each; `None` leaves it to the method.
    pub(in crate::service) detail: Option<Detail>,
    /// How many bytes it may have on the wire.
    pub(in crate::service) max_bytes: u64,
}

impl TryFrom<Option<v1::AnswerOptions>> for AnswerOptions {
    type Error = Error;

    /// Errors name the field below `answer`.
    fn try_from(options: Option<v1::AnswerOptions>) -> Result<Self> {
        let options = options.unwrap_or_default();
        let rows = match v1::AnswerRows::try_from(options.rows) {
            Ok(v1::AnswerRows::Unspecified) => None,
            Ok(v1::AnswerRows::All) => Some(ListedRows::All),
            Ok(v1::AnswerRows::Anomalies) => Some(ListedRows::Anomalies),
            Ok(v1::AnswerRows::None) => Some(ListedRows::None),
            Err(_) => {
                let message = format!(
                    "{} stands for no rows; give ANSWER_ROWS_ALL, ANSWER_ROWS_ANOMALIES or ANSWER_ROWS_NONE",
                    options.rows
                );
                return Err(Error::field("rows", message));
            }
        };
        let detail = match v1::Detail::try_from(options.detail) {
            Ok(v1::Detail::Unspecified) => None,
            Ok(v1::Detail::Score) => Some(Detail::Score),
            Ok(v1::Detail::Full) => Some(Detail::Full),
            Err(_) => {
                let message = format!(
                    "{} is no known detail; give DETAIL_SCORE or DETAIL_FULL",
                    options.detail
                );
                return Err(Error::field("detail", message));
            }
        };
        let max_bytes = options.max_bytes.unwrap_or(DEFAULT_BYTES);
        if !(MIN_BYTES..=MAX_BYTES).contains(&max_bytes) {
            let message =
                format!("max_bytes is {max_bytes}; it must be from {MIN_BYTES} to {MAX_BYTES}");
            return Err(Error::field("max_bytes", message));
        }
        Ok(Self {
            rows,
            detail,
            max_bytes,
        })
    }
}
