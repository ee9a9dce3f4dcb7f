//! The whole application: store, runs, datasets, compute pool and server, joined.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tonic::service::Routes;

use super::{Bound, ServeError, Server, bytes};
use crate::compute::Compute;
use crate::config::Config;
use crate::datasets::{self, Datasets};
use crate::error::{Error, chain};
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;
use crate::proto::v1::dataset_service_server::DatasetServiceServer;
use crate::runs::{self, Runs};
use crate::service::{AnomalyGrpc, DatasetGrpc};
use crate::store::{self, EmbeddedStore, StoreError, StoreOptions};
use crate::telemetry::Metrics;

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
    store: Arc<EmbeddedStore>,
    runs: Arc<Runs<EmbeddedStore>>,
    datasets: Arc<Datasets<EmbeddedStore>>,
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
        sweep(&store).await?;
        let store = Arc::new(store);
        let model_cache_bytes = config.model_cache_bytes.as_u64();
        let runs = Runs::new(Arc::clone(&store), compute.clone(), model_cache_bytes);
        let max_dataset_bytes = config.max_dataset_bytes.as_u64();
        let datasets = Datasets::new(Arc::clone(&store), compute, max_dataset_bytes);
        Ok(Self {
            bound,
            store,
            runs,
            datasets,
            config,
        })
    }

    /// The first TCP address that is listened on, with the port that was picked where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.bound.local_addrs().first().copied()
    }

    /// The address that metrics are served on, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.bound.metrics_addr()
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
            store,
            runs,
            datasets,
            config,
        } = self;
        let max_message_bytes = bytes(config.max_message_bytes);
        let metrics = Arc::new(Metrics::new());
        let anomaly = AnomalyGrpc::new(
            Arc::clone(&runs),
            Arc::clone(&datasets),
            Arc::clone(&metrics),
            config.reservoir_size,
        );
        let anomaly = AnomalyServiceServer::new(anomaly)
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(usize::MAX);
        let dataset = DatasetServiceServer::new(DatasetGrpc::new(Arc::clone(&datasets)))
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(usize::MAX);
        let hasher = Arc::new(store.token_hasher().clone());

        let mut failure = None;
        let stop = async {
            tokio::select! {
                () = shutdown => {}
                error = store.failed() => {
                    tracing::error!(error = chain(&error), "the store has failed, so nothing can be acknowledged any more");
                    failure = Some(error);
                }
            }
        };
        let routes = Routes::new(anomaly).add_service(dataset);
        bound.run(routes, hasher, metrics, stop).await?;
        runs.close().await;
        datasets.close().await;
        // the last flush blocks
        tokio::task::spawn_blocking(move || drop((runs, datasets, store)))
            .await
            .ok();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Deletes the blobs that nothing refers to: what a crash left behind. Before anything is served. Every room that refers to
/// blobs must have its say here.
async fn sweep(store: &EmbeddedStore) -> Result<(), ApplicationError> {
    let mut referenced = runs::referenced_blobs(store).await?;
    referenced.extend(datasets::referenced_blobs(store).await?);
    let n_swept = store::sweep(store, &referenced).await?;
    if n_swept > 0 {
        tracing::info!(
            blobs = n_swept,
            "deleted what unfinished writes left behind"
        );
    }
    Ok(())
}
