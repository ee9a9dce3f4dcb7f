//! The `anomalyd` program: the server and its command line in one.

use std::process::ExitCode;

fn main() -> ExitCode {
    anomalyd::cli::run()
}
