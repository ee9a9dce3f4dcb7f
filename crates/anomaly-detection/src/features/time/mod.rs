//! The times of rows: the forms in which they may be given, the search for the form of a column, and reading a column whose form
//! is known.

mod forms;
mod search;
mod source;

pub use forms::{EpochSearch, EpochUnit, FormatSearch, TimeFormat, says_time};
pub(super) use search::TimeSearch;
pub use search::are_dates;
pub use source::TimeSource;
