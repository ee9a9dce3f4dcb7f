//! What is known of numbers: moments, quantiles, ranks, draws of them, and what can be wrong with a column of them.

pub mod column_error;
pub mod draw;
pub mod exact_quantiles;
pub mod moments;
pub mod quantile;
pub mod rank_summary;
pub mod reblock;
pub mod skewness;

pub use column_error::{ColumnError, name_column};
