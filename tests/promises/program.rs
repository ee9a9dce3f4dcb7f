//! The program as a child process, whose whole output is kept.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::settings::program;

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that has been spawned. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Spawns `serve` on a folder, with more arguments and variables of the environment.
    pub(crate) fn serve(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(folder)
            .args(args)
            .env_remove("ANOMALYD_CONFIG")
            .envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Spawns a command of the program.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = Arc::default();
        let readers = vec![
            keep(child.stdout.take().expect("piped"), &output),
            keep(child.stderr.take().expect("piped"), &output),
        ];
        Self {
            child,
            output,
            readers,
        }
    }

    /// Waits until the server listens.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        self.address_behind("listening on ").await
    }

    /// Waits until an address is printed behind a text.
    pub(crate) async fn address_behind(&mut self, text: &str) -> SocketAddr {
        let printed = async {
            loop {
                let output = self.output();
                let line = output
                    .split_once(text)
                    .and_then(|(_, rest)| rest.split_once('\n'));
                if let Some((line, _)) = line {
                    let end = line.find(|c| !matches!(c, '0'..='9' | '.' | ':'));
                    let address = &line[..end.unwrap_or(line.len())];
                    return address
                        .parse()
                        .unwrap_or_else(|_| panic!("no address in {line:?}"));
                }
                let ended = self.child.try_wait().expect("it can be waited for");
                assert!(ended.is_none(), "it stopped without {text:?}:\n{output}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let printed = tokio::time::timeout(PATIENCE, printed).await;
        printed.unwrap_or_else(|_| panic!("it never says {text:?}"))
    }

    /// What it has printed so far, on both outputs.
    pub(crate) fn output(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The most memory that it has held, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
        peak.expect("the system counts it") * 1024
    }

    /// How many files and sockets it has open.
    pub(crate) fn n_open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(path).expect("it runs").count()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        let ended = self.child.try_wait().expect("it can be waited for");
        ended.is_none()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits until it ends. Returns all that it has printed, too.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let ended = async {
            loop {
                match self.child.try_wait().expect("it can be waited for") {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.output()));
        for reader in self.readers.drain(..) {
            reader.join().expect("it was read");
        }
        (status, self.output())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // it may have ended already
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads a pipe to its end, on a thread.
fn keep(mut pipe: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 14];
        loop {
            let n = pipe.read(&mut buffer).expect("readable");
            if n == 0 {
                return;
            }
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.extend_from_slice(&buffer[..n]);
        }
    })
}
