//! The control socket: through `control.sock` in the data folder, which only its owner may use, `anomalyd store` asks a running
//! server to check or to copy the store that it has locked.
//!
//! A client sends one line of JSON, a [`Command`], and gets one, an [`Answer`]. If it leaves before, the work is broken off.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::chain;
use crate::store::{BackupSummary, CheckReport, EmbeddedStore};

/// The name of the socket in the data folder.
const SOCKET: &str = "control.sock";

/// The longest line of a client: a path, and little more.
const MAX_COMMAND_BYTES: u64 = 64 << 10;

/// How long a client may take to send its line, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait when connections cannot be accepted, for want of file descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// To read everything in the store and compare it with what was acknowledged.
    Check,
    /// To copy the store.
    Backup {
        /// The folder for the copy, as an absolute path: empty, or not there yet.
        to: PathBuf,
    },
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What the check has found.
    Checked(CheckReport),
    /// What was copied.
    BackedUp(BackupSummary),
    /// Why it could not be done.
    Failed(String),
}

/// Asks the server that uses the store in a folder.
///
/// # Errors
/// When no server listens there, or it leaves without an answer.
pub async fn ask(folder: &Path, command: &Command) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(folder.join(SOCKET)).await?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::Error::other("the server has left without an answer"));
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// The socket of a running server. Dropping it closes the socket.
pub(super) struct Control {
    socket: PathBuf,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Control {
    /// Listens in the folder of a store. Removes a socket that is there: whoever listened at it has lost the lock of the store.
    pub(super) fn listen(store: Arc<EmbeddedStore>) -> io::Result<Self> {
        let socket = store.folder().join(SOCKET);
        // under another name until nobody else may use it
        let unfinished = store.folder().join(format!("{SOCKET}.tmp"));
        remove_if_exists(&unfinished)?;
        let listener = UnixListener::bind(&unfinished)?;
        std::fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        std::fs::rename(&unfinished, &socket)?;
        let control = Self {
            socket,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let serve = accept_all(
            listener,
            store,
            control.stopping.clone(),
            control.tasks.clone(),
        );
        control.tasks.spawn(serve);
        Ok(control)
    }

    /// Breaks off what is under way, and waits until nothing uses the store any more.
    pub(super) async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stopping.cancel();
        if let Err(error) = remove_if_exists(&self.socket) {
            tracing::warn!(%error, "the control socket cannot be removed");
        }
    }
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn accept_all(
    listener: UnixListener,
    store: Arc<EmbeddedStore>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    // one at a time: each reads the whole store
    let turn = Arc::new(Mutex::new(()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (store, stopping, turn) = (store.clone(), stopping.clone(), turn.clone());
                tasks.spawn(async move {
                    if let Err(error) = serve(stream, store, stopping, turn).await {
                        tracing::warn!(%error, "a command at the control socket got no answer");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept at the control socket");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one client.
async fn serve(
    stream: UnixStream,
    store: Arc<EmbeddedStore>,
    stopping: CancellationToken,
    turn: Arc<Mutex<()>>,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(MAX_COMMAND_BYTES));
    let mut line = String::new();
    tokio::select! {
        () = stopping.cancelled() => return Ok(()),
        read = timeout(PATIENCE, read.read_line(&mut line)) => read??,
    };
    let answer = match serde_json::from_str::<Command>(&line) {
        Err(error) => Answer::Failed(format!("the command cannot be read: {error}")),
        Ok(command) => match turn.try_lock() {
            Err(_) => Answer::Failed(
                "the server is at another check or backup; try again when it is done".to_owned(),
            ),
            Ok(_turn) => {
                tracing::info!(?command, "asked at the control socket");
                let cancelled = Arc::new(AtomicBool::new(false));
                let work = obey(&store, command, Arc::clone(&cancelled));
                let mut work = std::pin::pin!(work);
                let mut rest = [0; 1];
                tokio::select! {
                    answer = &mut work => answer,
                    // a client that waits sends nothing more, so this is its end
                    _ = read.read(&mut rest) => {
                        cancelled.store(true, Ordering::Relaxed);
                        work.await
                    }
                    () = stopping.cancelled() => {
                        cancelled.store(true, Ordering::Relaxed);
                        work.await
                    }
                }
            }
        },
    };
    send(&mut write, &answer, &stopping).await
}

/// Sends an answer, as far as its client reads it before its time is over and before the server stops.
async fn send(
    write: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
    stopping: &CancellationToken,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(answer)?;
    let sent = timeout(PATIENCE, async {
        write.write_all(&bytes).await?;
        write.shutdown().await
    });
    tokio::select! {
        // what fits into the socket is sent before that is looked at
        biased;
        sent = sent => sent?,
        () = stopping.cancelled() => Ok(()),
    }
}

async fn obey(store: &EmbeddedStore, command: Command, cancelled: Arc<AtomicBool>) -> Answer {
    let done = match command {
        Command::Check => store.check(cancelled).await.map(Answer::Checked),
        Command::Backup { to } => store.backup(&to, cancelled).await.map(Answer::BackedUp),
    };
    done.unwrap_or_else(|error| {
        tracing::warn!(
            error = chain(&error),
            "a command at the control socket failed"
        );
        Answer::Failed(chain(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer::Failed("long".repeat(100))
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_hold_up_a_stop() {
        let (_client, mut server) = tokio::io::duplex(16);
        let stopping = CancellationToken::new();
        let answer = answer();
        let mut sending = std::pin::pin!(send(&mut server, &answer, &stopping));
        let waits = timeout(Duration::from_millis(20), &mut sending).await;
        waits.expect_err("nobody reads");
        stopping.cancel();
        sending.await.expect("given up");
    }

    #[tokio::test]
    async fn an_answer_that_fits_is_sent_while_the_server_stops() {
        let (mut client, mut server) = tokio::io::duplex(1 << 10);
        let stopping = CancellationToken::new();
        stopping.cancel();
        let sent = send(&mut server, &answer(), &stopping).await;
        sent.expect("there is room");
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.expect("readable");
        assert_eq!(
            serde_json::from_slice::<Answer>(&read).expect("whole"),
            answer()
        );
    }
}
