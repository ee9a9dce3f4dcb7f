//! The `anomalyd` program: the server and its command line in one.

use std::process::ExitCode;

use anomalyd::huge_pages::HugePages;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    anomalyd::cli::run()
}
