//! `store`: checks, copies and restores the data folder of a server. A store that a running server uses is checked and copied by
//! that server, which is asked through its control socket.

use std::io::Write;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use tokio::task::spawn_blocking;

use super::confirm::confirm;
use super::error::{Error, Result};
use crate::config::{Config, Flags};
use crate::error::chain;
use crate::server::control::{self, Answer, Command};
use crate::store::{self, Acceptance, Backup, CheckReport, StoreError};

mod contents;

/// The subcommands of `store`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum StoreCommand {
    /// Read everything in the store and compare it with what was acknowledged
    Check(CheckArgs),
    /// Copy the store into another folder, also while a server uses it
    Backup(BackupArgs),
    /// Bring a backup into an empty folder
    Restore(RestoreArgs),
    /// Give up what a store has lost, so that a server serves the rest
    AcceptLoss(AcceptLossArgs),
}

/// Which store.
#[derive(Debug, clap::Args)]
struct DataFolder {
    /// Folder for all stored data, as given to the server. Default: ./anomalyd-data
    #[arg(long, env = "ANOMALYD_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The server's TOML file with options, which may name that folder
    #[arg(long, env = "ANOMALYD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DataFolder {
    fn path(&self) -> Result<PathBuf> {
        let flags = Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            ..Flags::default()
        };
        let config = Config::load(&flags).map_err(|error| Error::failed(error.to_string()))?;
        Ok(config.data_dir)
    }
}

/// The arguments of `store check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    folder: DataFolder,
}

/// The arguments of `store backup`.
#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The folder for the backup, empty or not there yet, where a running server can write to it
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    folder: DataFolder,
}

/// The arguments of `store restore`.
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The folder of the backup
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    folder: DataFolder,
}

/// The arguments of `store accept-loss`.
#[derive(Debug, clap::Args)]
pub(super) struct AcceptLossArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    folder: DataFolder,
}

impl StoreCommand {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Check(args) => args.run(out).await,
            Self::Backup(args) => args.run(out).await,
            Self::Restore(args) => args.run(out).await,
            Self::AcceptLoss(args) => args.run(out).await,
        }
    }
}

impl CheckArgs {
    async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let folder = self.folder.path()?;
        let checked = blocking(&folder, store::check_stopped).await?;
        let report = match checked {
            Some(report) => report,
            None => match ask(&folder, &Command::Check).await? {
                Answer::Checked(report) => report,
                answer => return Err(unexpected(answer)),
            },
        };
        write_report(out, &report)?;
        match report.losses.len() {
            0 => Ok(()),
            n => Err(Error::failed(format!(
                "{n} part(s) of the store in {} are lost",
                folder.display()
            ))
            .hint(
                "`anomalyd store restore` brings a backup into an empty folder; `anomalyd store accept-loss` gives up what is lost",
            )),
        }
    }
}

impl BackupArgs {
    async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let folder = self.folder.path()?;
        let to = std::path::absolute(&self.to)
            .map_err(|error| Error::failed(format!("{}: {error}", self.to.display())))?;
        let made = {
            let to = to.clone();
            blocking(&folder, move |folder| store::backup_stopped(folder, &to)).await?
        };
        if made.is_none() {
            match ask(&folder, &Command::Backup { to: to.clone() }).await? {
                Answer::BackedUp(_) => {}
                answer => return Err(unexpected(answer)),
            }
        }
        let backup = blocking(&to, Backup::open).await?;
        writeln!(out, "backup in {}", to.display())?;
        contents::write(out, &backup)
    }
}

impl RestoreArgs {
    async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let folder = self.folder.path()?;
        let backup = blocking(&self.from, Backup::open).await?;
        writeln!(out, "backup in {}", self.from.display())?;
        contents::write(out, &backup)?;
        out.flush()?;
        if !self.yes {
            let question = format!("restore it into {}?", folder.display());
            confirm("restore", &question, "nothing was restored")?;
        }
        blocking(&folder, move |folder| store::restore(&backup, folder)).await?;
        writeln!(out, "restored into {}", folder.display())?;
        Ok(())
    }
}

impl AcceptLossArgs {
    async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let folder = self.folder.path()?;
        let acceptance = blocking(&folder, Acceptance::of).await?;
        let report = acceptance.report();
        write_report(out, report)?;
        out.flush()?;
        if report.losses.is_empty() {
            return Ok(());
        }
        if !self.yes {
            let question = format!("give up {} part(s) for good?", report.losses.len());
            confirm("accept-loss", &question, "nothing was given up")?;
        }
        blocking(&folder, move |_| acceptance.accept()).await?;
        writeln!(
            out,
            "given up; a server can serve what is left in {}",
            folder.display()
        )?;
        Ok(())
    }
}

fn write_report(out: &mut dyn Write, report: &CheckReport) -> Result<()> {
    writeln!(out, "records   {}", report.n_records)?;
    let size = ByteSize(report.blob_bytes);
    writeln!(out, "blobs     {}, {size}", report.n_blobs)?;
    if report.n_logs > 0 {
        writeln!(out, "logs      {}", report.n_logs)?;
        writeln!(out, "entries   {}", report.n_entries)?;
    }
    if report.n_accepted > 0 {
        writeln!(out, "given up  {}", report.n_accepted)?;
    }
    for loss in &report.losses {
        writeln!(out, "lost      {loss}")?;
    }
    if report.losses.is_empty() {
        writeln!(out, "everything that was acknowledged is there and whole")?;
    }
    Ok(())
}

/// Runs blocking work of the store on a thread for it.
async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
) -> Result<T> {
    let at = folder.to_owned();
    let done = spawn_blocking(move || work(&at)).await;
    match done {
        Ok(done) => done.map_err(|error| Error::failed(chain(&error))),
        Err(panicked) => Err(Error::failed(format!(
            "the work on {} failed: {panicked}",
            folder.display()
        ))),
    }
}

/// Asks the server that uses the store.
async fn ask(folder: &Path, command: &Command) -> Result<Answer> {
    control::ask(folder, command).await.map_err(|error| {
        Error::failed(format!(
            "a process uses the store in {}, but cannot be asked through its control socket: {error}",
            folder.display()
        ))
        .hint("run this as the user of the server, or stop the server first")
    })
}

/// The error of a server that did not do what it was asked.
fn unexpected(answer: Answer) -> Error {
    match answer {
        Answer::Failed(why) => Error::failed(why),
        Answer::Checked(_) | Answer::BackedUp(_) => {
            Error::failed("the server answered another question; is it of the same version?")
        }
    }
}
