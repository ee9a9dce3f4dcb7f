//! The times of rows: the forms that they may be written in, the search for the form of a column, and the reading of a column
//! whose form is known.

mod forms;
mod search;
mod source;

pub use forms::{EpochSearch, EpochUnit, FormatSearch, TimeFormat, says_time};
pub(super) use search::TimeSearch;
pub use search::are_dates;
pub use source::TimeSource;
