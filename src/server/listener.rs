//! Listening sockets, and their accept loop.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ServeError;
use super::connection::Connections;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Silence after which the operating system probes the other side.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// The owner and the group may connect.
const SOCKET_MODE: u32 = 0o660;

const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Listens on the TCP address of an option. Returns the address with the actual port if port 0 was asked for.
pub(super) fn bind(
    option: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let listen = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // a restart must not wait for old connections to time out
        socket.set_reuse_address(true)?;
        if address.is_ipv6() && !address.ip().is_unspecified() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(|source| ServeError::Tcp {
        option,
        address,
        source,
    })
}

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    /// On a TCP address.
    Tcp(TcpListener, SocketAddr),
    /// On a path.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listens on a TCP address.
    pub(super) fn tcp(address: SocketAddr) -> Result<Self, ServeError> {
        let (listener, address) = bind("listen", address)?;
        Ok(Self::Tcp(listener, address))
    }

    /// Listens on a path, after removing the socket that a stopped server left there.
    pub(super) async fn unix(path: &Path) -> Result<Self, ServeError> {
        let refuse = |problem: String| ServeError::Unix {
            path: path.to_owned(),
            problem,
        };
        remove_stale(path).await.map_err(refuse)?;
        let listen = || -> io::Result<Self> {
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
            Ok(Self::Unix(listener, SocketFile::new(path)?))
        };
        listen().map_err(|error| {
            refuse(format!("{error}; `unix_socket` must be a path of at most 107 bytes in a folder that can be written to"))
        })
    }

    /// The TCP address, if it is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(..) => None,
        }
    }

    /// The path, if it is a Unix socket.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(..) => None,
            Self::Unix(_, file) => Some(&file.path),
        }
    }

    /// Accepts connections until told to stop.
    ///
    /// No error ends the loop: a connection that broke early does not concern others, and if the machine is out of
    /// file descriptors or memory, a pause lets it recover.
    pub(super) async fn accept_all(self, connections: Connections, stop: CancellationToken) {
        let mut pause = MIN_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.accept(&connections) => accepted,
            };
            match accepted {
                Ok(()) => pause = MIN_PAUSE,
                Err(error) if is_of_one_connection(&error) => {
                    tracing::debug!("a connection broke before it was accepted: {error}");
                }
                Err(error) => {
                    tracing::error!("cannot accept on {self}, pausing {pause:?}: {error}");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(pause) => {}
                    }
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    async fn accept(&self, connections: &Connections) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let socket = SockRef::from(&stream);
                let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE);
                if let Err(error) = socket
                    .set_tcp_nodelay(true)
                    .and_then(|()| socket.set_tcp_keepalive(&keepalive))
                {
                    tracing::debug!("cannot set the options of a connection: {error}");
                }
                connections.serve(stream).await;
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                connections.serve(stream).await;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => write!(f, "{address}"),
            Self::Unix(_, file) => write!(f, "unix:{}", file.path.display()),
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

async fn remove_stale(path: &Path) -> Result<(), String> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if !metadata.file_type().is_socket() {
        return Err(
            "there is something other than a socket; give another path as `unix_socket`".to_owned(),
        );
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Ok(_) => {
            return Err(
                "another server listens there; stop it, or give another path as `unix_socket`"
                    .to_owned(),
            );
        }
        Err(error) => {
            return Err(format!(
                "cannot tell whether another server listens there: {error}"
            ));
        }
    }
    tracing::info!(
        "removing the socket that a stopped server left at {}",
        path.display()
    );
    std::fs::remove_file(path).map_err(|error| format!("cannot remove the stale socket: {error}"))
}

/// The file of our Unix socket. Dropping it removes the file, unless another server has replaced
/// it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove the socket {}: {error}", self.path.display());
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
