//! Everything around the handlers: listeners, connections, the layers that every request passes, health, reflection, and
//! the drain at the end.
//!
//! The accept loop and the HTTP/2 settings are our own, so that deadlines answer with the right code, a drain is bounded,
//! and the wrapping of sockets can change while the server runs.

mod application;
mod connection;
pub mod control;
pub mod descriptors;
mod health;
mod http1;
mod layer;
mod listener;
mod message_types;
mod methods;
mod metrics;
mod open_connections;
mod preface;
mod reflection;
pub mod signal;
mod stall;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

pub use application::{Application, ApplicationError};

use crate::config::Config;
use crate::memory::{Budget, Holders};
use crate::store::TokenHasher;
use crate::telemetry::Metrics;

use connection::Connections;
use health::Health;
use layer::{Gate, Options};
use listener::Listener;

/// How long requests may take, after the drain timeout, to send the status that they end with.
const END_GRACE: Duration = Duration::from_secs(1);

/// How long cancelled work may take to stop after that.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// Why the server cannot serve. The text says what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A TCP address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; give a free address of this machine as `{option}`"
    )]
    Tcp {
        /// The option that has the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A Unix socket cannot be listened on.
    #[error("cannot listen on the Unix socket {}: {problem}", path.display())]
    Unix {
        /// The path.
        path: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The built-in descriptors are damaged.
    #[error("cannot serve reflection: {0}")]
    Reflection(String),
}

/// The server, before it listens.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Listens on all configured addresses. Connections wait until [`Bound::run`] accepts them.
    ///
    /// # Errors
    /// When an address is taken or not of this machine, or the Unix socket's path is in use.
    pub async fn bind(config: &Config) -> Result<Bound, ServeError> {
        let mut listeners = Vec::new();
        for address in &config.listen {
            listeners.push(Listener::tcp(*address)?);
        }
        if let Some(path) = &config.unix_socket {
            listeners.push(Listener::unix(path).await?);
        }
        let metrics = match config.metrics_listen {
            Some(address) => Some(listener::bind("metrics_listen", address)?),
            None => None,
        };
        Ok(Bound {
            listeners,
            metrics,
            config: config.clone(),
        })
    }
}

/// A server that listens but does not serve yet.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<Listener>,
    /// The listener for metrics, if they are served.
    metrics: Option<(TcpListener, SocketAddr)>,
    config: Config,
}

impl Bound {
    /// The TCP addresses, with the actual ports where port 0 was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(Listener::address)
            .collect()
    }

    /// The address that metrics are served on, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// The path of the Unix socket, if there is one.
    pub fn unix_socket(&self) -> Option<&Path> {
        self.listeners.iter().find_map(Listener::path)
    }

    /// Serves the routes, health, reflection and, if configured, the metrics in `counted`, until `shutdown` completes. Then
    /// drains: health says NOT_SERVING, `drain_delay` passes, nothing more is accepted, requests in progress have
    /// `drain_timeout` to finish, and the rest ends with UNAVAILABLE. That takes at most the sum of both and two seconds.
    ///
    /// # Errors
    /// When reflection cannot be built.
    pub async fn run(
        self,
        routes: Routes,
        hasher: Arc<TokenHasher>,
        counted: Arc<Metrics>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let Self {
            listeners,
            metrics,
            config,
        } = self;
        if config.allow_anonymous {
            tracing::warn!(
                "requests without a token are served, and all of them share one owner (`allow_anonymous`)"
            );
        }
        let services = reflection::service_names()?;
        let (health, health_service) = Health::serving(services).await;
        let mut routes = routes.add_service(health_service);
        if config.reflection {
            routes = reflection::add_to(routes)?;
        }

        let draining = CancellationToken::new();
        let overdue = CancellationToken::new();
        let cancelled = CancellationToken::new();
        let tasks = TaskTracker::new();
        let stack = layer::stack(
            routes,
            Options {
                gate: Arc::new(Gate::new(hasher, config.allow_anonymous)),
                max_message_bytes: bytes(config.max_message_bytes),
                request_memory: Budget::new(Holders::Requests, bytes(config.request_memory_bytes)),
                answer_memory: Budget::new(Holders::Answers, bytes(config.answer_memory_bytes)),
                arrival_timeout: config.arrival_timeout,
                draining: draining.clone(),
                overdue: overdue.clone(),
                tasks: tasks.clone(),
            },
        );
        let connections = Connections::new(
            stack,
            &config,
            tasks.clone(),
            draining.clone(),
            cancelled.clone(),
        );

        if let Some((listener, address)) = metrics {
            // until the end, so that the drain can be observed
            tokio::spawn(metrics::serve(
                listener,
                address,
                counted,
                cancelled.clone(),
            ));
        }
        // on every return
        let _stop_metrics = cancelled.clone().drop_guard();
        let mut accepting = JoinSet::new();
        for listener in listeners {
            tracing::info!("listening on {listener}");
            accepting.spawn(listener.accept_all(connections.clone(), draining.clone()));
        }

        shutdown.await;
        tracing::info!("stopping: requests in progress may finish");
        health.stop_serving().await;
        sleep(config.drain_delay).await;
        draining.cancel();
        while accepting.join_next().await.is_some() {}
        tasks.close();
        if timeout(config.drain_timeout, tasks.wait()).await.is_err() {
            tracing::warn!("`drain_timeout` has passed: ending what is still in progress");
            overdue.cancel();
            if timeout(END_GRACE, tasks.wait()).await.is_err() {
                cancelled.cancel();
                if timeout(CANCEL_GRACE, tasks.wait()).await.is_err() {
                    tracing::warn!(
                        tasks = tasks.len(),
                        "leaving behind work that does not stop"
                    );
                }
            }
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// The size in bytes, as far as this machine can address.
fn bytes(size: bytesize::ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
