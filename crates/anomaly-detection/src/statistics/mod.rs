//! Statistics of columns of numbers: moments, quantiles, rank summaries and samples, most of them from rows in chunks.

pub mod column_error;
pub mod draw;
pub mod exact_quantiles;
pub mod moments;
pub mod quantile;
pub mod rank_summary;
pub mod rechunk;
pub mod skewness;

pub use column_error::{ColumnError, name_column};
