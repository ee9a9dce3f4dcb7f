//! `demo`: everything at work, over real gRPC, with nothing left behind.

mod data;
mod server;
mod story;

use std::io::Write;
use std::process::ExitCode;

use super::Format;
use super::connect::{self, Client};
use super::error::{Error, Result};
use crate::server::signal::stop_signal;
use server::DemoServer;
use story::Story;

/// The exit code of a program that was interrupted, as shells count it.
const INTERRUPTED: u8 = 130;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    #[command(flatten)]
    format: Format,
}

impl DemoArgs {
    /// Runs the demo. The folder goes whatever happens: at the end, on an error, and when interrupted.
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let folder = tempfile::Builder::new()
            .prefix("anomalyd-demo-")
            .tempdir()
            .map_err(|error| Error::failed(format!("cannot make a temporary folder: {error}")))?;
        let mut stop = std::pin::pin!(
            stop_signal()
                .map_err(|error| Error::failed(format!("cannot watch for signals: {error}")))?
        );
        let server = tokio::select! {
            server = DemoServer::start(folder.path()) => server?,
            () = &mut stop => return Ok(ExitCode::from(INTERRUPTED)),
        };
        let told = tokio::select! {
            told = self.tell(&server, out) => told.map(|()| ExitCode::SUCCESS),
            () = &mut stop => Ok(ExitCode::from(INTERRUPTED)),
        };
        let stopped = server.stop().await;
        folder.close().map_err(|error| {
            Error::failed(format!("cannot remove the temporary folder: {error}"))
        })?;
        told.and_then(|code| stopped.map(|()| code))
    }

    async fn tell(&self, server: &DemoServer, out: &mut dyn Write) -> Result<()> {
        let client = client(server).await?;
        if self.format.json {
            let facts = Story::new(client, &mut std::io::sink()).tell().await?;
            serde_json::to_writer(&mut *out, &facts).map_err(std::io::Error::from)?;
            writeln!(out)?;
            return Ok(());
        }
        writeln!(out, "a server is listening on {}", server.address)?;
        Story::new(client, out).tell().await.map(drop)
    }
}

async fn client(server: &DemoServer) -> Result<Client> {
    let channel = connect::connect(&server.address.to_string(), connect::CONNECT_TIMEOUT).await?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let headers = connect::call_headers(Some(&token), None)?;
    Ok(connect::client(connect::with_headers(channel, headers)))
}
