//! The whole application: joins store, runs, datasets, compute pool and server.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tonic::service::Routes;

use super::control::Control;
use super::{Bound, ServeError, Server, bytes};
use crate::compute::Compute;
use crate::config::Config;
use crate::datasets::Datasets;
use crate::error::{Error, chain};
use crate::memory::{Budget, Holders};
use crate::operations::Operations;
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;
use crate::proto::v1::dataset_service_server::DatasetServiceServer;
use crate::proto::v1::operation_service_server::OperationServiceServer;
use crate::runs::{RunOptions, Runs};
use crate::service::{AnomalyGrpc, DatasetGrpc, OperationGrpc};
use crate::store::{EmbeddedStore, Store, StoreError, StoreOptions};
use crate::telemetry::Metrics;

/// How often the store is swept, so that what lies in its quarantine leaves it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The same store, if it can be checked and copied while it is in use.
    embedded: Option<Arc<EmbeddedStore>>,
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
            quarantine: DAY * config.quarantine_days,
            ..StoreOptions::default()
        };
        let folder = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&folder, options))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let store = Arc::new(store);
        Self::join(bound, Arc::clone(&store), Some(store), config).await
    }
}

impl<S: Store> Application<S> {
    /// Listens, with a store that is open already. The options of the store, its folder and the token key, are ignored.
    ///
    /// # Errors
    /// When the store cannot be reached or is damaged, or an address cannot be listened on.
    pub async fn with_store(config: Config, store: S) -> Result<Self, ApplicationError> {
        let bound = Server::bind(&config).await?;
        Self::join(bound, Arc::new(store), None, config).await
    }

    async fn join(
        bound: Bound,
        store: Arc<S>,
        embedded: Option<Arc<EmbeddedStore>>,
        config: Config,
    ) -> Result<Self, ApplicationError> {
        let compute = Compute::new(
            config.compute_threads,
            config.compute_queue,
            config.compute_wait,
        )?;
        let n_swept = store.sweep().await?;
        if n_swept > 0 {
            tracing::info!(
                n_swept,
                "took out of the store what no record refers to; blobs stay in the quarantine for `quarantine_days`"
            );
        }
        let max_dataset_bytes = config.max_dataset_bytes.as_u64();
        let reading = Budget::new(Holders::Datasets, bytes(config.dataset_memory_bytes));
        let datasets = Datasets::new(
            Arc::clone(&store),
            compute.clone(),
            max_dataset_bytes,
            reading,
        );
        let options = RunOptions {
            model_cache_bytes: config.model_cache_bytes.as_u64(),
            reservoir_size: config.reservoir_size,
        };
        let runs = Runs::new(Arc::clone(&store), Arc::clone(&datasets), compute, options);
        Ok(Self {
            bound,
            store,
            embedded,
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
            embedded,
            runs,
            datasets,
            config,
        } = self;
        let control = embedded.and_then(listen_for_control);
        let sweeps = tokio::spawn(sweep_for_ever(Arc::clone(&store)));
        let max_message_bytes = bytes(config.max_message_bytes);
        let metrics = Arc::new(Metrics::new());
        let operations = Operations::new(config.orphan_timeout);
        let anomaly = AnomalyGrpc::new(
            Arc::clone(&runs),
            Arc::clone(&operations),
            Arc::clone(&metrics),
        );
        let anomaly = AnomalyServiceServer::new(anomaly)
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(usize::MAX);
        let dataset = DatasetGrpc::new(Arc::clone(&datasets), Arc::clone(&operations));
        let dataset = DatasetServiceServer::new(dataset)
            .max_decoding_message_size(max_message_bytes)
            .max_encoding_message_size(usize::MAX);
        let operation = OperationServiceServer::new(OperationGrpc::new(operations))
            .max_decoding_message_size(max_message_bytes);
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
        let routes = Routes::new(anomaly)
            .add_service(dataset)
            .add_service(operation);
        let served = bound.run(routes, hasher, metrics, stop).await;
        sweeps.abort();
        // ends with an error, which says that it was aborted
        let _ = sweeps.await;
        if let Some(control) = control {
            control.stop().await;
        }
        served?;
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

/// Opens the control socket. A server without one serves all the same.
fn listen_for_control(store: Arc<EmbeddedStore>) -> Option<Control> {
    Control::listen(store)
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "no control socket can be opened in the data folder, so `anomalyd store` cannot check or copy the store of this \
                 server while it runs"
            );
        })
        .ok()
}

async fn sweep_for_ever(store: Arc<impl Store>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        if let Err(error) = store.sweep().await {
            tracing::warn!(error = chain(&error), "the store could not be swept");
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
