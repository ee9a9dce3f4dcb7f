//! Checks what a Parquet file claims about itself before the library spends memory or time on it.
//!
//! [`metadata`] checks the footer, in the encoding that [`thrift`] reads. [`page_sizes`] checks the header of every page, and
//! [`page_lengths`] the pages that store the lengths of texts separately. Reading a file that passes takes memory and time
//! bounded by its size and the [limits](limits::GuardLimits).

mod limits;
mod metadata;
mod page_lengths;
mod page_sizes;
mod refusals;
mod thrift;

pub(super) use self::limits::GuardLimits;
pub(super) use self::metadata::check as check_footer;
pub(super) use self::page_sizes::check as check_pages;

#[cfg(test)]
mod tests;
