//! The demo's own server: the real one, on a free port of the loopback interface, with its store in a temporary folder.

use std::net::SocketAddr;
use std::path::Path;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::error::{Error, Result};
use crate::config::{Config, Flags};
use crate::server::{Application, ApplicationError};

/// A server that runs until it is told to stop.
pub(in crate::cli) struct DemoServer {
    /// The address that it listens on.
    pub(in crate::cli) address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<std::result::Result<(), ApplicationError>>,
}

impl DemoServer {
    /// Starts a server whose store is in `folder`. It ignores the environment variables of the configuration.
    pub(in crate::cli) async fn start(folder: &Path) -> Result<Self> {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(folder.display().to_string()),
            ..Flags::default()
        };
        let config = Config::load(&flags).map_err(|error| failed(&error))?;
        let application = Application::build(config)
            .await
            .map_err(|error| failed(&error))?;
        let address = application
            .local_addr()
            .ok_or_else(|| failed(&"it has no TCP address"))?;
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(application.run_until_stopped(async {
            // a dropped sender stops it, too
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            stop,
            running,
        })
    }

    /// Stops the server, and waits until it has released its folder.
    pub(in crate::cli) async fn stop(self) -> Result<()> {
        // if it has stopped already, its result below says why
        let _ = self.stop.send(());
        match self.running.await {
            Ok(result) => result.map_err(|error| failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("the demo's server failed: {error}"))
}
