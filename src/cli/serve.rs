//! `serve`: runs the server until a signal stops it.

use std::fmt::Display;

use super::error::{Error, Result};
use crate::config::{Config, Flags};
use crate::server::{Application, descriptors, signal};
use crate::telemetry::logs;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    flags: Flags,
}

impl ServeArgs {
    pub(super) async fn run(self) -> Result<()> {
        let config = Config::load(&self.flags).map_err(failed)?;
        logs::init(&config).map_err(failed)?;
        let done = serve(config).await;
        logs::flush();
        done
    }
}

async fn serve(config: Config) -> Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    for option in config.to_string().lines() {
        tracing::debug!("{option}");
    }
    descriptors::raise_limit();
    let stop = signal::stop_signal().map_err(failed)?;
    let application = Application::build(config).await.map_err(failed)?;
    application.run_until_stopped(stop).await.map_err(failed)
}

fn failed(error: impl Display) -> Error {
    Error::failed(error.to_string())
}
