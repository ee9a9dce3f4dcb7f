//! Runs commands as users type them, against the real server, for tests.

use std::path::PathBuf;

use clap::Parser;

use super::Cli;
use super::demo::server::DemoServer;
use super::error::Error;

/// A server, and a folder with files.
pub(in crate::cli) struct Case {
    server: DemoServer,
    folder: tempfile::TempDir,
}

impl Case {
    pub(in crate::cli) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = DemoServer::start(&folder.path().join("data")).await;
        std::fs::write(folder.path().join("token"), "alice").expect("writes");
        Self {
            server: server.expect("it starts"),
            folder,
        }
    }

    pub(in crate::cli) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(in crate::cli) fn file(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("writes");
    }

    /// Runs a command and returns its output. Words with a dot in them are files of the folder.
    pub(in crate::cli) async fn run(&self, line: &str) -> Result<String, Error> {
        let text = |name: &str| self.path(name).to_str().expect("a path of text").to_owned();
        let words = line.split(' ').map(|word| match word.contains('.') {
            true => text(word),
            false => word.to_owned(),
        });
        let mut words: Vec<String> = ["anomalyd".to_owned()].into_iter().chain(words).collect();
        words.extend(["--addr".to_owned(), self.server.address.to_string()]);
        words.extend(["--token-file".to_owned(), text("token")]);
        let command = Cli::try_parse_from(words).expect("it parses").command;
        let mut out = Vec::new();
        command.run(&mut out).await?;
        Ok(String::from_utf8(out).expect("text"))
    }

    pub(in crate::cli) async fn stop(self) {
        self.server.stop().await.expect("it stops");
    }
}
