//! The program of the release build, as a process of its own.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::memory_bytes;

/// The server while it runs, on a free port and with its store in a temporary folder. Dropping it ends it.
#[derive(Debug)]
pub struct ReleaseServer {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl ReleaseServer {
    /// Starts the program that is next to this one, with more options of the command line, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started: `cargo build --release` makes it.
    pub fn start(options: &[String]) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let program = std::env::current_exe()?.with_file_name("anomalyd");
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .args(options)
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().ok_or("no log")?;
        let mut server = Self {
            process,
            // until it is known
            address: ([127, 0, 0, 1], 0).into(),
            _folder: folder,
        };
        let mut lines = BufReader::new(log).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            Some(line.split_once("listening on ")?.1.trim().to_owned())
        });
        server.address = address.ok_or("the server does not listen")?.parse()?;
        // a log that nobody reads loses lines, and says so in more of them
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bytes of its memory, of a kind that [`memory_bytes`] knows.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn memory_bytes(&self, kind: &str) -> Result<f64, Box<dyn Error>> {
        let bytes = memory_bytes(self.process.id(), kind).ok_or("no resident memory is told")?;
        Ok(bytes as f64)
    }
}

impl Drop for ReleaseServer {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
