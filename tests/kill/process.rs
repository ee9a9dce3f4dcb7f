//! The program as a child process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::settings::program;

/// A server that has been spawned. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
}

impl Process {
    pub(crate) fn spawn(folder: &Path) -> Self {
        Self::spawn_with(folder, &[])
    }

    /// Spawns with more arguments.
    pub(crate) fn spawn_with(folder: &Path, args: &[&str]) -> Self {
        Self::spawn_by(Command::new(program()), folder, args)
    }

    /// Spawns after a shell command, which may limit the process.
    pub(crate) fn spawn_after(shell: &str, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{shell}; exec \"$0\" \"$@\""))
            .arg(program());
        Self::spawn_by(command, folder, &[])
    }

    fn spawn_by(mut command: Command, folder: &Path, args: &[&str]) -> Self {
        let mut child = command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--drain-timeout",
                "5s",
                "--data-dir",
            ])
            .arg(folder)
            .args(args)
            .env_remove("ANOMALYD_CONFIG")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr }
    }

    /// Waits until the server listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let address = self.logged("listening on ");
        let address = address.trim().trim_start_matches("http://");
        address
            .parse()
            .unwrap_or_else(|_| panic!("no address in {address:?}"))
    }

    /// Waits until it logs a text, and returns what follows on the line.
    pub(crate) fn logged(&mut self, text: &str) -> String {
        let mut log = String::new();
        loop {
            let mut line = String::new();
            let read = self.log().read_line(&mut line).expect("readable");
            assert!(read > 0, "the server stopped without {text:?}:\n{log}");
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
            log += &line;
        }
    }

    /// Closes the pipe that it logs to.
    pub(crate) fn close_log(&mut self) {
        self.stderr = None;
    }

    fn log(&mut self) -> &mut BufReader<ChildStderr> {
        self.stderr.as_mut().expect("the log is open")
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Sends SIGTERM, and returns the exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.exit()
    }

    /// Sends a signal, such as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .expect("kill runs")
                .success()
        );
    }

    /// Waits until it ends by itself.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        const PATIENCE: Duration = Duration::from_secs(20);
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The unread rest of its log, once it has ended.
    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut rest = String::new();
        self.log().read_to_string(&mut rest).expect("readable");
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may have ended already
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) type Client = AnomalyServiceClient<InterceptedService<Channel, Token>>;

/// Adds a token to every request.
#[derive(Clone)]
pub(crate) struct Token(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) async fn client(address: SocketAddr, token: &str) -> Client {
    let (channel, token) = connect(address, token).await;
    AnomalyServiceClient::with_interceptor(channel, token)
}

pub(crate) type DatasetClient = DatasetServiceClient<InterceptedService<Channel, Token>>;

pub(crate) async fn dataset_client(address: SocketAddr, token: &str) -> DatasetClient {
    let (channel, token) = connect(address, token).await;
    DatasetServiceClient::with_interceptor(channel, token)
}

pub(crate) async fn connect(address: SocketAddr, token: &str) -> (Channel, Token) {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a valid address");
    let channel = endpoint.connect().await.expect("the server accepts");
    let token = Token(format!("Bearer {token}").parse().expect("ascii"));
    (channel, token)
}
