//! Code shared by the benchmark programs.

pub mod bare;
mod matrix;
mod memory;
pub mod served;

pub use matrix::{median, normal_rows, read_matrix, score, timed};
pub use memory::{PEAK_RESIDENT, RESIDENT, memory_bytes};

use anomalyd::huge_pages::HugePages;

/// The same allocator as in the measured program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;
