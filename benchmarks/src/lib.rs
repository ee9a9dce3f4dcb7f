//! What the benchmark programs share.

pub mod bare;
mod matrix;
pub mod served;

pub use matrix::{median, normal_rows, read_matrix, score, timed};
