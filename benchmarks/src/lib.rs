//! What the benchmark programs share.

pub mod bare;
mod matrix;
mod memory;
pub mod served;

pub use matrix::{median, normal_rows, read_matrix, score, timed};
pub use memory::{PEAK_RESIDENT, RESIDENT, memory_bytes};

use anomalyd::huge_pages::HugePages;

/// As in the program that is measured.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;
