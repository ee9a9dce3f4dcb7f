//! The whole application: joins store, runs, datasets, compute pool and server.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinError;
use tonic::service::Routes;

use super::{Bound, ServeError, Server, bytes};
use crate::compute::Compute;
use crate::config::Config;
use crate::datasets::Datasets;
use crate::error::{Error, chain};
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;
use crate::proto::v1::dataset_service_server::DatasetServiceServer;
use crate::runs::{RunOptions, Runs};
use crate::service::{AnomalyGrpc, DatasetGrpc};
use crate::store::{EmbeddedStore, Store, StoreError, StoreOptions};
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
    /// The application could not be set up.
    #[error("{}", chain(.0))]
    Domain(#[from] Error),
    /// Closing the store panicked.
    #[error("the store could not be closed: {0}")]
    Close(#[source] JoinError),
}

/// An application that listens but does not serve yet.
pub struct Application<S = EmbeddedStore> {
    bound: Bound,
    store: Arc<S>,
    runs: Arc<Runs<S>>,
    datasets: Arc<Datasets<S>>,
    config: Config,
}

impl Application {
    /// Listens, and opens the store in the folder that the configuration names.
    ///
    /// # Errors
    /// When the store is in use or damaged, or an address cannot be listened on.
    pub async fn build(config: Config) -> Result<Self, ApplicationError> {
        // the addresses first: a second server started by mistake stops before it touches the store
        let bound = Server::bind(&config).await?;
        let options = StoreOptions {
            token_key: config.token_key.clone(),
            ..StoreOptions::default()
        };
        let folder = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&folder, options))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        Self::join(bound, store, config).await
    }
}

impl<S: Store> Application<S> {
    /// Listens, with a store that is open already. The options of the store, its folder and the token key, are ignored.
    ///
    /// # Errors
    /// When the store cannot be reached or is damaged, or an address cannot be listened on.
    pub async fn with_store(config: Config, store: S) -> Result<Self, ApplicationError> {
        Self::join(Server::bind(&config).await?, store, config).await
    }

    async fn join(bound: Bound, store: S, config: Config) -> Result<Self, ApplicationError> {
        let compute = Compute::new(config.compute_threads, config.compute_queue)?;
        let n_swept = store.sweep().await?;
        if n_swept > 0 {
            tracing::info!(n_swept, "deleted what unfinished writes left behind");
        }
        let store = Arc::new(store);
        let max_dataset_bytes = config.max_dataset_bytes.as_u64();
        let datasets = Datasets::new(Arc::clone(&store), compute.clone(), max_dataset_bytes);
        let options = RunOptions {
            model_cache_bytes: config.model_cache_bytes.as_u64(),
            reservoir_size: config.reservoir_size,
        };
        let runs = Runs::new(Arc::clone(&store), Arc::clone(&datasets), compute, options);
        Ok(Self {
            bound,
            store,
            runs,
            datasets,
            config,
        })
    }

    /// The first TCP address that is listened on, with the actual port if port 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.bound.local_addrs().first().copied()
    }

    /// The address that metrics are served on, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.bound.metrics_addr()
    }

    /// Serves until `shutdown` completes or the store fails, then drains and closes the store.
    ///
    /// # Errors
    /// When the server cannot serve, or the store has failed or cannot be closed.
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
        let anomaly = AnomalyGrpc::new(Arc::clone(&runs), Arc::clone(&metrics));
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
        let closed = tokio::task::spawn_blocking(move || drop((runs, datasets, store))).await;
        match failure {
            Some(error) => Err(error.into()),
            None => closed.map_err(ApplicationError::Close),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use crate::store::faulty::Faulty;
    use crate::store::{MemoryStore, TokenKey};

    #[tokio::test]
    async fn a_store_that_cannot_be_closed_is_an_error() {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            ..Flags::default()
        };
        for panics in [false, true] {
            let store = Faulty::new(MemoryStore::new(&TokenKey::from_bytes([1; 32])));
            if panics {
                store.panic_at_close();
            }
            let config = Config::load(&flags).expect("valid");
            let application = Application::with_store(config, store).await;
            let application = application.expect("it listens");
            let outcome = application.run_until_stopped(async {}).await;
            match panics {
                false => outcome.expect("it stops"),
                true => assert!(
                    matches!(outcome, Err(ApplicationError::Close(_))),
                    "{outcome:?}"
                ),
            }
        }
    }
}
