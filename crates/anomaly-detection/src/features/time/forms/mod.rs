//! The forms in which times are given. All are read as nanoseconds since 1970-01-01 in UTC, which range from 1677-09-21 to
//! 2262-04-11. A text without a zone is in UTC.

mod civil;
mod clock;
mod epoch;
mod format;
mod instant;
mod iso;

pub use epoch::{EpochSearch, EpochUnit, says_time};
pub use format::{FormatSearch, TimeFormat};
