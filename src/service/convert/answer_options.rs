//! Which rows an answer lists, in what detail, and how large it may be.

use super::unknown;
use crate::error::{Error, Result};
use crate::proto::v1;

/// The size that gRPC clients accept by default.
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

/// How an answer describes a row that it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Detail {
    /// By score and verdict, in packed arrays.
    Score,
    /// As an object with everything that is known.
    Full,
}

/// The checked options of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) struct AnswerOptions {
    /// Which rows to list; `None` means the default of the method.
    pub(in crate::service) rows: Option<ListedRows>,
    /// In what detail; `None` means the default of the method.
    pub(in crate::service) detail: Option<Detail>,
    /// The most bytes of the encoded answer.
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
                let known = "ANSWER_ROWS_ALL, ANSWER_ROWS_ANOMALIES or ANSWER_ROWS_NONE";
                return Err(unknown("rows", options.rows, known));
            }
        };
        let detail = match v1::Detail::try_from(options.detail) {
            Ok(v1::Detail::Unspecified) => None,
            Ok(v1::Detail::Score) => Some(Detail::Score),
            Ok(v1::Detail::Full) => Some(Detail::Full),
            Err(_) => {
                let known = "DETAIL_SCORE or DETAIL_FULL";
                return Err(unknown("detail", options.detail, known));
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
