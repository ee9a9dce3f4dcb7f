//! What a Parquet file claims of itself, checked before the library takes memory or time for it.
//!
//! [`metadata`] looks at the footer, in the encoding that [`thrift`] reads. [`page_sizes`] looks at the header of every page,
//! and [`page_lengths`] into pages whose texts have their lengths apart. A file that passes is read by the library in memory
//! and time that its size and the [limits](limits::GuardLimits) bound.

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
