//! Statistics of columns of numbers: moments, quantiles, rank summaries and samples, most of them from rows in chunks.

pub mod column_error;
pub mod draw;
pub(crate) mod exact_quantiles;
pub mod moments;
pub(crate) mod power_of_two;
pub mod quantile;
pub mod rank_summary;
pub(crate) mod rechunk;
pub(crate) mod skewness;
#[cfg(test)]
mod uniform;

pub use column_error::{ColumnError, name_column};
