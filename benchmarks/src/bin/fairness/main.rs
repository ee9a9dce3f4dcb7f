//! How much the work of some holds up others: one-row predictions beside large trainings, one owner beside another who floods
//! the server, and requests that are refused. Needs `cargo build --release` first: it starts the program next to it.
//!
//! Client and server share the machine. The table has the columns of the other benchmarks; in each row, `wanted` is a bound of
//! the ratio, and the program exits with 1 where one is missed.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

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

/// A row of the table.
struct Row {
    work: String,
    ours: f64,
    peer: f64,
    wanted: Bound,
}

/// A bound of the ratio.
#[derive(Clone, Copy)]
enum Bound {
    Most(f64),
    Least(f64),
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    fn wanted(&self) -> f64 {
        match self.wanted {
            Bound::Most(bound) | Bound::Least(bound) => bound,
        }
    }

    fn is_enough(&self) -> bool {
        match self.wanted {
            Bound::Most(most) => self.ratio() <= most,
            Bound::Least(least) => self.ratio() >= least,
        }
    }
}

/// The server while it runs.
struct Server(Child);

impl Server {
    fn start(folder: &std::path::Path) -> Result<(Self, SocketAddr), Box<dyn Error>> {
        let program = std::env::current_exe()?.with_file_name("anomalyd");
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().ok_or("no log")?;
        let server = Self(child);
        let mut lines = BufReader::new(log).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            Some(line.split_once("listening on ")?.1.trim().to_owned())
        });
        let address = address.ok_or("the server does not listen")?.parse()?;
        // nobody else reads the log
        std::thread::spawn(move || lines.for_each(drop));
        Ok((server, address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let (_server, address) = Server::start(folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let works = match arguments.only.is_empty() {
        true => &WORKS[..],
        false => &arguments.only[..],
    };
    println!(
        "{:62} {:>10} {:>10} {:>8} {:>7}",
        "work", "ours", "peer", "ratio", "wanted"
    );
    let mut rows = Vec::new();
    let mut note = |row: Row| {
        println!(
            "{:62} {:10.3e} {:10.3e} {:8.3} {:7}",
            row.work,
            row.ours,
            row.peer,
            row.ratio(),
            row.wanted()
        );
        rows.push(row);
    };
    let time = Duration::from_secs(arguments.seconds);
    runtime.block_on(async {
        for work in works {
            match work {
                Work::Latency => works::latency(address, time, &mut note).await,
                Work::Rates => works::rates(address, time, &mut note).await,
                Work::Refusals => works::refusals(address, time, &mut note).await,
                Work::Overload => works::overload(address, time, &mut note).await,
            }
        }
    });
    runtime.shutdown_background();
    if let Some(path) = arguments.csv {
        let mut file = std::fs::File::create(path)?;
        writeln!(file, "work,ours,peer,ratio,wanted")?;
        for row in &rows {
            let Row {
                work, ours, peer, ..
            } = row;
            writeln!(
                file,
                "{work},{ours},{peer},{},{}",
                row.ratio(),
                row.wanted()
            )?;
        }
    }
    Ok(match rows.iter().all(Row::is_enough) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
