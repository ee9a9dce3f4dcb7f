//! The command line: the server, and a client for people and scripts.
//!
//! Results go to the standard output, everything else to the standard error. Exit codes: 0 success, 1 failure, 2 usage,
//! 130 interrupted.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod confirm;
mod connect;
mod dataset;
mod demo;
mod descriptors;
mod error;
mod health;
mod input;
mod long_call;
mod models;
mod operation;
mod output;
mod pages;
mod params;
mod predict;
mod progress;
mod render;
mod serve;
mod store;
mod stream;
mod suggest;
mod summary;
mod train;
#[cfg(test)]
mod typed;
mod version;

use error::{Error, Result};

/// Anomaly detection over gRPC: learns what is normal in a table, and says which rows are not.
#[derive(Debug, Parser)]
#[command(
    name = "anomalyd",
    version,
    after_help = "The client commands send the bearer token in the environment variable ANOMALYD_TOKEN, or in the file \
                  of --token-file. It owns the runs that they make.\n\nTo see everything at work: anomalyd demo"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::ServeArgs>),
    /// Learn from a file or a dataset, as the next version of a run
    Train(Box<train::TrainArgs>),
    /// Score the rows of a file or a dataset
    Predict(Box<predict::PredictArgs>),
    /// Learn from more rows, without the old ones, as the next version of a run
    Update(Box<train::UpdateArgs>),
    /// List your runs
    Models(models::ModelsArgs),
    /// Describe a run: parameters, features, statistics
    Show(models::ShowArgs),
    /// Delete a run with all its versions
    Delete(models::DeleteArgs),
    /// Keep tables on the server, to learn from and score any number of times
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// See and cancel the trainings, updates and uploads that the server is at work on
    #[command(subcommand)]
    Operation(operation::OperationCommand),
    /// Check, back up and restore the data folder of a server
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Ask whether the server is serving; for probes
    Healthcheck(health::HealthcheckArgs),
    /// Start a server of its own in a temporary folder, show what it can do, and clean up
    Demo(demo::DemoArgs),
}

/// How results are shown.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Format {
    /// Print the answer as one line of JSON, with the field names of the protos
    #[arg(long)]
    json: bool,
}

/// Parses the arguments of the process and runs the command.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let result = dispatch(cli.command, &mut out);
    let flushed = out.flush().map_err(Error::from);
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => match error.exit_code() {
            None => ExitCode::SUCCESS,
            Some(code) => {
                // if the standard error is closed, only the exit code is left
                let _ = error.report(&mut io::stderr().lock());
                ExitCode::from(code)
            }
        },
    }
}

fn dispatch(command: Command, out: &mut dyn Write) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed(format!("cannot start threads: {error}")))?;
    let done = runtime.block_on(command.run(out));
    // a thread that still reads the standard input would keep the process alive
    runtime.shutdown_background();
    done
}

impl Command {
    async fn run(self, out: &mut dyn Write) -> Result<ExitCode> {
        match self {
            Self::Serve(args) => args.run().await,
            Self::Train(args) => args.run(out).await,
            Self::Predict(args) => args.run(out).await,
            Self::Update(args) => args.run(out).await,
            Self::Models(args) => args.run(out).await,
            Self::Show(args) => args.run(out).await,
            Self::Delete(args) => args.run(out).await,
            Self::Dataset(command) => command.run(out).await,
            Self::Operation(command) => command.run(out).await,
            Self::Store(command) => command.run(out).await,
            Self::Healthcheck(args) => args.run(out).await,
            Self::Demo(args) => return args.run(out).await,
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_cannot_be_given_as_an_argument() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            assert!(
                command
                    .get_arguments()
                    .all(|argument| argument.get_long() != Some("token")),
                "{}",
                command.get_name()
            );
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
