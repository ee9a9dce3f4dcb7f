//! How much the work of some holds up others: one-row predictions beside large trainings, one owner beside another who floods
//! the server, and requests that are refused. Needs `cargo build --release` first: it starts the program next to it.
//!
//! Client and server share the machine. The table has the columns of the other benchmarks; in each row, `wanted` is a bound of
//! the ratio, and the program exits with 1 where one is missed.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anomalyd_benchmarks::{ReleaseServer, Results};
use clap::Parser;

mod load;
mod requests;
mod works;

/// Measures how much the work of some holds up others.
#[derive(Parser)]
struct Arguments {
    /// Measure this alone; may be repeated.
    #[arg(long)]
    only: Vec<Work>,
    /// How many seconds each measurement takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where to write the table.
    #[arg(long)]
    csv: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Work {
    /// The latency of one-row predictions beside large trainings.
    Latency,
    /// The rates of an owner beside one who floods the server with trainings.
    Rates,
    /// Requests of 64 clients that are refused.
    Refusals,
    /// How long a refusal takes when ten times as many requests come as may wait.
    Overload,
}

const WORKS: [Work; 4] = [Work::Latency, Work::Rates, Work::Refusals, Work::Overload];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let server = ReleaseServer::start(&[])?;
    let address = server.address();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let works = match arguments.only.is_empty() {
        true => &WORKS[..],
        false => &arguments.only[..],
    };
    let mut results = Results::new();
    let time = Duration::from_secs(arguments.seconds);
    runtime.block_on(async {
        for work in works {
            match work {
                Work::Latency => works::latency(address, time, &mut results).await,
                Work::Rates => works::rates(address, time, &mut results).await,
                Work::Refusals => works::refusals(address, time, &mut results).await,
                Work::Overload => works::overload(address, time, &mut results).await,
            }
        }
    });
    runtime.shutdown_background();
    Ok(results.finish(arguments.csv.as_deref())?)
}
