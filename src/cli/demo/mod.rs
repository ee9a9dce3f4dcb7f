//! `demo`: shows what the server can do, over real gRPC, and leaves nothing behind.

mod data;
pub(super) mod server;
mod story;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Format;
use super::connect::{self, Client};
use super::error::{Error, INTERRUPTED, Result};
use crate::server::signal::stop_signal;
use server::DemoServer;
use story::Story;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Only write the tables of the demo to a folder, as CSV files
    #[arg(long, value_name = "FOLDER", conflicts_with = "json")]
    write_data: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl DemoArgs {
    /// Runs the demo. Its folder is removed in any case: at the end, on an error, and when
    /// interrupted.
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        if let Some(folder) = &self.write_data {
            return write_data(folder, out).map(|()| ExitCode::SUCCESS);
        }
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

/// Writes the tables. Fails if a file exists already, and does not change it.
fn write_data(folder: &Path, out: &mut dyn Write) -> Result<()> {
    for (name, table) in data::FILES {
        let path = folder.join(name);
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(table.as_bytes()))
            .map_err(|error| Error::failed(format!("cannot write {}: {error}", path.display())))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

async fn client(server: &DemoServer) -> Result<Client> {
    let channel = connect::connect(&server.address.to_string(), connect::CONNECT_TIMEOUT).await?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let headers = connect::call_headers(Some(&token), None)?;
    Ok(connect::client(connect::with_headers(channel, headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut out = Vec::new();
        write_data(folder.path(), &mut out).expect("writes");
        let text = String::from_utf8(out).expect("text");
        for (path, (_, table)) in text.lines().zip(data::FILES) {
            assert_eq!(std::fs::read_to_string(path).expect("reads"), table);
        }
        let error = write_data(folder.path(), &mut Vec::new()).expect_err("they are there");
        assert!(format!("{error:?}").contains("breast_cancer.csv"));
    }
}
