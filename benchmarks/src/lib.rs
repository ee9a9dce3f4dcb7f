//! Code shared by the benchmark programs.

pub mod bare;
mod matrix;
mod memory;
mod release_server;
mod results;
pub mod served;

pub use matrix::{median, normal_rows, read_matrix, score, timed};
pub use memory::{PEAK_RESIDENT, RESIDENT, memory_bytes};
pub use release_server::ReleaseServer;
pub use results::{Bound, Results, Row};

use anomalyd::huge_pages::HugePages;

/// The same allocator as in the measured program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;
