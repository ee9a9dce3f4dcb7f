//! The whole application: store, runs, compute pool and server, joined.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tonic::service::Routes;

use super::{Bound, ServeError, Server, bytes};
use crate::compute::Compute;
use crate::config::Config;
use crate::error::{Error, chain};
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;
use crate::runs::Runs;
use crate::service::AnomalyGrpc;
use crate::store::{EmbeddedStore, StoreError, StoreOptions};

/// Why the application could not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// The server cannot listen or serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The store cannot be opened, or has failed.
    #[error("the store: {}", chain(.0))]
    Store(#[from] StoreError),
    /// What is stored cannot be read, or the machine has no room.
    #[error("{}", chain(.0))]
    Domain(#[from] Error),
}

/// An application that listens and does not serve yet.
pub struct Application {
    bound: Bound,
    runs: Arc<Runs<EmbeddedStore>>,
    config: Config,
}

impl Application {
    /// Opens the store, sweeps what a crash left behind, and listens.
    ///
    /// # Errors
    /// When the store is in use or damaged, or an address cannot be listened on.
    pub async fn build(config: Config) -> Result<Self, ApplicationError> {
        // first the addresses: a second server by mistake should stop before it touches anything
        let bound = Server::bind(&config).await?;
        let options = StoreOptions {
            token_key: config.token_key.clone(),
            ..StoreOptions::default()
        };
        let folder = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&folder, options))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let compute = Compute::new(config.compute_threads, config.compute_queue)?;
        let runs = Runs::open(store, compute, config.model_cache_bytes.as_u64()).await?;
        Ok(Self {
            bound,
            runs,
            config,
        })
    }

    /// The first TCP address that is listened on, with the port that was picked where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.bound.local_addrs().first().copied()
    }

    /// Serves until `shutdown` is ready or the store fails, then drains and closes the store.
    ///
    /// # Errors
    /// When the server cannot serve, or the store has failed.
    pub async fn run_until_stopped(
        self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ApplicationError> {
        let Self {
            bound,
            runs,
            config,
        } = self;
        let service = AnomalyGrpc::new(Arc::clone(&runs), config.reservoir_size);
        let service = AnomalyServiceServer::new(service)
            .max_decoding_message_size(bytes(config.max_message_bytes))
            .max_encoding_message_size(usize::MAX);
        let hasher = Arc::new(runs.store().token_hasher().clone());

        let mut failure = None;
        let stop = async {
            tokio::select! {
                () = shutdown => {}
                error = runs.store().failed() => {
                    tracing::error!(error = chain(&error), "the store has failed, so nothing can be acknowledged any more");
                    failure = Some(error);
                }
            }
        };
        bound.run(Routes::new(service), hasher, stop).await?;
        runs.close().await;
        // the last flush blocks
        tokio::task::spawn_blocking(move || drop(runs)).await.ok();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }
}
